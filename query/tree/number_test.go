package tree

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want Number
		ok   bool
	}{
		{"0", Number{}, true},
		{"-0.000", Number{}, true},
		{"3", Int(3), true},
		{"1.50", Number{15, 1}, true},
		{"1.50000000000000000000000", Number{15, 1}, true},
		{"-2", Int(-2), true},
		{"1e3", Int(1000), true},
		{"12.5e-2", Number{125, 3}, true},
		{"9223372036854775807", Int(math.MaxInt64), true},
		{"-9223372036854775807", Int(-math.MaxInt64), true},
		{"123456789012345678", Int(123456789012345678), true},
		{"0.123456789012345678", Number{123456789012345678, 18}, true},
		{"1e300", floatNumber(1e300), true},
		{"18446744073709551616", floatNumber(18446744073709551616), true},
		{"0.1000000000000000055511151231257827", Number{1, 1}, true}, // the float64 0.1, which is 0.1
		{"1e999", Number{}, false},
		{"", Number{}, false},
		{"-", Number{}, false},
		{".", Number{}, false},
		{"1.", Number{}, false},
		{"1e", Number{}, false},
		{"0x1", Number{}, false},
		{"NaN", Number{}, false},
		{"1_000", Number{}, false},
	} {
		if got, ok := ParseNumber(c.text); ok != c.ok || got != c.want {
			t.Errorf("ParseNumber(%q) = %+v, %v; want %+v, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func rat(n Number) *big.Rat {
	if n.IsFloat() {
		return new(big.Rat).SetFloat64(n.Float64())
	}
	return new(big.Rat).SetFrac(big.NewInt(n.Coef), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Scale)), nil))
}

func randomNumber(rng *rand.Rand) Number {
	coef := rng.Int64() >> rng.IntN(63)
	if rng.IntN(2) == 0 {
		coef = -coef
	}
	n, ok := ParseNumber(strconv.FormatInt(coef/10, 10) + "e-" + strconv.Itoa(rng.IntN(12)))
	if !ok {
		panic("a number of ours does not parse")
	}
	return n
}

// TestArithmetic holds the exact operations against big.Rat.
func TestArithmetic(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 50_000 {
		a, b := randomNumber(rng), randomNumber(rng)
		x, y := rat(a), rat(b)
		exact := !a.IsFloat() && !b.IsFloat()
		if exact && a.Compare(b) != x.Cmp(y) {
			t.Fatalf("seed %d: compare %v with %v: %d", seed, a, b, a.Compare(b))
		}
		sum, _ := a.Add(b)
		product, _ := a.Mul(b)
		difference, _ := a.Sub(b)
		for _, c := range []struct {
			got  Number
			want *big.Rat
		}{{sum, new(big.Rat).Add(x, y)}, {product, new(big.Rat).Mul(x, y)}, {difference, new(big.Rat).Sub(x, y)}} {
			if want, ok := ParseNumber(decimalText(c.want)); exact && ok && !want.IsFloat() && rat(want).Cmp(c.want) == 0 && c.got != want {
				t.Fatalf("seed %d: %v and %v gave %v, want %v", seed, a, b, c.got, want)
			}
		}
		if again, ok := ParseNumber(a.String()); !ok || again != a {
			t.Fatalf("seed %d: %+v is written %s and read as %+v", seed, a, a, again)
		}
		if f, _ := x.Float64(); f != a.Float64() {
			t.Fatalf("seed %d: Float64 of %v is %v, want %v", seed, a, a.Float64(), f)
		}
	}
}

func decimalText(r *big.Rat) string {
	return strings.TrimRight(r.FloatString(40), "0") + "0"
}

// TestSum holds sums of billionths against big.Rat, in two orders.
func TestSum(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 2_000 {
		var forward, backward Sum
		want := new(big.Rat)
		numbers := make([]Number, rng.IntN(20))
		for i := range numbers {
			numbers[i] = randomNumber(rng)
			s, ok := Billionths(numbers[i])
			if limit := big.NewRat(1e18, 1); ok != (new(big.Rat).Abs(rat(numbers[i])).Cmp(limit) <= 0) {
				t.Fatalf("seed %d: Billionths(%v) ok = %v", seed, numbers[i], ok)
			}
			if ok {
				forward = forward.Add(s)
				rounded, _ := new(big.Rat).SetString(rat(numbers[i]).FloatString(9)) // half away from zero
				want.Add(want, rounded)
			}
		}
		for i := len(numbers) - 1; i >= 0; i-- {
			if s, ok := Billionths(numbers[i]); ok {
				backward = backward.Add(s)
			}
		}
		if forward != backward {
			t.Fatalf("seed %d: the order of %v matters", seed, numbers)
		}
		if f, _ := want.Float64(); f != forward.Float64() {
			t.Fatalf("seed %d: sum of %v is %v, want %v", seed, numbers, forward.Float64(), f)
		}
	}
}

func TestSumOfTenths(t *testing.T) {
	a, _ := Billionths(Number{1, 1})
	b, _ := Billionths(Number{2, 1})
	if got := a.Add(b).Number(); got != (Number{3, 1}) {
		t.Errorf("0.1 + 0.2 = %v", got)
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"1", "-0.5", "1e10", "123456789012345678901234567890.5", "5e-324", "1e-19"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := ParseNumber(text)
		if !ok {
			return
		}
		if again, ok := ParseNumber(n.String()); !ok || again != n {
			t.Fatalf("%q is %+v, written %s, read as %+v", text, n, n, again)
		}
	})
}
