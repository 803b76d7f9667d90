package exec

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/musterdb/muster/query/tree"
)

// maxGroups is the most groups a breakdown may have in a shard.
const maxGroups = 1_000_000

// budget limits the bytes a statement holds on one node, and reserves them from the memory that all
// statements share. Memory is charged before it is allocated. Several goroutines may charge it.
type budget struct {
	limit  int64
	memory *Memory // nil: no shared limit
	used   atomic.Int64

	mu    sync.Mutex // guards taken
	taken int64      // reserved from memory

	halt halt // for work on merged partials
}

// memoryStep is the unit in which memory is reserved from the shared memory.
const memoryStep = 1 << 20

func (b *budget) charge(n int) error {
	used := b.used.Add(int64(n))
	if used > b.limit {
		return &tree.Diagnostic{
			Code:    tree.CodeStatementTooLarge,
			Message: fmt.Sprintf("the statement needs more than its %d MiB of memory", b.limit>>20),
			Hint:    "narrow it with where, a coarser by, fewer steps or columns, or a limit",
		}
	}
	if b.memory == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if used <= b.taken {
		return nil
	}
	more := min((used-b.taken+memoryStep-1)/memoryStep*memoryStep, b.limit-b.taken)
	if err := b.memory.take(more); err != nil {
		return err
	}
	b.taken += more
	return nil
}

func (b *budget) refund(n int) { b.used.Add(int64(-n)) }

// release returns everything to the shared memory.
func (b *budget) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.memory != nil {
		b.memory.give(b.taken)
		b.taken = 0
	}
}

// halt stops work on merged partials when the context of the statement ends. From then on all rows
// compare as equal, so that a running sort ends quickly.
type halt struct {
	ctx context.Context // nil: never stopped
	n   int
	err error
}

// haltAfter is the number of steps between two checks of the context.
const haltAfter = 1 << 12

// ended reports whether the context has ended. It is called at every step.
func (h *halt) ended() bool {
	if h.n++; h.n >= haltAfter {
		h.n = 0
		if h.ctx != nil && h.err == nil {
			h.err = h.ctx.Err()
		}
	}
	return h.err != nil
}

// charge charges bytes that the worker holds until its partial is complete.
func (w *worker) charge(n int) error {
	w.charged += n
	return w.plan.budget.charge(n)
}

// keep charges bytes that stay in the partial, in steps of keepStep. It returns false if the worker must
// stop; Err of the worker's evaluation state is then the reason.
func (w *worker) keep(n int) bool {
	if w.kept += n; w.kept >= keepStep {
		if err := w.plan.budget.charge(w.kept); err != nil {
			w.scratch.Fail(err)
		}
		w.kept = 0
	}
	return w.scratch.Err() == nil
}

// keepStep is how much keep charges at a time.
const keepStep = 64 << 10

// settle charges what keep has not charged yet.
func (w *worker) settle() error {
	n := w.kept
	w.kept = 0
	if err := w.scratch.Err(); err != nil {
		return err
	}
	return w.plan.budget.charge(n)
}

func tooManyGroups(n, limit int) error {
	return &tree.Diagnostic{
		Code:    tree.CodeTooManyGroups,
		Message: fmt.Sprintf("by makes at least %d groups in one shard; at most %d are allowed", n, limit),
		Hint:    "break down by something with fewer values, use larger steps of a number, or narrow it with where",
	}
}
