package eval

import (
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// gathered computes one value per position as an integer. It needs all columns of a chunk to have a
// common form: one dictionary, or coefficients that fit at the largest of their scales. Values are then
// compared and tested as integers, and no tree.Value is built per row.
type gathered struct {
	col   query.Vec // over the chunk
	best  []int64
	times []int64 // of the chosen rows, for first and last
	vals  []int64 // of the current block
	take  func(b *query.Block, rows []uint64)

	counts []uint64 // of favorite, by position and then code
	codes  int
	from   int64
}

// none64 marks a missing value among gathered ones. It is greater than all of them.
const none64 = math.MaxInt64

// mostGathered bounds the absolute value of a gathered integer, so that it can be negated and is never
// none64.
const mostGathered = 1 << 62

// gather returns the min, max, first, last or favorite of the candidates as a column over the chunk,
// valid until the next call. Other positions may have any value. It returns nil if the columns have no
// common form.
func (m *measureLoader) gather(chunk int, cand []uint64) *query.Vec {
	if m.fn == tree.FavoriteFn {
		return m.gatherFavorite(chunk, cand)
	}
	edge := m.fn == tree.FirstFn || m.fn == tree.LastFn
	if !edge && m.fn != tree.MinFn && m.fn != tree.MaxFn || m.arg.column == nil {
		return nil
	}
	g := &m.gathered
	series := m.scan.series(chunk)
	if !g.commonForm(series.Blocks, m.arg.column) || !edge && g.col.Dict != nil {
		return nil
	}
	scratch := m.scan.run.scratch
	g.best = scratch.i64.sized(g.best, query.ChunkSize)
	for i := range g.best {
		g.best[i] = none64
	}
	if g.take == nil {
		g.take = m.gatherBest
		if edge {
			g.take = m.gatherEdge
		}
	}
	if edge {
		g.times = scratch.i64.sized(g.times, query.ChunkSize)
		for i := range g.times {
			g.times[i] = none64
		}
	}
	m.scan.each(chunk, cand, g.take)
	sign := m.sign()
	for i, x := range g.best {
		if x == none64 {
			x = query.VecMissing
		} else {
			x *= sign
		}
		g.best[i] = x
	}
	g.col.Type, g.col.Rows, g.col.I64 = m.t, query.ChunkSize, g.best
	return &g.col
}

// sign returns -1 if the greatest value or the latest time is wanted. Multiplied by it, the wanted one
// is the least.
func (m *measureLoader) sign() int64 {
	if m.fn == tree.MaxFn || m.fn == tree.LastFn {
		return -1
	}
	return 1
}

// commonForm sets the scale or dictionary that all columns of the blocks can be brought to. It returns
// false if there is none.
func (g *gathered) commonForm(blocks []*query.Block, c *column) bool {
	g.col.Scale, g.col.Dict = 0, nil
	for _, b := range blocks {
		v := b.Col(c.id)
		switch {
		case v == nil || v.Type != c.t:
			continue
		case v.Scales != nil || v.Scale < 0:
			return false
		case g.col.Dict != nil && v.Dict != g.col.Dict:
			return false
		}
		g.col.Scale, g.col.Dict = max(g.col.Scale, v.Scale), v.Dict
	}
	for _, b := range blocks {
		v := b.Col(c.id)
		if v == nil || v.Type != c.t {
			continue
		}
		lo, hi, ok := v.Bounds()
		most := mostGathered / tree.Pow10(g.col.Scale-v.Scale)
		if !ok || lo < -most || hi > most {
			return false
		}
	}
	return g.col.Dict != nil || c.t != tree.StringType && c.t != tree.ListType
}

// decode sets g.vals to the integers of a column times factor, none64 for rows without a value.
func (g *gathered) decode(v *query.Vec, rows int, factor int64, scratch *Scratch) []int64 {
	g.vals = scratch.i64.sized(g.vals, rows)
	decodeInto(g.vals, v, factor, none64)
	return g.vals
}

// decodeInto sets out to the integers of a column times factor, missing for rows without a value.
func decodeInto(out []int64, v *query.Vec, factor, missing int64) {
	switch {
	case v.Const:
		for i := range out {
			out[i] = v.Base * factor
		}
	case v.U8 != nil:
		decodeNarrow(out, v.U8, v.Base, factor, missing)
	case v.U16 != nil:
		decodeNarrow(out, v.U16, v.Base, factor, missing)
	case v.U32 != nil:
		decodeNarrow(out, v.U32, v.Base, factor, missing)
	default:
		for i := range out {
			raw, ok := v.Raw(i)
			if raw *= factor; !ok {
				raw = missing
			}
			out[i] = raw
		}
	}
}

func decodeNarrow[T uint8 | uint16 | uint32](out []int64, vals []T, base, factor, missing int64) {
	for i, x := range vals[:len(out)] {
		raw := (base + int64(x)) * factor
		if x == 0 {
			raw = missing
		}
		out[i] = raw
	}
}

// gatherBest updates the least values with rows of a block.
func (m *measureLoader) gatherBest(b *query.Block, rows []uint64) {
	g, v := &m.gathered, b.Col(m.arg.column.id)
	if v == nil || v.Type != m.t {
		return
	}
	best := (*[query.ChunkSize]int64)(g.best)
	factor := m.sign() * tree.Pow10(g.col.Scale-v.Scale)
	if rows != nil {
		eachBit(rows, func(i int) {
			if raw, ok := v.Raw(i); ok {
				p := b.Pos[i]
				best[p] = min(best[p], raw*factor)
			}
		})
		return
	}
	vals := g.decode(v, b.Rows, factor, m.scan.run.scratch)
	for i, p := range b.Pos[:len(vals)] {
		best[p] = min(best[p], vals[i])
	}
}

// gatherEdge updates the earliest (or latest) rows that have a value. Of two rows in one millisecond,
// the one with the smaller value counts as earlier.
func (m *measureLoader) gatherEdge(b *query.Block, rows []uint64) {
	g, v := &m.gathered, b.Col(m.arg.column.id)
	if v == nil || v.Type != m.t {
		return
	}
	best, times := (*[query.ChunkSize]int64)(g.best), (*[query.ChunkSize]int64)(g.times)
	sign := m.sign()
	factor := sign * tree.Pow10(g.col.Scale-v.Scale)
	take := func(p uint16, t, x int64) {
		if t < times[p] || t == times[p] && g.earlier(x, best[p], sign) {
			times[p], best[p] = t, x
		}
	}
	if rows != nil {
		eachBit(rows, func(i int) {
			if raw, ok := v.Raw(i); ok {
				take(b.Pos[i], sign*b.Time(i), raw*factor)
			}
		})
		return
	}
	vals := g.decode(v, b.Rows, factor, m.scan.run.scratch)
	if b.Off == nil {
		for i, x := range vals {
			if x != none64 {
				take(b.Pos[i], sign*b.Times[i], x)
			}
		}
		return
	}
	pos, off := b.Pos[:len(vals)], b.Off[:len(vals)]
	for i, x := range vals {
		if x == none64 {
			continue
		}
		p, t := pos[i], sign*(b.Base+int64(off[i]))
		if t > times[p] {
			continue
		}
		if t < times[p] || g.earlier(x, best[p], sign) {
			times[p], best[p] = t, x
		}
	}
}

// earlier reports whether x goes before y, two values of one millisecond that were multiplied by sign.
func (g *gathered) earlier(x, y, sign int64) bool {
	if g.col.Dict == nil {
		return x < y
	}
	c := g.col.Dict.Value(uint32(x * sign)).Compare(g.col.Dict.Value(uint32(y * sign)))
	return c*int(sign) < 0
}
