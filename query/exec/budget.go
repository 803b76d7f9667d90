package exec

import (
	"fmt"
	"sync/atomic"

	"github.com/musterdb/muster/query/tree"
)

// maxGroups is the number of groups above which a breakdown is refused in a shard.
const maxGroups = 1_000_000

// budget bounds the bytes a statement holds on one node. Charges are estimates, made where maps and
// rows grow. It may be charged by several goroutines.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) charge(n int) error {
	if b.used.Add(int64(n)) <= b.limit {
		return nil
	}
	return &tree.Diagnostic{
		Code:    "statement_too_large",
		Message: fmt.Sprintf("the statement needs more than its %d MiB of memory", b.limit>>20),
		Hint:    "narrow it with where, a coarser by, or a limit",
	}
}

func (b *budget) refund(n int) { b.used.Add(int64(-n)) }

// charge charges bytes that the worker holds until its partial is done.
func (w *worker) charge(n int) error {
	w.charged += n
	return w.plan.budget.charge(n)
}

// lentFree is how much evaluators may borrow without being charged: about what a kit keeps between statements.
const lentFree = 4 << 20

// chargeLent charges what evaluators have borrowed since it was called last.
func (w *worker) chargeLent() error {
	lent := max(w.stock.Lent()-lentFree, 0)
	if lent <= w.lent {
		return nil
	}
	more := lent - w.lent
	w.lent = lent
	return w.charge(more)
}

func tooManyGroups(n, limit int) error {
	return &tree.Diagnostic{
		Code:    "too_many_groups",
		Message: fmt.Sprintf("by makes %d groups or more in one shard; at most %d are counted", n, limit),
		Hint:    "break down by something with fewer values, in steps of a number, or narrow it with where",
	}
}
