package eval

import (
	"math"

	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// all admits every candidate, none admits no candidate.
type (
	all  struct{}
	none struct{}
)

func (all) bind(*run) runner    { return all{} }
func (all) cost(*scope) float64 { return 0 }

func (all) eval(_ *scope, cand []uint64, n int, out []uint64) int {
	copy(out, cand)
	return n
}

func (none) bind(*run) runner    { return none{} }
func (none) cost(*scope) float64 { return 0 }

func (none) eval(_ *scope, _ []uint64, _ int, out []uint64) int {
	clear(out)
	return 0
}

// notPlan is the exact complement within the candidates.
type notPlan struct{ arg plan }

type notRunner struct{ arg runner }

func (p notPlan) bind(r *run) runner { return notRunner{p.arg.bind(r)} }

func (r notRunner) cost(s *scope) float64 { return r.arg.cost(s) }

func (r notRunner) eval(s *scope, cand []uint64, n int, out []uint64) int {
	r.arg.eval(s, cand, n, out)
	return lanes.AndNot(cand, out, out)
}

// chain is a conjunction or, with or set, a disjunction. Cheap and decisive clauses go first. Each gets
// only the candidates that are still undecided; evaluation stops when there are none.
type chain struct {
	args []plan
	or   bool
}

type chainRunner struct {
	run    *run
	or     bool
	args   []clause
	orders []int
}

// clause is a runner with its observed selectivity.
type clause struct {
	runner
	in, passed float64
	rank       float64
}

// absorb merges q into a clause of a disjunction that tests the same column, so that the column is
// tested once. It returns false if there is no such clause.
func (p *chain) absorb(q plan) bool {
	more, ok := q.(columnTest)
	if !ok || !more.test.listed() {
		return false
	}
	for i, arg := range p.args {
		if known, ok := arg.(columnTest); ok && known.column == more.column && known.test.listed() {
			p.args[i] = columnTest{column: known.column, test: known.test.or(more.test)}
			return true
		}
	}
	return false
}

func (p chain) bind(r *run) runner {
	r.charge(runnerBytes * len(p.args))
	c := &chainRunner{run: r, or: p.or, args: make([]clause, len(p.args)), orders: make([]int, len(p.args))}
	for i, arg := range p.args {
		c.args[i] = clause{runner: arg.bind(r), in: 2, passed: 1}
		c.orders[i] = i
	}
	return c
}

func (c *chainRunner) cost(s *scope) float64 {
	sum := 0.0
	for i := range c.args {
		sum += c.args[i].cost(s)
	}
	return sum
}

// clauseWork is the approximate least time of a clause, in nanoseconds, see Scratch.Spend.
const clauseWork = 2000

// order sorts the clauses by cost per candidate decided: a conjunction decides those that fail, a
// disjunction those that pass. The list is short and usually in order, hence an insertion sort.
func (c *chainRunner) order(s *scope) {
	for i := range c.args {
		a := &c.args[i]
		settled := a.passed / a.in
		if !c.or {
			settled = 1 - settled
		}
		a.rank = (a.cost(s) + 50) / max(settled, 0.001)
	}
	for i := range c.orders {
		for k := i; k > 0 && c.args[c.orders[k]].rank < c.args[c.orders[k-1]].rank; k-- {
			c.orders[k], c.orders[k-1] = c.orders[k-1], c.orders[k]
		}
	}
}

func (c *chainRunner) eval(s *scope, cand []uint64, n int, out []uint64) int {
	if n == 0 {
		clear(out)
		return 0
	}
	c.order(s)
	if c.or {
		return c.any(s, cand, n, out)
	}
	return c.every(s, cand, n, out)
}

// every evaluates each clause on the candidates that passed the earlier ones. It alternates between two
// sets, chosen so that the last result is in out.
func (c *chainRunner) every(s *scope, cand []uint64, n int, out []uint64) int {
	spare := c.run.getWords(len(cand))
	defer c.run.putWords(spare)
	to, next := out, spare
	if len(c.orders)%2 == 0 {
		to, next = spare, out
	}
	for _, i := range c.orders {
		if !c.run.scratch.Spend(clauseWork) {
			break
		}
		a := &c.args[i]
		passed := a.eval(s, cand, n, to)
		a.record(n, passed)
		cand, n = to, passed
		to, next = next, to
		if n == 0 {
			clear(out)
			return 0
		}
	}
	return n
}

// any evaluates each clause on the candidates that no earlier one admitted.
func (c *chainRunner) any(s *scope, cand []uint64, n int, out []uint64) int {
	a := &c.args[c.orders[0]]
	admitted := a.eval(s, cand, n, out)
	a.record(n, admitted)
	open, found := c.run.getWords(len(cand)), c.run.getWords(len(cand))
	defer func() { c.run.putWords(open); c.run.putWords(found) }()
	for _, i := range c.orders[1:] {
		left := lanes.AndNot(cand, out, open)
		if left == 0 || !c.run.scratch.Spend(clauseWork) {
			break
		}
		a := &c.args[i]
		a.record(left, a.eval(s, open, left, found))
		admitted = lanes.Or(out, found, out)
	}
	return admitted
}

// record records how many of the candidates passed.
func (a *clause) record(in, passed int) {
	a.in, a.passed = a.in+float64(in), a.passed+float64(passed)
}

// countBounds turns `n op c` for whole n >= 0 into lo <= n <= hi (hi < 0: no upper bound). ok is false
// if that is not an interval (!=) or c is a float. An empty interval has lo > hi >= 0.
func countBounds(op tree.Op, c tree.Number) (lo, hi int64, ok bool) {
	if c.IsFloat() {
		return 0, 0, false
	}
	unit := tree.Pow10(c.Scale)
	floor := c.Coef / unit
	if c.Coef%unit < 0 {
		floor--
	}
	whole := c.Coef%unit == 0
	ceil := floor
	if !whole {
		ceil++
	}
	if floor == math.MaxInt64 {
		return 0, 0, false
	}
	lo, hi = 0, -1
	switch op {
	case tree.Eq:
		if !whole || floor < 0 {
			return 1, 0, true
		}
		return floor, floor, true
	case tree.Lt:
		hi = ceil - 1
	case tree.Le:
		hi = floor
	case tree.Gt:
		return max(floor+1, 0), -1, true
	case tree.Ge:
		return max(ceil, 0), -1, true
	default:
		return 0, 0, false
	}
	if hi < 0 {
		return 1, 0, true
	}
	return lo, hi, true
}
