package eval

import (
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// coefSums are the sums of a chunk as coefficients of one scale. They are used only if the bounds of
// all columns ensure that none exceeds maxCoefSum.
type coefSums struct {
	scale int8
	sums  *[query.ChunkSize]int64
}

const maxCoefSum = 1 << 62

// mostCoef bounds each coefficient, as integers beyond 10^18 are left out of sums.
const mostCoef = 1e18

// exactSum is the bound, in billionths, below which sumNumber builds the decimal without a float.
const exactSum = 1e15

// coefScale returns the scale at which the argument can be added up over a chunk. ok is false if a
// column has a scale per row, no bounds, or numbers that are too large.
func (m *measureLoader) coefScale(chunk int) (scale int8, ok bool) {
	if m.arg.column == nil {
		return 0, false
	}
	series := m.scan.series(chunk)
	for _, b := range series.Blocks {
		if v := b.Col(m.arg.column.id); v != nil {
			if v.Type != tree.NumberType || v.Scales != nil || v.Scale < 0 || v.Scale > 9 {
				return 0, false
			}
			scale = max(scale, v.Scale)
		}
	}
	most := uint64(0)
	for _, b := range series.Blocks {
		v := b.Col(m.arg.column.id)
		if v == nil {
			continue
		}
		lo, hi, ok := v.Bounds()
		if !ok || lo < -mostCoef || hi > mostCoef {
			return 0, false
		}
		over, each := bits.Mul64(uint64(max(hi, -lo, 0)), uint64(tree.Pow10(scale-v.Scale)))
		more, all := bits.Mul64(each, uint64(b.Rows))
		if most += all; over != 0 || more != 0 || all > maxCoefSum || most > maxCoefSum {
			return 0, false
		}
	}
	return scale, true
}

// addCoefs computes the sums of a chunk at a scale that coefScale returned and, if counted is set, the
// number of values in m.n.
func (m *measureLoader) addCoefs(chunk int, cand []uint64, scale int8, counted bool) {
	if m.coefs == nil {
		m.coefs = &coefSums{sums: (*[query.ChunkSize]int64)(m.scan.run.scratch.i64.get(query.ChunkSize))}
	}
	m.coefs.scale = scale
	clear(m.coefs.sums[:])
	if counted {
		m.clearCounts()
	}
	m.scan.each(chunk, cand, func(b *query.Block, rows []uint64) {
		v := b.Col(m.arg.column.id)
		if v == nil {
			return
		}
		factor := tree.Pow10(scale - v.Scale)
		switch pos := b.Pos[:b.Rows]; {
		case rows != nil || v.Const || v.I64 != nil || counted:
			eachSelected(b, rows, func(i int) {
				if raw, ok := v.Raw(i); ok {
					m.coefs.sums[pos[i]] += raw * factor
					if counted {
						m.n[pos[i]]++
					}
				}
			})
		case v.U8 != nil:
			addNarrow(m.coefs, pos, v.U8, v.Base, factor)
		case v.U16 != nil:
			addNarrow(m.coefs, pos, v.U16, v.Base, factor)
		case v.U32 != nil:
			addNarrow(m.coefs, pos, v.U32, v.Base, factor)
		}
	})
}

func addNarrow[T uint8 | uint16 | uint32](s *coefSums, pos []uint16, vals []T, base, factor int64) {
	vals = vals[:len(pos)]
	for i, p := range pos {
		if x := vals[i]; x != 0 {
			s.sums[p] += (base + int64(x)) * factor
		}
	}
}

// sum returns the sum of a position in billionths.
func (s *coefSums) sum(pos int) tree.Sum {
	c := s.sums[pos]
	hi, lo := bits.Mul64(uint64(max(c, -c)), uint64(tree.Pow10(9-s.scale)))
	sum := tree.Sum{Hi: int64(hi), Lo: lo}
	if c < 0 {
		return sum.Neg()
	}
	return sum
}

// number returns the sum of a position as a number of the language.
func (s *coefSums) number(pos int) tree.Number {
	if c := s.sums[pos]; -exactCoef < c && c < exactCoef {
		return tree.Decimal(c, s.scale)
	}
	return sumNumber(s.sum(pos))
}

// testSum sets out to the candidates whose sum, average or count is in the set of a test, without
// building Numbers. It returns false if it cannot.
func (m *measureLoader) testSum(s *scope, t *vecTest, cand, out []uint64) bool {
	if m.testCounts(s, t, cand, out) || m.testTotals(s, t, cand, out) || m.testShort(s, t, cand, out) {
		return true
	}
	if m.fn != tree.SumFn || m.ranked || t.typ != tree.NumberType {
		return false
	}
	scale, ok := m.coefScale(s.chunk)
	if !ok {
		return false
	}
	m.addCoefs(s.chunk, cand, scale, false)
	spans := everything
	if !t.present {
		spans = t.scaled(scale)
	}
	for w, c := range cand {
		var in uint64
		for ; c != 0; c &= c - 1 {
			i := w<<6 | bits.TrailingZeros64(c)
			x := m.coefs.sums[i]
			hit := false
			if -exactCoef < x && x < exactCoef {
				for k := range spans {
					hit = hit || spans[k].lo <= x && x <= spans[k].hi
				}
			} else { // the sum is rounded to a float64, which may be another number
				hit = t.present || t.number(m.coefs.number(i))
			}
			if hit {
				in |= c & -c
			}
		}
		out[w] = in
	}
	return true
}
