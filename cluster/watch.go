package cluster

import (
	"context"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
)

// watch checks the disk and the memory of the process, and decides whether ingest is refused. A full
// disk must be noticed in advance: Badger dies of one, and raft steps down.
type watch struct {
	space          func() (free int64, low bool, err error)
	failed         func() error // the error of a write that failed for good
	memory         func() memoryUse
	statementBytes func() int64 // bytes statements hold
	reserved       func() int64 // bytes that will be used but are not yet; nil: none
	limit          int64        // bytes of memory; 0: no limit
	warn           func(text string, args ...any)

	free        atomic.Int64
	diskLow     atomic.Bool
	unreachable atomic.Pointer[error] // why the disk does not answer; nil: it does
	memoryFull  atomic.Bool
	used        atomic.Int64

	statements recentPeak // bytes that statements hold
}

func newWatch(c Config, statementBytes func() int64) *watch {
	return &watch{space: c.Storage.Space, failed: c.Storage.Err, memory: processMemory, statementBytes: statementBytes, limit: c.MemoryLimit, warn: c.Log.Warn}
}

// memoryUse is the memory of a process, in bytes.
type memoryUse struct {
	used  int64  // everything except memory that is free for immediate use
	live  int64  // the part that the last collection found in use
	other int64  // the part that is not collected
	runs  uint64 // number of collections so far
}

// afterCollection estimates the memory after what statements hold has been collected: the live memory,
// and half as much again, which is when the collector runs.
func (u memoryUse) afterCollection(statements int64) int64 {
	return u.other + max(u.live-statements, 0)*3/2
}

// recentPeak is the most that was held since the collection before the last one: the last collection may
// have found all of it in use.
type recentPeak struct {
	runs       uint64
	now, since int64
}

// add records what is held now, and returns the peak.
func (r *recentPeak) add(held int64, runs uint64) int64 {
	if runs != r.runs {
		r.runs, r.since, r.now = runs, r.now, held
	}
	r.now = max(r.now, held)
	return max(r.now, r.since)
}

// look checks once. Ingest is refused because of the memory of the state, not because of what statements
// hold for a moment: that is bounded separately and fits above the limit. After a refusal memory must
// fall below nine tenths of the limit before ingest is accepted again, so that the answer does not flip
// back and forth.
func (w *watch) look() {
	free, low, err := w.space()
	switch was := w.unreachable.Load(); {
	case err != nil:
		w.unreachable.Store(&err)
		if was == nil || (*was).Error() != err.Error() {
			w.warn("the data directory does not answer", "err", err)
		}
	default:
		w.unreachable.Store(nil)
		w.free.Store(free)
		if was != nil {
			w.warn("the data directory answers again", "free_bytes", free)
		}
		if w.diskLow.Swap(low) != low {
			w.warn("disk space changed", "low", low, "free_bytes", free)
		}
	}
	if w.limit == 0 {
		return
	}
	u := w.memory()
	w.used.Store(u.used)
	limit := w.limit
	if w.memoryFull.Load() {
		limit = limit / 10 * 9
	}
	if w.reserved != nil {
		limit -= w.reserved()
	}
	full := u.used > limit && u.afterCollection(w.statements.add(w.statementBytes(), u.runs)) > limit
	if w.memoryFull.Swap(full) != full {
		w.warn("memory changed", "full", full, "used_bytes", u.used, "live_bytes", u.live, "limit_bytes", w.limit)
	}
}

// run checks periodically until ctx ends.
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

// broken returns why nothing can be stored durably, or nil.
func (w *watch) broken() error {
	if err := w.failed(); err != nil {
		return notReady("a write to the disk has failed, and the node is about to end", err)
	}
	if err := w.unreachable.Load(); err != nil {
		return notReady("the data directory does not answer: nothing is accepted until it does", *err)
	}
	return nil
}

// admit returns why nothing may be written now, or nil.
func (w *watch) admit() error {
	if err := w.writable(); err != nil {
		return err
	}
	if w.memoryFull.Load() {
		return &node.Error{Code: codes.MemoryFull, Text: "the memory limit is reached: nothing is accepted", Retry: 30 * time.Second}
	}
	return nil
}

// writable returns why not even entries that need no memory may be written now, or nil: ticks are
// written and segments can be dropped while memory is full.
func (w *watch) writable() error {
	if err := w.broken(); err != nil {
		return err
	}
	if w.diskLow.Load() {
		return &node.Error{Code: codes.DiskFull, Text: "the disk is almost full: nothing is accepted until space is freed", Retry: 5 * time.Second}
	}
	return nil
}

// processMemory returns the memory of this process according to the Go runtime.
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
