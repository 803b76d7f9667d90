package eval

import (
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// testTotals sets out to the candidates whose sum, taken from the totals of the series, is in the set
// of a test. It returns false if there are no totals or they do not suffice, or if the window does not
// cover the whole series.
func (m *measureLoader) testTotals(s *scope, t *vecTest, cand, out []uint64) bool {
	if m.fn != tree.SumFn || m.ranked || m.arg.column == nil || t.typ != tree.NumberType || m.arg.column.t != tree.NumberType {
		return false
	}
	series := m.scan.series(s.chunk)
	if !m.scan.totalled(&series) {
		return false
	}
	sums := series.Totals.Sum(m.arg.column.id)
	if sums == nil || sums.Coefs == nil {
		return false
	}
	coefs := sums.Coefs
	if rest := series.Blocks[series.Settled:]; len(rest) > 0 {
		if m.total == nil {
			m.total = (*[query.ChunkSize]uint32)(m.scan.run.scratch.u32.get(query.ChunkSize))
		}
		*m.total = *coefs
		most := uint64(sums.Most)
		for _, b := range rest {
			m.scan.run.scan(b.Rows)
			more, ok := addRest(m.total, sums.Scale, b, b.Col(m.arg.column.id))
			if most += more; !ok || most > math.MaxUint32 {
				return false
			}
		}
		coefs = m.total
	}
	clear(out)
	t.testSums(coefs, sums.Scale, cand, out)
	return true
}

// addRest adds the few rows that the totals do not include. It returns the sum of the added values; ok
// is false if a value is not a coefficient of the scale.
func addRest(sums *[query.ChunkSize]uint32, scale int8, b *query.Block, v *query.Vec) (total uint64, ok bool) {
	if v == nil {
		return 0, true
	}
	lo, hi, bounded := v.Bounds()
	if !bounded || v.Type != tree.NumberType || v.Scales != nil || v.Scale < 0 || v.Scale > scale || lo < 0 || hi > math.MaxUint32 {
		return 0, false
	}
	factor := uint64(tree.Pow10(scale - v.Scale))
	for i, p := range b.Pos[:b.Rows] {
		if raw, ok := v.Raw(i); ok {
			x := uint64(raw) * factor
			if total += x; total > math.MaxUint32 {
				return 0, false
			}
			sums[p] += uint32(x)
		}
	}
	return total, true
}
