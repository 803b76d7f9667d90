package exec

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/musterdb/muster/query/tree"
)

// maxGroups is the number of groups above which a breakdown is refused in a shard.
const maxGroups = 1_000_000

// budget bounds the bytes a statement holds on one node, and reserves them from the memory that all
// statements share. Charges come before what they are for is taken. It may be charged by several
// goroutines.
type budget struct {
	limit  int64
	memory *Memory // nil: there is no bound for all
	used   atomic.Int64

	mu    sync.Mutex // of what follows
	taken int64      // from memory

	halt halt // of what is done with the partials
}

// memoryStep is how much is reserved from the memory of all statements at once.
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

// release gives everything back to the memory of all statements.
func (b *budget) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.memory != nil {
		b.memory.give(b.taken)
		b.taken = 0
	}
}

// halt ends what is done with what all partials found, where nobody waits for it any more. Sorting goes
// to its end with everything equal, which is quick.
type halt struct {
	ctx context.Context // nil: somebody always waits
	n   int
	err error
}

// haltAfter is the number of steps after which the context is looked at.
const haltAfter = 1 << 12

// ended reports whether nobody waits any more. It is asked at every step.
func (h *halt) ended() bool {
	if h.n++; h.n >= haltAfter {
		h.n = 0
		if h.ctx != nil && h.err == nil {
			h.err = h.ctx.Err()
		}
	}
	return h.err != nil
}

// charge charges bytes that the worker holds until its partial is done.
func (w *worker) charge(n int) error {
	w.charged += n
	return w.plan.budget.charge(n)
}

// keep charges bytes that the partial goes on holding, a good many at once. It reports whether to go on;
// if not, the error of the worker's stock says why.
func (w *worker) keep(n int) bool {
	if w.kept += n; w.kept >= keepStep {
		if err := w.plan.budget.charge(w.kept); err != nil {
			w.stock.Fail(err)
		}
		w.kept = 0
	}
	return w.stock.Err() == nil
}

// keepStep is how much keep charges at once.
const keepStep = 64 << 10

// settle charges what keep has not charged yet.
func (w *worker) settle() error {
	n := w.kept
	w.kept = 0
	if err := w.stock.Err(); err != nil {
		return err
	}
	return w.plan.budget.charge(n)
}

func tooManyGroups(n, limit int) error {
	return &tree.Diagnostic{
		Code:    tree.CodeTooManyGroups,
		Message: fmt.Sprintf("by makes %d groups or more in one shard; at most %d are counted", n, limit),
		Hint:    "break down by something with fewer values, in steps of a number, or narrow it with where",
	}
}
