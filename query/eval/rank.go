package eval

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// RankQuery is a compiled `in top N by X`: what has to be asked of every shard before a predicate
// that holds the rank can be compiled. X is never itself a rank, so one round answers all of them.
type RankQuery struct {
	Node *tree.Rank
	env  *Env
	by   operand
}

// Ranks returns the ranks within a checked predicate, also those inside the segments it asks (but not
// inside held ones), each once.
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

func (f *rankFinder) find(c *compiler, p tree.Pred) error {
	switch p := p.(type) {
	case *tree.And:
		return f.each(c, p.Args)
	case *tree.Or:
		return f.each(c, p.Args)
	case *tree.Not:
		return f.find(c, p.Arg)
	case *tree.InSegment:
		if _, held := f.env.held(p.Name); held || p.Def == nil {
			return nil
		}
		zone, err := segmentZone(f.env, p.Def)
		if err != nil {
			return err
		}
		return f.find(&compiler{env: f.env, zone: zone, ranked: true}, p.Def.Pred)
	case *tree.Rank:
		if f.seen[p] {
			return nil
		}
		f.seen[p] = true
		by, err := c.expr(p.By)
		if err != nil {
			return err
		}
		f.found = append(f.found, &RankQuery{Node: p, env: f.env, by: by})
	}
	return nil
}

func (f *rankFinder) each(c *compiler, args []tree.Pred) error {
	for _, arg := range args {
		if err := f.find(c, arg); err != nil {
			return err
		}
	}
	return nil
}

// RankKey is one profile's place: its value (a time as the number of its milliseconds) and its
// canonical id.
type RankKey struct {
	Value tree.Number
	ID    string
}

func (k RankKey) compare(o RankKey, bottom bool) int {
	c := k.Value.Compare(o.Value)
	if !bottom {
		c = -c
	}
	if c == 0 {
		return strings.Compare(k.ID, o.ID)
	}
	return c
}

// RankPart is what some chunks know of a rank: how many profiles have the measure, and the keys that
// may still be within the cut.
type RankPart struct {
	Total int64
	Keys  []RankKey
}

// RankScan reads a rank's keys from one source.
type RankScan struct {
	q      *RankQuery
	src    query.Source
	by     loader
	values Vector
}

// On binds q to a source, for one goroutine.
func (q *RankQuery) On(src query.Source) *RankScan {
	return &RankScan{q: q, src: src, by: q.by.bind(newRun(src, q.env))}
}

// Chunk adds the profiles of a chunk, all of them, to part.
func (s *RankScan) Chunk(chunk int, profiles *query.Bits, part *RankPart) {
	s.by.load(&scope{chunk: chunk}, profiles[:], &s.values)
	eachBit(s.values.Has, func(i int) {
		n, ok := rankNumber(&s.values, i)
		if !ok {
			return
		}
		part.Total++
		part.Keys = append(part.Keys, RankKey{n, s.src.ID(uint32(chunk)<<query.ChunkBits | uint32(i))})
	})
	s.q.prune(part)
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

// prune drops keys that cannot be within the cut, now and then.
func (q *RankQuery) prune(part *RankPart) {
	n, ok := q.Node.N.Int64()
	if q.Node.Percent || !ok || int64(len(part.Keys)) < 2*n+4096 {
		return
	}
	q.sort(part.Keys)
	part.Keys = slices.Clip(part.Keys[:n])
}

func (q *RankQuery) sort(keys []RankKey) {
	slices.SortFunc(keys, func(a, b RankKey) int { return a.compare(b, q.Node.Bottom) })
}

// Merge takes other into part.
func (q *RankQuery) Merge(part, other *RankPart) {
	part.Total += other.Total
	part.Keys = append(part.Keys, other.Keys...)
	q.prune(part)
}

// Cut is the last place within a rank; None when nobody is.
type Cut struct {
	None bool
	Last RankKey
}

// Cut returns the cut when every chunk of every shard is in part.
func (q *RankQuery) Cut(part *RankPart) Cut {
	n := q.admitted(part.Total)
	if n <= 0 || len(part.Keys) == 0 {
		return Cut{None: true}
	}
	q.sort(part.Keys)
	return Cut{Last: part.Keys[min(n, int64(len(part.Keys)))-1]}
}

// admitted is the number of places: N, or ⌈N% of total⌉ in exact arithmetic.
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
	by     operand
	cut    Cut
	bottom bool
}

func (c *compiler) rank(p *tree.Rank) (plan, error) {
	cut, ok := c.env.Cuts[p]
	if !ok {
		return nil, fmt.Errorf("the cut of a rank is not known")
	}
	if cut.None {
		return none{}, nil
	}
	inner := compiler{env: c.env, zone: c.zone, ranked: true}
	by, err := inner.expr(p.By)
	return ranked{by: by, cut: cut, bottom: p.Bottom}, err
}

type rankedRunner struct {
	ranked
	loader
	src    query.Source
	values Vector
}

func (p ranked) bind(r *run) runner {
	return &rankedRunner{ranked: p, loader: p.by.bind(r), src: r.src}
}

func (k *rankedRunner) eval(s *scope, cand, out []uint64) {
	clear(out)
	k.load(s, cand, &k.values)
	eachBit(k.values.Has, func(i int) {
		n, ok := rankNumber(&k.values, i)
		if !ok {
			return
		}
		c := n.Compare(k.cut.Last.Value)
		if k.bottom {
			c = -c
		}
		if c > 0 || c == 0 && k.src.ID(uint32(s.chunk)<<query.ChunkBits|uint32(i)) <= k.cut.Last.ID {
			set(out, i)
		}
	})
}
