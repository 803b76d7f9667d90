package eval

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/places"
	"github.com/musterdb/muster/query/tree"
)

// rankColumn reads the values a rank is by as one column of integers over a chunk, if they have such a
// form.
type rankColumn struct {
	loader
	col  query.Vec
	ints []int64
}

func rankable(t tree.Type) bool { return t == tree.NumberType || t == tree.TimeType }

// column returns the values of the candidates as I64, or as keys of floats with FloatScale. Other
// positions may have any value. The column is valid until the next call. It is nil if the values have
// no such form.
func (k *rankColumn) column(s *scope, cand []uint64) *query.Vec {
	switch l := k.loader.(type) {
	case *columnLoader:
		if rankable(l.t) && !l.property {
			return k.attribute(l, s.chunk, cand)
		}
	case *measureLoader:
		return k.measure(l, s.chunk, cand)
	case *seenLoader:
		values := l.run.scratch.Vector()
		defer l.run.scratch.Return(values)
		l.load(s, cand, values)
		ints := k.buffer(tree.TimeType, 0, l.run.scratch)
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

// buffer returns the integers of the column, with any content, for the caller to set.
func (k *rankColumn) buffer(t tree.Type, scale int8, scratch *Scratch) []int64 {
	k.ints = scratch.i64.sized(k.ints, query.ChunkSize)
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
	ints := k.buffer(c.t, scale, c.run.scratch)
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
		decodeInto(ints[i*query.PageRows:][:v.Rows], v, factor, query.VecMissing)
	}
	return &k.col
}

// measure is column for an event measure.
func (k *rankColumn) measure(m *measureLoader, chunk int, cand []uint64) *query.Vec {
	scratch := m.scan.run.scratch
	switch m.fn {
	case tree.CountFn, tree.DistinctFn, tree.DaysFn:
		m.computeCounts(chunk, cand)
		ints := k.buffer(tree.NumberType, 0, scratch)
		for i, n := range m.n[:len(ints)] {
			if ints[i] = int64(n); n == 0 {
				ints[i] = query.VecMissing
			}
		}
		return &k.col
	case tree.SumFn, tree.AvgFn:
		return k.shortPairs(m, chunk, cand)
	}
	if !rankable(m.t) {
		return nil
	}
	return m.gather(chunk, cand)
}

// shortPairs is measure for short sums and averages, see shortSums.
func (k *rankColumn) shortPairs(m *measureLoader, chunk int, cand []uint64) *query.Vec {
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
	ints := k.buffer(tree.NumberType, scale, m.scan.run.scratch)
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
