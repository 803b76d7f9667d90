package cluster

import (
	"context"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
)

// watch looks at the disk and the memory of the process, and says whether ingest is refused. A full
// disk must be seen before it is full: Badger dies of it, and raft steps down.
type watch struct {
	space    func() (free int64, low bool, err error)
	failed   func() error // of a write, for good
	memory   func() memoryUse
	asked    func() int64 // bytes statements hold
	reserved func() int64 // memory that is not used yet and will be; nil: none
	limit    int64        // of memory; 0: none
	warn     func(text string, args ...any)

	free atomic.Int64
	disk atomic.Bool
	lost atomic.Pointer[error] // why the disk does not answer
	memo atomic.Bool
	used atomic.Int64

	statements recently // what statements hold, for look
}

func newWatch(c Config, asked func() int64) *watch {
	return &watch{space: c.Storage.Space, failed: c.Storage.Err, memory: processMemory, asked: asked, limit: c.MemoryLimit, warn: c.Log.Warn}
}

// memoryUse is what a process holds of the machine's memory, in bytes.
type memoryUse struct {
	used  int64  // all of it, but what lies free and can be used at once
	live  int64  // of it, what the last collection found in use
	other int64  // of it, what is not collected
	runs  uint64 // of the collector
}

// steady is what the memory comes to once what statements hold is collected: what lives, and the half of
// it that the collector waits for.
func (u memoryUse) steady(statements int64) int64 {
	return u.other + max(u.live-statements, 0)*3/2
}

// recently is the most that was held since the collection before the last one: what the last one may have
// found in use.
type recently struct {
	runs       uint64
	now, since int64
}

// most takes in what is held now.
func (r *recently) most(held int64, runs uint64) int64 {
	if runs != r.runs {
		r.runs, r.since, r.now = runs, r.now, held
	}
	r.now = max(r.now, held)
	return max(r.now, r.since)
}

// look takes one look. Ingest is refused for what the state takes, not for what statements hold for a
// moment: their memory is bounded beforehand and fits above the limit. Memory is taken again only below
// nine tenths of the limit, so that the answer does not flutter.
func (w *watch) look() {
	free, low, err := w.space()
	switch was := w.lost.Load(); {
	case err != nil:
		w.lost.Store(&err)
		if was == nil || (*was).Error() != err.Error() {
			w.warn("the data directory does not answer", "err", err)
		}
	default:
		w.lost.Store(nil)
		w.free.Store(free)
		if was != nil {
			w.warn("the data directory answers again", "free_bytes", free)
		}
		if w.disk.Swap(low) != low {
			w.warn("disk space changed", "low", low, "free_bytes", free)
		}
	}
	if w.limit == 0 {
		return
	}
	u := w.memory()
	w.used.Store(u.used)
	limit := w.limit
	if w.memo.Load() {
		limit = limit / 10 * 9
	}
	if w.reserved != nil {
		limit -= w.reserved()
	}
	full := u.used > limit && u.steady(w.statements.most(w.asked(), u.runs)) > limit
	if w.memo.Swap(full) != full {
		w.warn("memory changed", "full", full, "used_bytes", u.used, "live_bytes", u.live, "limit_bytes", w.limit)
	}
}

// run looks every so often until ctx ends.
func (w *watch) run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.look()
		case <-ctx.Done():
			return
		}
	}
}

// broken returns why nothing can be written that would be there after a restart, or nil.
func (w *watch) broken() error {
	if err := w.failed(); err != nil {
		return notReady("a write to the disk has failed, and the node ends", err)
	}
	if err := w.lost.Load(); err != nil {
		return notReady("the data directory does not answer: nothing is taken in until it does", *err)
	}
	return nil
}

// admit returns why nothing may be written now, or nil.
func (w *watch) admit() error {
	if err := w.writable(); err != nil {
		return err
	}
	if w.memo.Load() {
		return &node.Error{Code: codes.MemoryFull, Text: "the memory limit is reached: nothing is taken in", Retry: 30 * time.Second}
	}
	return nil
}

// writable returns why not even what needs no memory may be written now, or nil: time goes on and segments
// can be dropped while memory is full.
func (w *watch) writable() error {
	if err := w.broken(); err != nil {
		return err
	}
	if w.disk.Load() {
		return &node.Error{Code: codes.DiskFull, Text: "the disk is almost full: nothing is taken in until space is freed", Retry: 5 * time.Second}
	}
	return nil
}

// processMemory tells what the Go runtime holds.
func processMemory() memoryUse {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	bytes := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	used := bytes(0) - bytes(1) - bytes(2)
	return memoryUse{used: used, live: bytes(5), other: used - bytes(3) - bytes(4), runs: samples[6].Value.Uint64()}
}
