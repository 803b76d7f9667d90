package engine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// epochs decides which memory may be written in place. Every node of the state (root, column, page,
// series, …) carries the epoch in which it was made; a view freezes the epoch it was taken in and all
// earlier ones. A frozen node is copied before it is written, and the copy belongs to the current
// epoch.
//
// The writer calls isFrozen under the shard's lock, so nothing becomes frozen while an entry is
// applied: a view taken then is a second view of an epoch that is already frozen. Views may be
// released at any time, which can only unfreeze nodes.
type epochs struct {
	current uint64
	frozen  atomic.Uint64 // nodes of epochs below this one are frozen
	mu      struct {
		sync.Mutex
		live []uint64 // the epochs of living views, ascending
	}
}

// isFrozen reports whether a node made in epoch must be copied before it is written.
func (e *epochs) isFrozen(epoch uint64) bool { return epoch < e.frozen.Load() }

// freeze registers a view of the current epoch and begins the next one.
func (e *epochs) freeze() (epoch uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	epoch = e.current
	e.current++
	e.mu.live = append(e.mu.live, epoch)
	e.frozen.Store(epoch + 1)
	return epoch
}

// retain registers another view of an epoch. It returns false if the epoch has no living view.
func (e *epochs) retain(epoch uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.mu.live, epoch)
	if i < 0 {
		return false
	}
	e.mu.live = slices.Insert(e.mu.live, i, epoch)
	return true
}

// release unregisters one view of epoch.
func (e *epochs) release(epoch uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.mu.live, epoch)
	e.mu.live = slices.Delete(e.mu.live, i, i+1)
	if n := len(e.mu.live); n > 0 {
		e.frozen.Store(e.mu.live[n-1] + 1)
	} else {
		e.frozen.Store(0)
	}
}
