package eval

import (
	"math"
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// shortSums are the sums of a chunk where no value is negative, all have one scale and all of them
// together stay small: then so does each sum, and a sum is a whole coefficient of half the width, or
// stands beside its count in one word. Whether that holds is known when everything is added.
type shortSums struct {
	scale  int8 // -1 until a column was met
	total  uint64
	failed bool
	sums   *[query.ChunkSize]uint32 // sum
	pairs  *[query.ChunkSize]uint64 // avg: the count above the sum
	add    func(b *query.Block, rows []uint64)
}

const (
	pairBits = 40
	pairSum  = 1<<pairBits - 1
	pairOne  = 1 << pairBits
	pairRows = 1<<(64-pairBits) - 1 // that a count can hold
)

// exactCoef is the number below which a coefficient is that of its sum: the nearest float64 to a decimal
// of up to 15 digits has that decimal as its shortest form.
const exactCoef = 1e15

// testShort sets out to the candidates whose sum or average a test admits; false when sums are not
// short, out is then without meaning.
func (m *measureLoader) testShort(s *scope, t *vecTest, cand, out []uint64) bool {
	if m.short.failed || m.arg.column == nil || t.typ != tree.NumberType {
		return false
	}
	short := &m.short
	switch {
	case m.fn == tree.SumFn && !m.ranked:
		if short.sums == nil {
			short.sums = (*[query.ChunkSize]uint32)(m.scan.run.stock.u32.take(query.ChunkSize))
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
		m.short.pairs = (*[query.ChunkSize]uint64)(m.scan.run.stock.words.take(query.ChunkSize))
	}
	clear(m.short.pairs[:])
}

// sumShort adds the rows of a chunk to sums or pairs, which are clear; false when they are not short.
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

// addColumn adds one and the value to the sum of each row's profile that has one, and returns the sum of
// the values.
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

// addShorts is addColumn of narrow values. Rows of a leaf are ordered by position, and adding to a sum
// that was just added to waits for it: so rows of four quarters take turns.
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

// testSums adds to out who has a sum the test admits. Of no rows the sum is 0.
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

// testAverages adds to out who has an average the test admits. An average is the Number of a float64; where
// that float64 is not near the end of a stretch, it decides.
func (s *shortSums) testAverages(t *vecTest, cand, out []uint64) {
	spans := t.nums
	if t.present {
		spans = []numSpan{{loInf: true, hiInf: true}}
	}
	unit := float64(tree.Pow10(max(s.scale, 0)))
	for k := range spans {
		span := near(spans[k])
		for w, c := range cand {
			if c == 0 {
				continue
			}
			in, unsure := span.word((*[64]uint64)(s.pairs[w*64:]), unit)
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

// average is the float64 nearest to that of a pair, NaN without values: a float64 holds the sum, and the
// divisor too, for unit is a power of two times at most 5^9 and a count has 24 bits.
func average(pair uint64, unit float64) float64 {
	return float64(int64(pair&pairSum)) / (unit * float64(int64(pair>>pairBits)))
}

// word tells which averages are in the span, and of which that has to be asked of their Numbers.
func (s *floatSpan) word(pairs *[64]uint64, unit float64) (in, unsure uint64) {
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

// floatSpan is a numSpan for floats: between above and below they are in it, under and over they are not,
// and elsewhere they are too near to an end to tell.
type floatSpan struct{ under, above, below, over float64 }

// nearFloat is far more than what a Number and its float64 can differ by, relatively.
const nearFloat = 1e-12

func near(s numSpan) floatSpan {
	out := floatSpan{math.Inf(-1), math.Inf(-1), math.Inf(1), math.Inf(1)}
	if !s.loInf {
		lo := s.lo.Float64()
		out.under, out.above = lo-math.Abs(lo)*nearFloat, lo+math.Abs(lo)*nearFloat
	}
	if !s.hiInf {
		hi := s.hi.Float64()
		out.below, out.over = hi-math.Abs(hi)*nearFloat, hi+math.Abs(hi)*nearFloat
	}
	return out
}
