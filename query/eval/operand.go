package eval

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// operand is a compiled expression, over profiles or over the rows of one event.
type operand interface {
	typ() tree.Type
	bind(r *run) loader
}

// loader computes an operand over one source.
type loader interface {
	cost(s *scope) float64
	// load sets out to the values of the elements of cand.
	load(s *scope, cand []uint64, out *Vector)
}

// missing never has a value. It stands for a name the catalog does not know.
type missing struct{}

func (missing) typ() tree.Type                       { return tree.NoType }
func (missing) bind(*run) loader                     { return missing{} }
func (missing) cost(*scope) float64                  { return 0 }
func (missing) load(s *scope, _ []uint64, o *Vector) { o.reset(tree.NoType, s.rows()) }

// constant is a literal. A date is represented by its first instant.
type constant struct{ value tree.Value }

func (c constant) typ() tree.Type      { return c.value.Type }
func (c constant) bind(*run) loader    { return c }
func (c constant) cost(*scope) float64 { return 0 }

func (c constant) load(s *scope, cand []uint64, out *Vector) {
	out.reset(c.value.Type, s.rows())
	eachBit(cand, func(i int) { out.put(i, c.value) })
}

// column is an attribute of profiles or, if property is set, a property of an event.
type column struct {
	id       uint32
	property bool
	t        tree.Type
}

func (c column) typ() tree.Type { return c.t }

func (c column) bind(r *run) loader {
	r.charge(runnerBytes)
	return &columnLoader{column: c, run: r}
}

type columnLoader struct {
	column
	run *run
}

func (c *columnLoader) cost(s *scope) float64 { return float64(s.rows()) }

func (c *columnLoader) load(s *scope, cand []uint64, out *Vector) {
	out.reset(c.t, s.rows())
	if c.property {
		if v := s.block.Col(c.id); v != nil {
			out.fill(v, 0, cand)
		}
		return
	}
	pages := c.run.src.Attribute(c.id, s.chunk)
	for i := range pages {
		const words = query.PageRows / 64
		if part := cand[i*words : (i+1)*words]; anyBit(part) {
			out.fill(&pages[i], i*query.PageRows, part)
		}
	}
}

// identifier is user_id or anonymous_id.
type identifier struct{ anonymous bool }

func (identifier) typ() tree.Type { return tree.StringType }

func (x identifier) bind(r *run) loader {
	r.charge(runnerBytes)
	return &identifierLoader{x, r}
}

type identifierLoader struct {
	identifier
	run *run
}

func (x *identifierLoader) cost(s *scope) float64 { return 20 * float64(s.rows()) }

func (x *identifierLoader) load(s *scope, cand []uint64, out *Vector) {
	out.reset(tree.StringType, s.rows())
	get := x.run.src.UserID
	if x.anonymous {
		get = x.run.src.AnonymousID
	}
	eachBit(cand, func(i int) {
		if id, ok := get(uint32(s.chunk)<<query.ChunkBits | uint32(i)); ok {
			out.Strs[i] = id
			set(out.Has, i)
		}
	})
}

// seen is first_seen or last_seen: the time of the earliest or latest event of any name up to now.
type seen struct{ last bool }

func (seen) typ() tree.Type { return tree.TimeType }

func (x seen) bind(r *run) loader {
	r.charge(runnerBytes)
	id := query.AttrFirstSeen
	if x.last {
		id = query.AttrLastSeen
	}
	return &seenLoader{last: x.last, run: r, all: columnLoader{column{id: id, t: tree.TimeType}, r}}
}

type seenLoader struct {
	last bool
	run  *run
	all  columnLoader // includes events later than now
}

func (x *seenLoader) cost(s *scope) float64 { return x.all.cost(s) }

func (x *seenLoader) load(s *scope, cand []uint64, out *Vector) {
	x.all.load(s, cand, out)
	later := x.run.getWords(len(cand))
	clear(later)
	eachBit(out.Has, func(i int) {
		if out.Ints[i] > x.run.now {
			set(later, i)
		}
	})
	if anyBit(later) {
		for w := range later {
			out.Has[w] &^= later[w]
		}
		if x.last { // if the earliest event is later than now, there is none up to now
			x.latest(s.chunk, later, out)
		}
	}
	x.run.putWords(later)
}

// latest finds the latest event up to now of profiles that have later ones.
func (x *seenLoader) latest(chunk int, cand []uint64, out *Vector) {
	for _, event := range x.run.src.Events(chunk) {
		series := x.run.src.Series(event, chunk)
		for _, b := range series.Blocks {
			if b.Min > x.run.now || !x.run.scratch.Spend(blockWork+b.Rows) {
				continue
			}
			x.run.scan(b.Rows)
			for i, p := range b.Pos[:b.Rows] {
				if pos := int(p); has(cand, pos) {
					if t := b.Time(i); t <= x.run.now && (!has(out.Has, pos) || t > out.Ints[pos]) {
						out.Ints[pos] = t
						set(out.Has, pos)
					}
				}
			}
		}
	}
}

// arith computes with two numbers. It is missing if one of them is, or if the result is not a number.
type arith struct {
	op   tree.Op
	l, r operand
}

func (arith) typ() tree.Type { return tree.NumberType }

func (a arith) bind(r *run) loader {
	r.charge(runnerBytes)
	return &arithLoader{op: a.op, l: a.l.bind(r), r: a.r.bind(r), run: r}
}

type arithLoader struct {
	op   tree.Op
	l, r loader
	run  *run
}

// arithWork is the approximate time of one operation, in nanoseconds.
const arithWork = 50

func (a *arithLoader) cost(s *scope) float64 {
	return a.l.cost(s) + a.r.cost(s) + 5*float64(s.rows())
}

func (a *arithLoader) load(s *scope, cand []uint64, out *Vector) {
	a.l.load(s, cand, out)
	if out.Type != tree.NumberType || !a.run.scratch.Spend(arithWork*s.rows()) {
		out.reset(tree.NumberType, s.rows())
		return
	}
	rest := a.run.scratch.Vector()
	defer a.run.scratch.Return(rest)
	a.r.load(s, cand, rest)
	if rest.Type != tree.NumberType {
		out.reset(tree.NumberType, s.rows())
		return
	}
	for w := range out.Has {
		out.Has[w] &= rest.Has[w]
	}
	eachBit(out.Has, func(i int) {
		n, ok := a.op.Of(out.Nums[i], rest.Nums[i])
		out.Nums[i] = n
		if !ok {
			out.Has[i>>6] &^= 1 << (i & 63)
		}
	})
}
