package eval

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/places"
	"github.com/musterdb/muster/query/tree"
)

// rankColumn brings what a rank is by into one column of integers over a chunk, where it has such a form.
type rankColumn struct {
	loader
	col  query.Vec
	ints []int64
}

func rankable(t tree.Type) bool { return t == tree.NumberType || t == tree.TimeType }

// column returns the values of the candidates as I64, or as keys of floats with FloatScale; others may
// have any. It is valid until the next call, and nil where values have no such form.
func (k *rankColumn) column(s *scope, cand []uint64) *query.Vec {
	switch l := k.loader.(type) {
	case *columnLoader:
		if rankable(l.t) && !l.property {
			return k.attribute(l, s.chunk, cand)
		}
	case *measureLoader:
		return k.measure(l, s.chunk, cand)
	case *seenLoader:
		values := l.run.stock.Vector()
		defer l.run.stock.Return(values)
		l.load(s, cand, values)
		ints := k.room(tree.TimeType, 0, l.run.stock)
		copy(ints, values.Ints)
		for i := range ints {
			if !values.Present(i) {
				ints[i] = query.VecMissing
			}
		}
		return &k.col
	}
	return nil
}

// room returns what is to be filled with the values of a chunk, of any content.
func (k *rankColumn) room(t tree.Type, scale int8, stock *Stock) []int64 {
	k.ints = stock.i64.sized(k.ints, query.ChunkSize)
	k.col = query.Vec{Type: t, Rows: query.ChunkSize, Scale: scale, I64: k.ints}
	return k.ints
}

// attribute brings the pages of an attribute to the largest of their scales.
func (k *rankColumn) attribute(c *columnLoader, chunk int, cand []uint64) *query.Vec {
	pages := c.run.src.Attribute(c.id, chunk)
	scale := int8(0)
	for i := range pages {
		v := &pages[i]
		if v.Rows == 0 || v.Type != c.t {
			continue
		}
		if v.Scales != nil || v.Scale < 0 {
			return nil
		}
		scale = max(scale, v.Scale)
	}
	ints := k.room(c.t, scale, c.run.stock)
	for i := range ints {
		ints[i] = query.VecMissing
	}
	for i := range pages {
		const words = query.PageRows / 64
		v, part := &pages[i], cand[i*words:(i+1)*words]
		if v.Rows == 0 || v.Type != c.t || !anyBit(part) {
			continue
		}
		lo, hi, ok := v.Bounds()
		factor := tree.Pow10(scale - v.Scale)
		if most := mostGathered / factor; factor > 1 && (!ok || lo < -most || hi > most) {
			return nil
		}
		spread(ints[i*query.PageRows:][:v.Rows], v, factor, query.VecMissing)
	}
	return &k.col
}

// measure is column for an event measure.
func (k *rankColumn) measure(m *measureLoader, chunk int, cand []uint64) *query.Vec {
	stock := m.scan.run.stock
	switch m.fn {
	case tree.CountFn, tree.DistinctFn, tree.DaysFn:
		m.wholes(chunk, cand)
		ints := k.room(tree.NumberType, 0, stock)
		for i, n := range m.n[:len(ints)] {
			if ints[i] = int64(n); n == 0 {
				ints[i] = query.VecMissing
			}
		}
		return &k.col
	case tree.SumFn, tree.AvgFn:
		return k.pairs(m, chunk, cand)
	}
	if !rankable(m.t) {
		return nil
	}
	return m.gather(chunk, cand)
}

// pairs is measure for sums and averages that are short.
func (k *rankColumn) pairs(m *measureLoader, chunk int, cand []uint64) *query.Vec {
	if m.short.failed || m.arg.column == nil {
		return nil
	}
	m.clearPairs()
	if !m.sumShort(chunk, cand) {
		return nil
	}
	scale := max(m.short.scale, 0)
	if m.fn == tree.AvgFn {
		scale = tree.FloatScale
	}
	ints := k.room(tree.NumberType, scale, m.scan.run.stock)
	unit := float64(tree.Pow10(max(m.short.scale, 0)))
	for i, pair := range m.short.pairs {
		switch {
		case pair>>pairBits == 0:
			ints[i] = query.VecMissing
		case m.fn == tree.AvgFn:
			ints[i] = places.Int(places.OfFloat(average(pair, unit)))
		default:
			ints[i] = int64(pair & pairSum)
		}
	}
	return &k.col
}
