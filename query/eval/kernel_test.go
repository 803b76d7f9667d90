package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// numbersAround returns constants at and next to the values of columns, of every scale, and floats.
func numbersAround() []tree.Number {
	var all []tree.Number
	for _, text := range []string{
		"0", "1", "-1", "0.5", "-0.5", "0.1", "2.25", "1.999999999999999999", "254", "255", "256", "65535", "65536",
		"9223372036854775807", "-9223372036854775807", "-9223372036854775808", "1e300", "-1e300", "1e-300", "-1e-300",
		"922337203685477580.7", "0.000000000000000001", "1234567890123456789.5",
	} {
		n, ok := tree.ParseNumber(text)
		if !ok {
			panic(text)
		}
		all = append(all, n)
	}
	return all
}

// vecs returns columns of numbers in every encoding.
func vecs(rng *rand.Rand) []query.Vec {
	const rows = 130
	var all []query.Vec
	for _, scale := range []int8{0, 1, 2, 18} {
		for _, base := range []int64{0, -1, -200, 250, math.MaxInt64 - 70000, math.MinInt64 + 5} {
			v := query.Vec{Type: tree.NumberType, Rows: rows, Scale: scale, Base: base}
			v.U8 = make([]uint8, rows)
			w := query.Vec{Type: tree.NumberType, Rows: rows, Scale: scale, Base: base, U16: make([]uint16, rows)}
			most := uint32(math.MaxUint8)
			if rng.IntN(2) == 0 {
				most = 127 // these are compared by another branch
			}
			for i := range rows {
				v.U8[i], w.U16[i] = uint8(rng.Uint32()&most), uint16(rng.Uint32())
			}
			all = append(all, v, w, query.Vec{Type: tree.NumberType, Rows: rows, Scale: scale, Base: base, Const: true})
		}
		x := query.Vec{Type: tree.NumberType, Rows: rows, Scale: scale, I64: make([]int64, rows)}
		for i := range rows {
			x.I64[i] = []int64{query.VecMissing, 0, 1, -1, 5, 225, math.MaxInt64, math.MinInt64 + 1, int64(rng.Uint64())}[rng.IntN(9)]
		}
		all = append(all, x)
	}
	mixed := query.Vec{Type: tree.NumberType, Rows: rows, I64: make([]int64, rows), Scales: make([]int8, rows)}
	for i := range rows {
		n := numbersAround()[rng.IntN(len(numbersAround()))]
		mixed.I64[i], mixed.Scales[i] = n.Coef, n.Scale
		if rng.IntN(4) == 0 {
			mixed.I64[i], mixed.Scales[i] = query.VecMissing, 0
		}
	}
	return append(all, mixed)
}

// TestEncodedComparisons: every comparison on an encoded column gives the result for the decoded
// values.
func TestEncodedComparisons(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i, v := range vecs(rng) {
		if rng.IntN(2) == 0 && v.Scales == nil {
			v.Bounded, v.Lo, v.Hi = true, math.MaxInt64, math.MinInt64
			for i := range v.Rows {
				if raw, ok := v.Raw(i); ok {
					v.Lo, v.Hi = min(v.Lo, raw), max(v.Hi, raw)
				}
			}
		}
		for _, n := range numbersAround() {
			for op := tree.Eq; op <= tree.Ge; op++ {
				if op == tree.Ne {
					continue
				}
				checkVec(t, fmt.Sprintf("vec %d %v %s", i, op, n), &v, rng, compareTest(tree.NumberType, op, number(n)),
					func(x tree.Value) bool { return op.Holds(x.Number().Compare(n)) })
			}
		}
		lo, hi := tree.Int(-3), tree.Decimal(2005, 1)
		checkVec(t, fmt.Sprintf("vec %d between", i), &v, rng, rangeTest(tree.NumberType, number(lo), number(hi)),
			func(x tree.Value) bool { return x.Number().Compare(lo) >= 0 && x.Number().Compare(hi) <= 0 })
		checkVec(t, fmt.Sprintf("vec %d is set", i), &v, rng, &test{typ: tree.NumberType, present: true}, func(tree.Value) bool { return true })
		checkVec(t, fmt.Sprintf("vec %d of another type", i), &v, rng, &test{typ: tree.TimeType, present: true}, func(tree.Value) bool { return false })
	}
}

func number(n tree.Number) literal { return literal{typ: tree.NumberType, value: tree.Num(n)} }

func checkVec(t *testing.T, name string, v *query.Vec, rng *rand.Rand, q *test, want func(tree.Value) bool) {
	t.Helper()
	cand, out := make([]uint64, 4), make([]uint64, 4) // more words than the column has rows
	for w := range cand {
		cand[w] = rng.Uint64()
		if rng.IntN(3) == 0 {
			cand[w] &= rng.Uint64() & rng.Uint64() & rng.Uint64()
		}
		out[w] = rng.Uint64()
	}
	newVecTest(q, &Scratch{}).eval(v, cand, out)
	for i := range 256 {
		expected := false
		if has(cand, i) && i < v.Rows {
			x := v.Value(i)
			expected = !x.Missing() && want(x)
		}
		if has(out, i) != expected {
			t.Fatalf("%s: row %d is %v, want %v", name, i, has(out, i), expected)
		}
	}
}

// TestCountBounds: countBounds admits exactly the counts that the comparison admits.
func TestCountBounds(t *testing.T) {
	for _, text := range []string{"0", "1", "2.5", "-1", "-0.5", "3", "0.999999999", "9223372036854775807"} {
		n, _ := tree.ParseNumber(text)
		for op := tree.Eq; op <= tree.Ge; op++ {
			lo, hi, ok := countBounds(op, n)
			if !ok {
				if op != tree.Ne && n.Coef != math.MaxInt64 {
					t.Errorf("%v %s: no bounds", op, n)
				}
				continue
			}
			for count := range int64(6) {
				if got, want := lo <= count && (hi < 0 || count <= hi), op.Holds(tree.Int(count).Compare(n)); got != want {
					t.Errorf("%d %v %s: %v by [%d, %d]", count, op, n, got, lo, hi)
				}
			}
		}
	}
}

// TestMerged: merged spans contain the same integers, are in order, and none touches the next.
func TestMerged(t *testing.T) {
	const seed = 8
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		spans := make([]span, rng.IntN(12))
		for i := range spans {
			lo := rng.Int64N(40)
			spans[i] = span{lo, lo + rng.Int64N(5) - 1}
		}
		if len(spans) > 0 && rng.IntN(4) == 0 {
			spans[0].hi = math.MaxInt64
		}
		in := func(spans []span, x int64) bool {
			return slices.ContainsFunc(spans, func(s span) bool { return s.lo <= x && x <= s.hi })
		}
		got := merged(slices.Clone(spans))
		for x := int64(-2); x < 50; x++ {
			if in(got, x) != in(spans, x) {
				t.Fatalf("seed %d: %v became %v, which differs at %d", seed, spans, got, x)
			}
		}
		for i := 1; i < len(got); i++ {
			if got[i-1].hi+1 >= got[i].lo || got[i].empty() {
				t.Fatalf("seed %d: %v became %v: a span is empty or touches the one before it", seed, spans, got)
			}
		}
	}
}
