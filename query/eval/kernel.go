package eval

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// vecTest applies a test to the encoded integers of Vecs. A constant is converted to raw integers once
// per scale, and a text form is evaluated once per dictionary code. It is for one goroutine.
type vecTest struct {
	*test
	scratch *Scratch
	byScale [tree.MaxScale + 1][]span
	dict    query.Dict
	codes   *codeTable
	tables  map[query.Dict]*codeTable
	source  int       // of tables, see Scratch.NextSource
	spare   [][]uint8 // buffers of dropped tables
}

// codeTable has the results for the codes of one dictionary.
type codeTable struct {
	spans   []span  // codes of keys
	decided []uint8 // 0 not evaluated, 1 false, 2 true
}

var everything = []span{{math.MinInt64, math.MaxInt64}}

func newVecTest(t *test, s *Scratch) *vecTest { return &vecTest{test: t, scratch: s} }

// eval sets out to the rows of cand whose value is in the set.
//
// REQUIRES: len(out) = len(cand).
func (t *vecTest) eval(v *query.Vec, cand, out []uint64) {
	if v.Type != t.typ || t.typ == tree.NoType {
		clear(out)
		return
	}
	if n := wordsFor(v.Rows); n < len(out) {
		clear(out[n:])
		cand, out = cand[:n], out[:n]
	}
	switch {
	case t.present:
		spansEval(v, everything, cand, out)
	case t.typ == tree.StringType || t.typ == tree.ListType:
		table := t.table(v.Dict)
		if t.holds != nil {
			t.codesEval(v, table, cand, out)
		} else {
			spansEval(v, table.spans, cand, out)
		}
	case t.holds != nil:
		eachRow(v, cand, out, func(raw int64) bool { return t.holds(tree.Time(raw)) })
	case t.typ == tree.NumberType && v.Scales != nil:
		clear(out)
		eachBit(cand, func(i int) {
			if i >= v.Rows { // a page may end within a word
				return
			}
			if x := v.Value(i); !x.Missing() && t.number(x.Number()) {
				set(out, i)
			}
		})
	case t.typ == tree.NumberType:
		spansEval(v, t.scaled(v.Scale), cand, out)
	default:
		spansEval(v, t.ints, cand, out)
	}
}

// pageWords is a set of the rows of a page.
type pageWords [query.PageRows / 64]uint64

func (p *pageWords) any() bool {
	return p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7] != 0
}

// fewInPage is the number of candidates in a page below which four-byte values are tested one by one,
// as they touch fewer cache lines.
const fewInPage = 16

// evalPage is eval for a full page of narrow integers tested for one span, the most common case. It
// returns false for other pages and tests.
func (t *vecTest) evalPage(v *query.Vec, cand, out *pageWords) bool {
	if v.Rows != query.PageRows || v.Type != t.typ || t.holds != nil || v.Scales != nil {
		return false
	}
	spans := t.ints
	switch {
	case t.present:
		spans = everything
	case t.typ == tree.NumberType:
		spans = t.scaled(v.Scale)
	case t.typ == tree.StringType:
		spans = t.table(v.Dict).spans
	}
	if len(spans) != 1 {
		return false
	}
	s := spans[0]
	if v.Bounded && s.lo <= v.Lo && v.Hi <= s.hi {
		s = everything[0]
	}
	ok := !v.Bounded || v.Lo <= s.hi && s.lo <= v.Hi
	var lo, hi int64
	switch {
	case !ok:
	case v.U8 != nil:
		if lo, hi, ok = offsets(s, v.Base, math.MaxUint8); ok {
			lanes.Within(v.U8, uint8(lo), uint8(hi), out[:])
		}
	case v.U16 != nil:
		if lo, hi, ok = offsets(s, v.Base, math.MaxUint16); ok {
			lanes.Within(v.U16, uint16(lo), uint16(hi), out[:])
		}
	case v.U32 != nil:
		if lo, hi, ok = offsets(s, v.Base, math.MaxUint32); !ok {
			break
		}
		if lanes.Count(cand[:]) < fewInPage {
			sparseWithin((*[query.PageRows]uint32)(v.U32), uint32(lo), uint32(hi), cand, out)
			return true
		}
		lanes.Within(v.U32, uint32(lo), uint32(hi), out[:])
	default:
		return false
	}
	if !ok {
		*out = pageWords{}
		return true
	}
	for w := range out {
		out[w] &= cand[w]
	}
	return true
}

// sparseWithin sets out to the candidates with lo <= value <= hi. It reads no other values.
func sparseWithin(vals *[query.PageRows]uint32, lo, hi uint32, cand, out *pageWords) {
	for w, c := range cand {
		var in uint64
		for ; c != 0; c &= c - 1 {
			if vals[w<<6|bits.TrailingZeros64(c)]-lo <= hi-lo {
				in |= c & -c
			}
		}
		out[w] = in
	}
}

// tableBytes is charged for a table, in addition to its results.
const tableBytes = 160

// table returns the table of a dictionary, and creates it at the first call.
func (t *vecTest) table(d query.Dict) *codeTable {
	if t.codes != nil && t.dict == d {
		return t.codes
	}
	if t.source != t.scratch.source {
		t.dropTables()
	}
	table := t.tables[d]
	if table == nil {
		t.scratch.charge(tableBytes + 16*len(t.keys))
		table = &codeTable{}
		for _, k := range t.keys {
			if code, ok := d.Find(k); ok {
				table.spans = append(table.spans, span{int64(code), int64(code)})
			}
		}
		table.spans = merged(table.spans)
		if t.holds != nil {
			table.decided = t.newDecided(d.Len())
		}
		if t.tables == nil {
			t.tables = map[query.Dict]*codeTable{}
		}
		t.tables[d] = table
	}
	t.dict, t.codes = d, table
	return table
}

// dropTables drops the tables of an earlier source.
func (t *vecTest) dropTables() {
	for _, table := range t.tables {
		if table.decided != nil {
			t.spare = append(t.spare, table.decided)
		}
	}
	clear(t.tables)
	t.source = t.scratch.source
}

// newDecided returns a buffer for n codes, none of them evaluated.
func (t *vecTest) newDecided(n int) []uint8 {
	var decided []uint8
	if k := len(t.spare); k > 0 {
		decided, t.spare = t.spare[k-1], t.spare[:k-1]
	}
	decided = t.scratch.u8.sized(decided, n)
	clear(decided)
	return decided
}

// codesEval evaluates each code when it is first needed.
func (t *vecTest) codesEval(v *query.Vec, table *codeTable, cand, out []uint64) {
	t.growDecided(table, v.Dict)
	clear(out)
	switch {
	case v.U8 != nil:
		narrowCodes(t, v, v.U8[:v.Rows], table.decided, cand, out)
	case v.U16 != nil:
		narrowCodes(t, v, v.U16[:v.Rows], table.decided, cand, out)
	case v.U32 != nil:
		narrowCodes(t, v, v.U32[:v.Rows], table.decided, cand, out)
	default:
		eachRow(v, cand, out, func(raw int64) bool { return t.decide(v.Dict, table.decided, raw) })
	}
}

// growDecided makes a table long enough for all codes of its dictionary, which may have grown.
func (t *vecTest) growDecided(table *codeTable, d query.Dict) {
	if n := d.Len(); n > len(table.decided) {
		known := table.decided
		table.decided = t.scratch.u8.extend(known, n-len(known))[:n]
		clear(table.decided[len(known):])
	}
}

// decide reports whether the value of a code is in the set, and stores the result.
func (t *vecTest) decide(dict query.Dict, decided []uint8, code int64) bool {
	d := &decided[code]
	if *d == 0 {
		v := dict.Value(uint32(code))
		if !t.scratch.Spend(t.workOf(v)) {
			return false
		}
		*d = 1
		if t.holds(v) {
			*d = 2
		}
	}
	return *d == 2
}

func narrowCodes[T uint8 | uint16 | uint32](t *vecTest, v *query.Vec, vals []T, decided []uint8, cand, out []uint64) {
	for w, c := range cand {
		rows := vals[min(w*64, len(vals)):min(w*64+64, len(vals))]
		var m uint64
		for ; c != 0; c &= c - 1 {
			i := bits.TrailingZeros64(c)
			if i >= len(rows) {
				break
			}
			if rows[i] == 0 {
				continue
			}
			code := v.Base + int64(rows[i])
			if d := decided[code]; d == 2 || d == 0 && t.decide(v.Dict, decided, code) {
				m |= 1 << i
			}
		}
		out[w] = m
	}
}

// scaled returns the coefficients, as spans, whose numbers at a scale are in the set.
func (t *vecTest) scaled(scale int8) []span {
	if t.byScale[scale] == nil {
		spans := []span{}
		for _, s := range t.nums {
			raw := span{math.MinInt64, math.MaxInt64}
			if !s.loInf {
				raw.lo = firstCoef(scale, s.lo, s.loOpen)
			}
			if !s.hiInf {
				raw.hi = lastCoef(scale, s.hi, s.hiOpen)
			}
			if !raw.empty() && (s.loInf || s.has(tree.Decimal(raw.lo, scale))) && (s.hiInf || s.has(tree.Decimal(raw.hi, scale))) {
				spans = append(spans, raw)
			}
		}
		t.byScale[scale] = merged(spans)
	}
	return t.byScale[scale]
}

// firstCoef returns the least coefficient whose number is at or above n (above, if open), or MaxInt64
// if there is none: the caller checks. Comparison is monotonic in the coefficient, even with a float,
// so a binary search needs no arithmetic that could round.
func firstCoef(scale int8, n tree.Number, open bool) int64 {
	lo, hi := int64(math.MinInt64+1), int64(math.MaxInt64)
	for lo < hi {
		mid := lo + int64((uint64(hi)-uint64(lo))/2)
		if c := tree.Decimal(mid, scale).Compare(n); c > 0 || c == 0 && !open {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// lastCoef returns the greatest coefficient whose number is at or below n (below, if open).
func lastCoef(scale int8, n tree.Number, open bool) int64 {
	lo, hi := int64(math.MinInt64+1), int64(math.MaxInt64)
	for lo < hi {
		mid := hi - int64((uint64(hi)-uint64(lo))/2)
		if c := tree.Decimal(mid, scale).Compare(n); c < 0 || c == 0 && !open {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// merged sorts the spans and joins those that overlap or touch.
func merged(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	kept := spans[:0]
	for _, s := range spans {
		if n := len(kept); n > 0 && (kept[n-1].hi == math.MaxInt64 || s.lo <= kept[n-1].hi+1) {
			kept[n-1].hi = max(kept[n-1].hi, s.hi)
		} else if !s.empty() {
			kept = append(kept, s)
		}
	}
	return kept
}

// mostPasses is the number of spans up to which narrow rows are compared with each span in turn.
// Comparing 64 rows in one step is faster than searching the span of each.
const mostPasses = 24

// spansEval sets out to the rows of cand whose raw integer is in one of the spans, which are merged.
func spansEval(v *query.Vec, spans []span, cand, out []uint64) {
	clear(out)
	if len(spans) > mostPasses || len(spans) > 4 && v.I64 != nil {
		eachRow(v, cand, out, func(raw int64) bool {
			i, exact := slices.BinarySearchFunc(spans, raw, func(s span, raw int64) int { return cmp.Compare(s.lo, raw) })
			return exact || i > 0 && raw <= spans[i-1].hi
		})
		return
	}
	for _, s := range spans {
		spanEval(v, s, cand, out)
	}
}

// spanEval adds the rows of cand whose raw integer is in s to out.
func spanEval(v *query.Vec, s span, cand, out []uint64) {
	if v.Bounded {
		if s.hi < v.Lo || s.lo > v.Hi {
			return
		}
		if s.lo <= v.Lo && v.Hi <= s.hi {
			s = everything[0]
		}
	}
	switch {
	case v.Const:
		if s.lo <= v.Base && v.Base <= s.hi {
			orRows(cand, out, v.Rows)
		}
	case v.U8 != nil:
		if lo, hi, ok := offsets(s, v.Base, math.MaxUint8); ok {
			narrowEval(v.U8[:v.Rows], uint8(lo), uint8(hi), cand, out)
		}
	case v.U16 != nil:
		if lo, hi, ok := offsets(s, v.Base, math.MaxUint16); ok {
			narrowEval(v.U16[:v.Rows], uint16(lo), uint16(hi), cand, out)
		}
	case v.U32 != nil:
		if lo, hi, ok := offsets(s, v.Base, math.MaxUint32); ok {
			narrowEval(v.U32[:v.Rows], uint32(lo), uint32(hi), cand, out)
		}
	case v.Scales != nil: // only for `is set`: a float may have any bits
		eachBit(cand, func(i int) {
			if i >= v.Rows {
				return
			}
			if _, ok := v.Raw(i); ok {
				set(out, i)
			}
		})
	case v.I64 != nil:
		s.lo = max(s.lo, query.VecMissing+1)
		if !s.empty() {
			wideEval(v.I64[:v.Rows], s, cand, out)
		}
	}
}

// offsets converts a span of raw integers to a span of stored values, 1 to limit. ok is false if it is
// empty.
func offsets(s span, base, limit int64) (lo, hi int64, ok bool) {
	first, last := base+1, base+limit
	if last < base {
		last = math.MaxInt64
	}
	if s.hi < first || s.lo > last {
		return 0, 0, false
	}
	return max(s.lo, first) - base, min(s.hi, last) - base, !s.empty()
}

// All rows of groupWords words are compared together if one of the words has more than fewRows candidates.
const (
	groupWords = 8
	fewRows    = 3
)

// narrowEval adds the rows of cand with lo <= value <= hi to out.
func narrowEval[T lanes.Value](vals []T, lo, hi T, cand, out []uint64) {
	var inside [groupWords]uint64
	words := wordsFor(len(vals))
	for first := 0; first < words; first += groupWords {
		end := min(first+groupWords, words)
		group := cand[first:end]
		if dense(group) {
			lanes.Within(vals[first*64:min(end*64, len(vals))], lo, hi, inside[:end-first])
			for w, c := range group {
				out[first+w] |= inside[w] & c
			}
			continue
		}
		for w, c := range group {
			for ; c != 0; c &= c - 1 {
				i := (first+w)<<6 | bits.TrailingZeros64(c)
				if i < len(vals) && vals[i]-lo <= hi-lo {
					out[first+w] |= c & -c
				}
			}
		}
	}
}

func dense(words []uint64) bool {
	for _, x := range words {
		if bits.OnesCount64(x) > fewRows {
			return true
		}
	}
	return false
}

func wideEval(vals []int64, s span, cand, out []uint64) {
	width := uint64(s.hi) - uint64(s.lo)
	for w, c := range cand {
		if c == 0 {
			continue
		}
		rows := vals[min(w*64, len(vals)):min(w*64+64, len(vals))]
		var m uint64
		for ; c != 0; c &= c - 1 {
			if i := bits.TrailingZeros64(c); i < len(rows) && uint64(rows[i])-uint64(s.lo) <= width {
				m |= 1 << i
			}
		}
		out[w] |= m
	}
}

// eachRow sets out to the rows of cand that have a value for which keep returns true.
func eachRow(v *query.Vec, cand, out []uint64, keep func(raw int64) bool) {
	clear(out)
	eachBit(cand, func(i int) {
		if i >= v.Rows {
			return
		}
		if raw, ok := v.Raw(i); ok && keep(raw) {
			set(out, i)
		}
	})
}

// orRows adds the elements of cand below rows to out.
func orRows(cand, out []uint64, rows int) {
	for w := range out {
		c := cand[w]
		if left := rows - w*64; left < 64 {
			if left <= 0 {
				return
			}
			c &= 1<<left - 1
		}
		out[w] |= c
	}
}

func eachBit(words []uint64, yield func(i int)) {
	for w, x := range words {
		for ; x != 0; x &= x - 1 {
			yield(w<<6 | bits.TrailingZeros64(x))
		}
	}
}
