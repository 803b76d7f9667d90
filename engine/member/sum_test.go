package member

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/tree"
)

func ratOf(n tree.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(n.String())
	return r
}

// drawLiteral draws a number to compare sums with: near a coefficient, between two, or far away.
func drawLiteral(rng *rand.Rand) tree.Number {
	coef := rng.Int64N(4000) - 2000
	switch rng.IntN(5) {
	case 0:
		coef = math.MaxInt32 + rng.Int64N(5) - 2
	case 1:
		coef = math.MinInt32 + rng.Int64N(5) - 2
	case 2:
		coef = int64(rng.Uint64()) >> rng.IntN(64)
	}
	return tree.Decimal(max(coef, -math.MaxInt64), int8(rng.IntN(13)))
}

// TestFloorAt: floorAt returns the largest coefficient not above a number, and whether it equals it.
func TestFloorAt(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 46))
	for range 20_000 {
		n, scale := drawLiteral(rng), int8(rng.IntN(10))
		coef, exact := floorAt(n, scale)
		scaled := new(big.Rat).Mul(ratOf(n), new(big.Rat).SetInt64(tree.Pow10(scale)))
		want := new(big.Int).Div(scaled.Num(), scaled.Denom()) // Euclidean division rounds down
		if !want.IsInt64() || want.Int64() > 1<<32 || want.Int64() < -1<<32 {
			if coef <= 1<<31 && coef >= -1<<31 || coef > 0 != (want.Sign() > 0) {
				t.Fatalf("seed %d: %v at %d is %d, want beyond all sums", seed, n, scale, coef)
			}
			continue
		}
		if coef != want.Int64() || exact != scaled.IsInt() {
			t.Fatalf("seed %d: %v at %d is %d, exact %t, want %v", seed, n, scale, coef, exact, want)
		}
	}
}

var comparisons = []tree.Op{tree.Eq, tree.Lt, tree.Le, tree.Gt, tree.Ge}

// TestSumThresholds: a threshold admits exactly the coefficients that satisfy its comparison.
func TestSumThresholds(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 47))
	for range 2000 {
		k := &counter{amount: &amount{scale: int8(rng.IntN(10))}}
		n := drawLiteral(rng)
		for _, o := range comparisons {
			l := k.limitSum(o, n)
			if k.limitSum(o, n) != l || l.bare != o.Holds(-ratOf(n).Sign()) {
				t.Fatalf("seed %d: %v %v was added twice, or bare is %t", seed, o, n, l.bare)
			}
			below, _ := floorAt(n, k.amount.scale)
			for _, coef := range []int64{below - 1, below, below + 1, 0, -1, 1, math.MinInt32 + 1, math.MaxInt32} {
				if coef <= math.MinInt32 || coef > math.MaxInt32 {
					continue
				}
				want := o.Holds(new(big.Rat).SetFrac64(coef, tree.Pow10(k.amount.scale)).Cmp(ratOf(n)))
				if l.admits(coef) != want {
					t.Fatalf("seed %d: %d at %d %v %v is %t", seed, coef, k.amount.scale, o, n, !want)
				}
			}
		}
		if len(k.limits) != len(comparisons) {
			t.Fatalf("seed %d: %d thresholds", seed, len(k.limits))
		}
	}
}

// TestSumsAreExact: sums of any size and number of decimals, added coefficient by coefficient or replaced,
// are exact within and beyond four bytes, and each step flips exactly the thresholds it crosses.
func TestSumsAreExact(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 48))
	w := newWorld(t, storyNames(1))
	for range 40 {
		tr := New(w, w.schema, noon)
		k := &counter{t: tr, at: tr.rows.place(4), amount: &amount{scale: int8(rng.IntN(10))}}
		for range 3 {
			k.limitSum(comparisons[rng.IntN(len(comparisons))], drawLiteral(rng)).users = []user{{segment: &segment{}}}
		}
		want := map[uint32]*big.Rat{1: {}, 700: {}}
		spilled := 0
		for range 300 {
			ordinal := []uint32{1, 700}[rng.IntN(2)]
			before := make([]bool, len(k.limits))
			for i, l := range k.limits {
				before[i] = l.holds(tr.rows.row(ordinal), ordinal)
			}
			tr.marks = tr.marks[:0]
			change(rng, k, ordinal, want[ordinal])
			if got := billionths(k.sumOf(ordinal)); got.Cmp(want[ordinal]) != 0 {
				t.Fatalf("seed %d: %s, want %s", seed, got.FloatString(9), want[ordinal].FloatString(9))
			}
			spilled += len(k.sums)
			for i, l := range k.limits {
				is := l.holds(tr.rows.row(ordinal), ordinal)
				flips := 0
				for _, m := range tr.marks {
					if m.leaf == l && m.ordinal == ordinal {
						flips++
					}
				}
				if wanted := l.op.Holds(want[ordinal].Cmp(ratOf(l.literal))); is != wanted || flips != 0 != (is != before[i]) {
					t.Fatalf("seed %d: %s %v %v is %t, was %t, and flipped %d times", seed, want[ordinal].FloatString(9), l.op, l.literal, is, before[i], flips)
				}
			}
		}
		if k.gone(1); len(k.sums) > 1 {
			t.Fatalf("seed %d: a removed profile has a sum", seed)
		}
		if spilled == 0 {
			t.Errorf("seed %d: no sum exceeded four bytes", seed)
		}
	}
}

// change adds to a sum, or replaces it, and does the same to its twin.
func change(rng *rand.Rand, k *counter, ordinal uint32, twin *big.Rat) {
	coef := rng.Int64N(2000) - 1000
	switch rng.IntN(6) {
	case 0:
		coef = math.MaxInt32 - rng.Int64N(3)
	case 1:
		coef = math.MinInt32 + rng.Int64N(3)
	case 2:
		coef = rng.Int64N(1<<40) - 1<<39
	case 3: // with decimals that a coefficient cannot represent
		some := tree.Sum{}.AddInt(rng.Int64N(1<<40) - 1<<39)
		k.setSum(ordinal, some)
		twin.Set(billionths(some))
		return
	}
	k.addSum(ordinal, coef)
	twin.Add(twin, new(big.Rat).SetFrac64(coef, tree.Pow10(k.amount.scale)))
}

// TestAmounts: what an event adds is exact, whatever its column looks like, and is a coefficient where
// there is an exact one.
func TestAmounts(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 49))
	w := newWorld(t, storyNames(2))
	event, _ := w.schema.Event("A")
	property, _, _ := w.schema.Property(event, "amount")
	numbers := []string{"0", "1", "-1", "2.5", "0.01", "-0.001", "2147483647", "-2147483648", "2147483648", "21474836.47", "0.000000001", "0.0000000004", "1e17", "1e300", "9223372036854775807", "33.333333333"}
	for range 300 {
		values := make([]tree.Value, 6)
		for i := range values {
			n, _ := tree.ParseNumber(numbers[rng.IntN(len(numbers))])
			if values[i] = tree.Num(n); rng.IntN(5) == 0 {
				values[i] = tree.Value{}
			}
		}
		column := w.dict.column(values, tree.NumberType)
		b := &query.Block{Rows: len(values), Times: make([]int64, len(values)), Pos: make([]uint16, len(values)), Cols: make([]*query.Vec, property+1)}
		b.Cols[property] = &column
		for _, arg := range []tree.Expr{&tree.Name{Name: "amount"}, &tree.Arith{Op: tree.MulOp, L: &tree.Name{Name: "amount"}, R: &tree.Literal{Value: tree.NumInt(2)}}} {
			value, err := match.CompileValue(w.schema, nil, event, arg)
			if err != nil {
				t.Fatal(err)
			}
			a := newAmount(New(w, w.schema, noon), &step{event: event}, arg, value)
			a.scale = int8(rng.IntN(10))
			for row, v := range values {
				want := addend(v, arg)
				if got := billionths(a.sum(b, row)); got.Cmp(want) != 0 {
					t.Fatalf("seed %d: %v adds %s, want %s", seed, v, got.FloatString(9), want.FloatString(9))
				}
				if coef, ok := a.of(b, row); ok && new(big.Rat).SetFrac64(coef, tree.Pow10(a.scale)).Cmp(want) != 0 {
					t.Fatalf("seed %d: %v adds %d at %d, want %s", seed, v, coef, a.scale, want.FloatString(9))
				} else if back, has := a.coefficient(a.sum(b, row)); has && (!ok || back != coef || a.exact(coef) != a.sum(b, row)) {
					t.Fatalf("seed %d: %v adds %d or %d at %d (%t)", seed, v, coef, back, a.scale, ok)
				}
			}
		}
	}
}

// addend returns what a value adds to sum(amount) or sum(amount * 2): rounded to billionths, 0 beyond 10^18.
func addend(v tree.Value, arg tree.Expr) *big.Rat {
	r := new(big.Rat)
	if v.Missing() {
		return r
	}
	r.Set(ratOf(v.Number()))
	if _, twice := arg.(*tree.Arith); twice {
		n, _ := v.Number().Mul(tree.Int(2))
		r.Set(ratOf(n))
	}
	if limit := new(big.Rat).SetInt64(1e18); r.Cmp(limit) > 0 || new(big.Rat).Neg(r).Cmp(limit) > 0 {
		return new(big.Rat)
	}
	rounded, _ := new(big.Rat).SetString(r.FloatString(9)) // half away from zero
	return rounded
}
