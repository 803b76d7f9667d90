package eval

import (
	"fmt"
	"math/big"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/places"
	"github.com/musterdb/muster/query/tree"
)

// RankQuery is a compiled `in top N by X`: the values needed from every shard before a predicate with
// the rank can be compiled. X never contains a rank, so one round is enough for all of them.
type RankQuery struct {
	Node *tree.Rank
	env  *Env
	by   operand
}

// Ranks returns the ranks in a checked predicate, each once. They include ranks inside its segments,
// but not inside held ones.
func Ranks(env *Env, p tree.Pred) ([]*RankQuery, error) {
	f := rankFinder{env: env, seen: map[*tree.Rank]bool{}}
	if err := f.find(&compiler{env: env, zone: env.zone(), ranked: true}, p); err != nil {
		return nil, fmt.Errorf("compile rank: %w", err)
	}
	return f.found, nil
}

type rankFinder struct {
	env   *Env
	seen  map[*tree.Rank]bool
	found []*RankQuery
}

func (f *rankFinder) find(c *compiler, p tree.Pred) (err error) {
	tree.Inspect(p, func(n tree.Node) bool {
		switch n := n.(type) {
		case *tree.InSegment:
			if err == nil {
				err = f.inside(n)
			}
		case *tree.Rank:
			if err == nil {
				err = f.rank(c, n)
			}
		}
		return err == nil
	})
	return err
}

// inside finds the ranks in the predicate of a segment that is not held.
func (f *rankFinder) inside(p *tree.InSegment) error {
	if _, held := f.env.Inputs.Held(p.Name); held || p.Def == nil {
		return nil
	}
	zone, err := segmentZone(f.env, p.Def)
	if err != nil {
		return err
	}
	return f.find(&compiler{env: f.env, zone: zone, ranked: true}, p.Def.Pred)
}

func (f *rankFinder) rank(c *compiler, p *tree.Rank) error {
	if f.seen[p] {
		return nil
	}
	f.seen[p] = true
	by, err := c.expr(p.By)
	if err == nil {
		f.found = append(f.found, &RankQuery{Node: p, env: f.env, by: by})
	}
	return err
}

// RankScan reads a rank's keys from one source.
type RankScan struct {
	q       *RankQuery
	by      rankColumn
	scratch *Scratch
}

// On binds q to a source, for one goroutine.
func (q *RankQuery) On(src query.Source) *RankScan {
	r := newRun(src, q.env)
	r.charge(runnerBytes)
	return &RankScan{q: q, by: rankColumn{loader: q.by.bind(r)}, scratch: r.scratch}
}

// Chunk adds the given profiles, which are all of the chunk of a shard, to part.
func (s *RankScan) Chunk(shard, chunk int, profiles *query.Bits, part *RankPart) {
	at, first := &scope{chunk: chunk}, chunkPlace(shard, chunk)
	if col := s.by.column(at, profiles[:]); col != nil {
		s.q.addColumn(part, first, col, profiles[:])
		return
	}
	values := s.scratch.Vector()
	defer s.scratch.Return(values)
	s.by.load(at, profiles[:], values)
	s.q.addNumbers(part, first, values)
}

func rankNumber(v *Vector, i int) (n tree.Number, ok bool) {
	switch v.Type {
	case tree.NumberType:
		return v.Nums[i], true
	case tree.TimeType:
		return tree.Int(v.Ints[i]), true
	}
	return n, false
}

// admitted returns the number of places: N, or ⌈N% of total⌉, in exact arithmetic.
func (q *RankQuery) admitted(total int64) int64 {
	r, ok := new(big.Rat).SetString(q.Node.N.String())
	if !ok || r.Sign() < 0 {
		return 0
	}
	if q.Node.Percent {
		r.Mul(r, big.NewRat(total, 100))
	}
	n, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		n.Add(n, big.NewInt(1))
	}
	if !n.IsInt64() {
		return total
	}
	return min(n.Int64(), total)
}

// ranked is `in top N by X` with its cut.
type ranked struct {
	by            operand
	cut           query.Cut
	bottom        bool
	better, equal *test // than and to the value at the cut
}

func (c *compiler) rank(p *tree.Rank) (plan, error) {
	cut, ok := c.env.Cuts[p]
	if !ok {
		return nil, fmt.Errorf("the cut of a rank is missing")
	}
	if cut.None {
		return none{}, nil
	}
	inner := compiler{env: c.env, zone: c.zone, ranked: true}
	by, err := inner.expr(p.By)
	if err != nil {
		return nil, err
	}
	last := cut.Last.Value
	value := literal{typ: tree.NumberType, value: tree.Num(last)}
	if by.typ() == tree.TimeType {
		value = literal{typ: tree.TimeType, value: tree.Time(last.Coef), first: last.Coef, last: last.Coef}
	}
	op := tree.Gt
	if p.Bottom {
		op = tree.Lt
	}
	return ranked{by: by, cut: cut, bottom: p.Bottom,
		better: compareTest(by.typ(), op, value), equal: compareTest(by.typ(), tree.Eq, value)}, nil
}

type rankedRunner struct {
	ranked
	rankColumn
	run           *run
	better, equal *vecTest
	tests         [2]runner // better and equal, if X is an attribute
}

func (p ranked) bind(r *run) runner {
	k := &rankedRunner{ranked: p, rankColumn: rankColumn{loader: p.by.bind(r)}, run: r, better: newVecTest(p.better, r.scratch), equal: newVecTest(p.equal, r.scratch)}
	r.charge(2 * runnerBytes)
	if c, ok := p.by.(column); ok {
		k.tests = [2]runner{columnTest{c, p.better}.bind(r), columnTest{c, p.equal}.bind(r)}
	}
	return k
}

func (k *rankedRunner) eval(s *scope, cand []uint64, n int, out []uint64) int {
	if !rankable(k.by.typ()) {
		clear(out)
		return 0
	}
	equal := k.run.getWords(len(cand))
	defer k.run.putWords(equal)
	if k.tests[0] != nil {
		k.tests[0].eval(s, cand, n, out)
		k.tests[1].eval(s, cand, n, equal)
	} else if col := k.column(s, cand); col == nil {
		values := k.run.scratch.Vector()
		k.load(s, cand, values)
		values.test(k.better.test, k.run.scratch, cand, out)
		values.test(k.equal.test, k.run.scratch, cand, equal)
		k.run.scratch.Return(values)
	} else if col.Scale == tree.FloatScale {
		k.floats(col, cand, out, equal)
	} else {
		k.better.eval(col, cand, out)
		k.equal.eval(col, cand, equal)
	}
	eachBit(equal, func(i int) {
		if k.run.src.ID(uint32(s.chunk)<<query.ChunkBits|uint32(i)) <= k.cut.Last.ID {
			set(out, i)
		}
	})
	return countBits(out)
}

// floats sets out and equal if the keys are of floats.
func (k *rankedRunner) floats(col *query.Vec, cand, out, equal []uint64) {
	clear(out)
	clear(equal)
	last := places.Int(places.OfFloat(k.cut.Last.Value.Float64()))
	eachBit(cand, func(i int) {
		switch x := col.I64[i]; {
		case x == query.VecMissing:
		case x == last:
			set(equal, i)
		case x < last == k.bottom:
			set(out, i)
		}
	})
}
