package cluster

import (
	"context"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// watch looks at the disk and the memory of the process, and says whether ingest is refused. A full
// disk must be seen before it is full: Badger dies of it, and raft steps down.
type watch struct {
	space  func() (free int64, low bool, err error)
	failed func() error // of a write, for good
	memory func() int64
	limit  int64 // of memory; 0: none
	warn   func(text string, args ...any)

	free atomic.Int64
	disk atomic.Bool
	lost atomic.Pointer[error] // why the disk does not answer
	memo atomic.Bool
	used atomic.Int64
}

func newWatch(c Config) *watch {
	return &watch{space: c.Storage.Space, failed: c.Storage.Err, memory: processMemory, limit: c.MemoryLimit, warn: c.Log.Warn}
}

// look takes one look. Memory is taken again only below nine tenths of the limit, so that the
// answer does not flutter.
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
	used := w.memory()
	w.used.Store(used)
	full := used > w.limit || w.memo.Load() && used > w.limit/10*9
	if w.memo.Swap(full) != full {
		w.warn("memory changed", "full", full, "used_bytes", used, "limit_bytes", w.limit)
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
	if err := w.broken(); err != nil {
		return err
	}
	if w.disk.Load() {
		return &Temporary{Error{code: "disk_full", text: "the disk is almost full: nothing is taken in until space is freed"}, 5 * time.Second}
	}
	if w.memo.Load() {
		return &Temporary{Error{code: "memory_full", text: "the memory limit is reached: nothing is taken in"}, 30 * time.Second}
	}
	return nil
}

// processMemory is what the Go runtime holds of the machine's memory, without what it gave back.
func processMemory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()) - int64(samples[1].Value.Uint64())
}
