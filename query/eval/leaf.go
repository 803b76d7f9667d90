package eval

import (
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// columnTest tests one attribute or property for a set of values: the fast path of most clauses.
type columnTest struct {
	column
	test *test
}

type columnRunner struct {
	column
	run    *run
	test   *vecTest
	values setTest
}

func (p columnTest) bind(r *run) runner {
	r.charge(runnerBytes)
	c := &columnRunner{column: p.column, run: r, test: newVecTest(p.test, r.scratch)}
	c.values.test = c.test
	return c
}

// valueSets returns the value sets of the attribute, nil if there are none.
func (c *columnRunner) valueSets(s *scope) query.ValueSets {
	if c.property || c.t != tree.StringType && c.t != tree.BoolType {
		return nil
	}
	return c.run.src.ValueSets(c.id, s.chunk)
}

func (c *columnRunner) cost(s *scope) float64 {
	if c.valueSets(s) != nil {
		return 1000
	}
	each := 0.5
	if c.test.holds != nil {
		each = 2
	}
	return each * float64(s.rows())
}

func (c *columnRunner) eval(s *scope, cand []uint64, n int, out []uint64) int {
	if c.property {
		v := s.block.Col(c.id)
		if v == nil {
			clear(out)
			return 0
		}
		c.test.eval(v, cand, out)
		return countBits(out)
	}
	if sets := c.valueSets(s); sets != nil {
		if found, ok := c.values.eval(sets, cand, n, out); ok {
			return found
		}
	}
	pages := c.run.src.Attribute(c.id, s.chunk)
	for i := range pages {
		if next := i + pagesAhead; next < len(pages) {
			fetch(&pages[next], (*pageWords)(cand[next*len(pageWords{}):]))
		}
		from, to := (*pageWords)(cand[i*len(pageWords{}):]), (*pageWords)(out[i*len(pageWords{}):])
		switch {
		case !from.any():
			*to = pageWords{}
		case !c.test.evalPage(&pages[i], from, to):
			c.test.eval(&pages[i], from[:], to[:])
		}
	}
	clear(out[len(pages)*len(pageWords{}):])
	return countBits(out)
}

// pagesAhead is how many pages ahead of the current one memory is prefetched.
const pagesAhead = 2

// fetch prefetches the memory that the candidates of a page need: the whole page, or for a few
// candidates with four-byte values only their cache lines.
func fetch(v *query.Vec, cand *pageWords) {
	switch {
	case v.U8 != nil:
		lanes.PrefetchValues(v.U8)
	case v.U16 != nil:
		lanes.PrefetchValues(v.U16)
	case v.U32 == nil:
	case countBits(cand[:]) < fewInPage:
		for w, c := range cand {
			for ; c != 0; c &= c - 1 {
				if i := w<<6 | bits.TrailingZeros64(c); i < len(v.U32) {
					lanes.PrefetchLine(&v.U32[i])
				}
			}
		}
	default:
		for from := 0; from < len(v.U32); from += aheadValues {
			lanes.PrefetchValues(v.U32[from:])
		}
	}
}

// aheadValues is how many four-byte values one call prefetches.
const aheadValues = 128

// valueTest tests the values of any expression for a set of values.
type valueTest struct {
	x    operand
	test *test
}

type valueRunner struct {
	loader
	run  *run
	test *vecTest
}

func (p valueTest) bind(r *run) runner {
	r.charge(runnerBytes)
	return &valueRunner{loader: p.x.bind(r), run: r, test: newVecTest(p.test, r.scratch)}
}

func (v *valueRunner) cost(s *scope) float64 { return v.loader.cost(s) + 5*float64(s.rows()) }

func (v *valueRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	v.decide(s, cand, out)
	return countBits(out)
}

// decide sets out to the candidates whose value is in the set of the test.
func (v *valueRunner) decide(s *scope, cand, out []uint64) {
	if m, ok := v.loader.(*measureLoader); ok {
		if m.testSum(s, v.test, cand, out) {
			return
		}
		if col := m.gather(s.chunk, cand); col != nil {
			v.test.eval(col, cand, out)
			return
		}
	}
	values := v.run.scratch.Vector()
	defer v.run.scratch.Return(values)
	v.load(s, cand, values)
	values.test(v.test.test, v.run.scratch, cand, out)
}

// comparison compares two expressions, neither of which is a literal.
type comparison struct {
	op   tree.Op
	l, r operand
}

type comparisonRunner struct {
	op   tree.Op
	l, r loader
	run  *run
}

func (p comparison) bind(r *run) runner {
	r.charge(runnerBytes)
	return &comparisonRunner{op: p.op, l: p.l.bind(r), r: p.r.bind(r), run: r}
}

func (c *comparisonRunner) cost(s *scope) float64 {
	return c.l.cost(s) + c.r.cost(s) + 10*float64(s.rows())
}

func (c *comparisonRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	clear(out)
	left, right := c.run.scratch.Vector(), c.run.scratch.Vector()
	defer func() { c.run.scratch.Return(left); c.run.scratch.Return(right) }()
	c.l.load(s, cand, left)
	c.r.load(s, cand, right)
	if left.Type != right.Type || left.Type == tree.NoType {
		return 0
	}
	for w := range out {
		out[w] = cand[w] & left.Has[w] & right.Has[w]
	}
	eachBit(out, func(i int) {
		if !c.op.Holds(left.compare(right, i)) {
			out[i>>6] &^= 1 << (i & 63)
		}
	})
	return countBits(out)
}

// userIs finds the profile of each wanted user id.
type userIs struct{ ids []tree.Value }

type userRunner struct {
	userIs
	run *run
}

func (p userIs) bind(r *run) runner {
	r.charge(runnerBytes)
	return userRunner{p, r}
}

func (userRunner) cost(*scope) float64 { return 100 }

func (u userRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	clear(out)
	for _, id := range u.ids {
		if !u.run.scratch.Spend(holdsWork) {
			break
		}
		ordinal, ok := u.run.src.Find(id.Str)
		if !ok || int(ordinal>>query.ChunkBits) != s.chunk {
			continue
		}
		if own, ok := u.run.src.UserID(ordinal); ok && own == id.Str {
			if i := int(ordinal & (query.ChunkSize - 1)); has(cand, i) {
				set(out, i)
			}
		}
	}
	return countBits(out)
}
