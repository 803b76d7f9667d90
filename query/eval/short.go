package eval

import (
	"math"
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// shortSums are the sums of a chunk in the case that no value is negative, all values have one scale,
// and their total is small. Then every sum is small too: it is an integer coefficient in 32 bits, or
// shares a 64-bit word with its count. Whether the case applies is known only after all rows are added.
type shortSums struct {
	scale  int8 // -1 until a column was added
	total  uint64
	failed bool
	sums   *[query.ChunkSize]uint32 // for sums
	pairs  *[query.ChunkSize]uint64 // for averages: the count above the sum
	add    func(b *query.Block, rows []uint64)
}

const (
	pairBits = 40
	pairSum  = 1<<pairBits - 1
	pairOne  = 1 << pairBits
	pairRows = 1<<(64-pairBits) - 1 // the greatest count a pair can have
)

// exactCoef is the bound below which a coefficient is exactly the sum in the language: the nearest
// float64 to a decimal of up to 15 digits has that decimal as its shortest form.
const exactCoef = 1e15

// testShort sets out to the candidates whose sum or average is in the set of a test. It returns false
// if the sums are not short; out is then meaningless.
func (m *measureLoader) testShort(s *scope, t *vecTest, cand, out []uint64) bool {
	if m.short.failed || m.arg.column == nil || t.typ != tree.NumberType {
		return false
	}
	short := &m.short
	switch {
	case m.fn == tree.SumFn && !m.ranked:
		if short.sums == nil {
			short.sums = (*[query.ChunkSize]uint32)(m.scan.run.scratch.u32.get(query.ChunkSize))
		}
		clear(short.sums[:])
	case m.fn == tree.AvgFn:
		m.clearPairs()
	default:
		return false
	}
	if !m.sumShort(s.chunk, cand) {
		return false
	}
	clear(out)
	if short.sums != nil {
		t.testSums(short.sums, short.scale, cand, out)
	} else {
		short.testAverages(t, cand, out)
	}
	return true
}

func (m *measureLoader) clearPairs() {
	if m.short.pairs == nil {
		m.short.pairs = (*[query.ChunkSize]uint64)(m.scan.run.scratch.words.get(query.ChunkSize))
	}
	clear(m.short.pairs[:])
}

// sumShort adds the rows of a chunk to sums or pairs, which must be clear. It returns false if the sums
// are not short.
func (m *measureLoader) sumShort(chunk int, cand []uint64) bool {
	short := &m.short
	if short.add == nil {
		short.add = m.addShort
	}
	if short.sums == nil && m.scan.series(chunk).Rows > pairRows {
		return false
	}
	short.scale, short.total = -1, 0
	m.scan.each(chunk, cand, short.add)
	switch {
	case short.failed:
	case short.sums != nil:
		short.failed = short.total > math.MaxUint32
	default:
		short.failed = short.total > pairSum
	}
	return !short.failed
}

// addShort adds rows of a block.
func (m *measureLoader) addShort(b *query.Block, rows []uint64) {
	s, v := &m.short, b.Col(m.arg.column.id)
	if v == nil || s.failed {
		return
	}
	if s.scale < 0 {
		s.scale = v.Scale
	}
	lo, hi, ok := v.Bounds()
	if !ok || v.Type != tree.NumberType || v.Scales != nil || v.Scale != s.scale || v.Scale < 0 || v.Scale > 9 || lo < 0 || hi > math.MaxUint32 {
		s.failed = true
		return
	}
	if s.sums != nil {
		s.total += addColumn(s.sums, b, v, rows, 0)
	} else {
		s.total += addColumn(s.pairs, b, v, rows, pairOne)
	}
}

// addColumn adds one plus the value of each row that has a value to the sum of its profile. It returns
// the sum of the values.
func addColumn[S uint32 | uint64](sums *[query.ChunkSize]S, b *query.Block, v *query.Vec, rows []uint64, one S) (total uint64) {
	pos := b.Pos[:b.Rows]
	switch {
	case v.Const || v.I64 != nil:
		eachSelected(b, rows, func(i int) {
			if raw, ok := v.Raw(i); ok {
				sums[pos[i]] += one + S(raw)
				total += uint64(raw)
			}
		})
	case v.U8 != nil:
		return addShorts(sums, pos, v.U8, rows, one, v.Base)
	case v.U16 != nil:
		return addShorts(sums, pos, v.U16, rows, one, v.Base)
	case v.U32 != nil:
		return addShorts(sums, pos, v.U32, rows, one, v.Base)
	}
	return total
}

// addShorts is addColumn for narrow values. The rows of a leaf are ordered by position, and an addition
// must wait for the one before it if both are to the same sum. Taking rows from four quarters in turn
// avoids that wait.
func addShorts[S uint32 | uint64, T uint8 | uint16 | uint32](sums *[query.ChunkSize]S, pos []uint16, vals []T, rows []uint64, one S, base int64) (total uint64) {
	vals = vals[:len(pos)]
	first := uint64(base)
	if rows != nil {
		for w, set := range rows {
			for ; set != 0; set &= set - 1 {
				i := w<<6 | bits.TrailingZeros64(set)
				if x := vals[i]; x != 0 {
					sums[pos[i]] += one + S(first+uint64(x))
					total += first + uint64(x)
				}
			}
		}
		return total
	}
	n := len(pos) / 4
	p0, p1, p2, p3 := pos[:n], pos[n:2*n], pos[2*n:3*n], pos[3*n:4*n]
	v0, v1, v2, v3 := vals[:n], vals[n:2*n], vals[2*n:3*n], vals[3*n:4*n]
	for i := range p0 {
		if x := v0[i]; x != 0 {
			sums[p0[i]] += one + S(first+uint64(x))
			total += first + uint64(x)
		}
		if x := v1[i]; x != 0 {
			sums[p1[i]] += one + S(first+uint64(x))
			total += first + uint64(x)
		}
		if x := v2[i]; x != 0 {
			sums[p2[i]] += one + S(first+uint64(x))
			total += first + uint64(x)
		}
		if x := v3[i]; x != 0 {
			sums[p3[i]] += one + S(first+uint64(x))
			total += first + uint64(x)
		}
	}
	for i := 4 * n; i < len(pos); i++ {
		if x := vals[i]; x != 0 {
			sums[pos[i]] += one + S(first+uint64(x))
			total += first + uint64(x)
		}
	}
	return total
}

// testSums adds the candidates whose sum is in the set of the test to out. The sum of no rows is 0.
func (t *vecTest) testSums(sums *[query.ChunkSize]uint32, scale int8, cand, out []uint64) {
	if t.present {
		copy(out, cand)
		return
	}
	for _, span := range t.scaled(max(scale, 0)) {
		if lo, hi := max(span.lo, 0), min(span.hi, math.MaxUint32); lo <= hi {
			narrowEval(sums[:], uint32(lo), uint32(hi), cand, out)
		}
	}
}

// testAverages adds the candidates whose average is in the set of the test to out. An average is the
// Number of a float64. The float64 itself decides, unless it is near an end of a span.
func (s *shortSums) testAverages(t *vecTest, cand, out []uint64) {
	spans := t.nums
	if t.present {
		spans = []numSpan{{loInf: true, hiInf: true}}
	}
	unit := float64(tree.Pow10(max(s.scale, 0)))
	for k := range spans {
		span := newFloatSpan(spans[k])
		for w, c := range cand {
			if c == 0 {
				continue
			}
			in, unsure := span.test64((*[64]uint64)(s.pairs[w*64:]), unit)
			for unsure &= c; unsure != 0; unsure &= unsure - 1 {
				i := bits.TrailingZeros64(unsure)
				if n, _ := tree.FromFloat(average(s.pairs[w*64+i], unit)); spans[k].has(n) {
					in |= 1 << i
				}
			}
			out[w] |= in & c
		}
	}
}

// average returns the float64 nearest to the average of a pair, NaN if it has no values. The sum is
// exact as a float64. So is the divisor, as unit is a power of two times at most 5^9 and a count has 24
// bits.
func average(pair uint64, unit float64) float64 {
	return float64(int64(pair&pairSum)) / (unit * float64(int64(pair>>pairBits)))
}

// test64 returns which of 64 averages are in the span, and for which of them the Number must decide.
func (s *floatSpan) test64(pairs *[64]uint64, unit float64) (in, unsure uint64) {
	for i, pair := range pairs {
		f := average(pair, unit)
		var above, below, under, over uint64
		if f > s.above {
			above = 1
		}
		if f < s.below {
			below = 1
		}
		if f >= s.under {
			under = 1
		}
		if f <= s.over {
			over = 1
		}
		in |= (above & below) << i
		unsure |= (under & over &^ (above & below)) << i
	}
	return in, unsure
}

// floatSpan is a numSpan for floats. Floats between above and below are in it. Floats less than under
// or greater than over are not. All others are too near an end to tell.
type floatSpan struct{ under, above, below, over float64 }

// floatMargin is much more than the relative difference between a Number and its float64.
const floatMargin = 1e-12

// newFloatSpan returns the floatSpan of s.
func newFloatSpan(s numSpan) floatSpan {
	out := floatSpan{math.Inf(-1), math.Inf(-1), math.Inf(1), math.Inf(1)}
	if !s.loInf {
		lo := s.lo.Float64()
		out.under, out.above = lo-math.Abs(lo)*floatMargin, lo+math.Abs(lo)*floatMargin
	}
	if !s.hiInf {
		hi := s.hi.Float64()
		out.below, out.over = hi-math.Abs(hi)*floatMargin, hi+math.Abs(hi)*floatMargin
	}
	return out
}
