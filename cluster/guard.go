package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
)

// PoisonError says that a group's state machine panicked while it applied an entry. The state in memory
// is lost, the log is not: the process must end, and nothing more is acknowledged.
type PoisonError struct {
	Group string
	Index uint64
	What  string // the entry, in words
	Cause any    // the value of the panic
}

// Error names the entry and the cause.
func (e *PoisonError) Error() string {
	return fmt.Sprintf("entry %d of %s cannot be applied (%s): %v", e.Index, e.Group, e.What, e.Cause)
}

// Entry returns the name of the entry as `muster repair --skip-entry` takes it.
func (e *PoisonError) Entry() string { return fmt.Sprintf("%s/%d", e.Group, e.Index) }

// errPoisoned is the result of entries after one that could not be applied.
var errPoisoned = notReady("the state machine has stopped, the process is about to end", nil)

// guard is between raft and the state machine of a group. It does not apply entries that the repairs of
// the directory skip. If applying an entry panics, it applies nothing more: raft's goroutine continues,
// so that the node can be closed, but every entry gets an error and no snapshot is taken of the broken
// state.
type guard struct {
	group  string
	fsm    raft.FSM
	skip   map[uint64]Repair
	log    *slog.Logger
	fail   func(error) // reports the entry to the node; must not wait
	poison atomic.Pointer[PoisonError]
}

var _ raft.FSM = (*guard)(nil)

// Apply implements raft.FSM.
func (g *guard) Apply(l *raft.Log) (answer any) {
	if g.poison.Load() != nil {
		return applied{err: errPoisoned}
	}
	if g.skip != nil {
		if r, ok := g.skip[l.Index]; ok {
			g.log.Warn("entry is skipped by an earlier muster repair", "group", g.group, "index", l.Index, "entry", r.What)
			return applied{err: refused(codes.Internal, "the entry is skipped")}
		}
	}
	defer func() {
		if p := recover(); p != nil {
			answer = g.stop(l, p)
		}
	}()
	return g.fsm.Apply(l)
}

// stop records that an entry cannot be applied, and returns the entry's result.
func (g *guard) stop(l *raft.Log, cause any) applied {
	e := &PoisonError{Group: g.group, Index: l.Index, What: describeEntry(g.group, l.Data), Cause: cause}
	g.poison.Store(e)
	g.log.Error("entry cannot be applied", "group", e.Group, "index", e.Index, "entry", e.What,
		"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	g.fail(e)
	return applied{err: errPoisoned}
}

// describeEntry describes an entry of a group in words.
func describeEntry(group string, entry []byte) string {
	if group != catalogGroup {
		return engine.Summarize(entry).String()
	}
	if len(entry) > 0 && entry[0] == recordsFormat {
		return "records of consumers, webhooks or shards"
	}
	return "change of the catalog"
}

// failed returns the entry that could not be applied, or nil.
func (g *guard) failed() error {
	if e := g.poison.Load(); e != nil {
		return e
	}
	return nil
}

// Snapshot implements raft.FSM.
func (g *guard) Snapshot() (raft.FSMSnapshot, error) {
	if e := g.poison.Load(); e != nil {
		return nil, fmt.Errorf("take snapshot of %s: %w", g.group, e)
	}
	return g.fsm.Snapshot()
}

// Restore implements raft.FSM.
func (g *guard) Restore(snapshot io.ReadCloser) error { return g.fsm.Restore(snapshot) }

// Poison returns the *PoisonError in the chain of err, if there is one.
func Poison(err error) (*PoisonError, bool) {
	var e *PoisonError
	ok := errors.As(err, &e)
	return e, ok
}
