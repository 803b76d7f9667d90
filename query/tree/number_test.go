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
		panic("a generated number does not parse")
	}
	return n
}

// anyNumber returns a random number of any form, including numbers at the limits of 64 bits and floats
// beyond them.
func anyNumber(rng *rand.Rand) Number {
	switch rng.IntN(6) {
	case 0:
		return Int(math.MaxInt64 - rng.Int64N(2000))
	case 1:
		return Int(-math.MaxInt64 + rng.Int64N(2000))
	case 2:
		n, _ := FromFloat(math.Ldexp(float64(1-2*rng.IntN(2))*(1+float64(rng.IntN(4))*0x1p-52), 62+rng.IntN(4)))
		return n
	case 3:
		n, _ := FromFloat(math.Float64frombits(rng.Uint64()&^(0x7ff<<52) | uint64(1023-100+rng.IntN(200))<<52))
		return n
	}
	return randomNumber(rng)
}

// TestArithmetic compares the operations with big.Rat: a result with a decimal form must be exact, any other
// result must be rounded once.
func TestArithmetic(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 50_000 {
		a, b := anyNumber(rng), anyNumber(rng)
		x, y := rat(a), rat(b)
		if a.Compare(b) != x.Cmp(y) {
			t.Fatalf("seed %d: compare %v with %v: %d", seed, a, b, a.Compare(b))
		}
		sum, _ := a.Add(b)
		product, _ := a.Mul(b)
		difference, _ := a.Sub(b)
		for _, c := range []struct {
			got  Number
			want *big.Rat
		}{{sum, new(big.Rat).Add(x, y)}, {product, new(big.Rat).Mul(x, y)}, {difference, new(big.Rat).Sub(x, y)}} {
			if want := nearestTo(c.want, true); c.got != want {
				t.Fatalf("seed %d: %v and %v gave %v, want %v", seed, a, b, c.got, want)
			}
		}
		if quotient, ok := a.Div(b); ok != !b.isZero() || ok && quotient != nearestTo(new(big.Rat).Quo(x, y), false) {
			t.Fatalf("seed %d: %v / %v is %v", seed, a, b, quotient)
		}
		if again, ok := ParseNumber(a.String()); !ok || again != a {
			t.Fatalf("seed %d: %+v is written %s and read as %+v", seed, a, a, again)
		}
		if f, _ := x.Float64(); f != a.Float64() {
			t.Fatalf("seed %d: Float64 of %v is %v, want %v", seed, a, a.Float64(), f)
		}
	}
}

// nearestTo returns r exactly if exactly is set and r has a decimal form, else the float64 nearest to r.
func nearestTo(r *big.Rat, exactly bool) Number {
	if n, ok := ParseNumber(decimalText(r)); exactly && ok && !n.IsFloat() && rat(n).Cmp(r) == 0 {
		return n
	}
	f, _ := r.Float64()
	n, _ := FromFloat(f)
	return n
}

// TestEndsOf64Bits compares numbers that are equal as float64.
func TestEndsOf64Bits(t *testing.T) {
	texts := []string{"-18446744073709551616", "-9223372036854775808", "-9223372036854775807", "-9223372036854775806", "9223372036854774784",
		"9223372036854775806", "9223372036854775807", "9223372036854775808", "12000000000000000000"}
	for i, a := range texts {
		n, _ := ParseNumber(a)
		if n.String() != a {
			t.Errorf("%s is written %s", a, n)
		}
		for j, b := range texts {
			if m, _ := ParseNumber(b); n.Compare(m) != cmp(int64(i), int64(j)) {
				t.Errorf("%s compared with %s: %d", a, b, n.Compare(m))
			}
		}
	}
}

// TestBackFromFloats adds to numbers beyond 64 bits what brings them back: the result is exact.
func TestBackFromFloats(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"-9223372036854775808", "34", "-9223372036854775774"},
		{"9223372036854775808", "-1", "9223372036854775807"},
		{"9223372036854775808", "-0.5", "9223372036854775808"},
		{"18446744073709551616", "-9223372036854775809", "9223372036854775808"},
	} {
		a, _ := ParseNumber(c.a)
		b, _ := ParseNumber(c.b)
		if sum, ok := a.Add(b); !ok || sum.String() != c.want {
			t.Errorf("%s + %s is %s, want %s", c.a, c.b, sum, c.want)
		}
	}
	large, _ := ParseNumber("9223372036854775808")
	if half, _ := large.Mul(Decimal(5, 1)); half.String() != "4611686018427387904" {
		t.Errorf("2^63 × 0.5 is %s, want 4611686018427387904", half)
	}
}

// TestAverage compares averages with big.Rat: divided exactly, rounded once.
func TestAverage(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 50_000 {
		s := Sum{Hi: rng.Int64N(1<<62) >> rng.IntN(63), Lo: rng.Uint64() >> rng.IntN(64)}
		if rng.IntN(2) == 0 {
			s.Hi = 0
		}
		if rng.IntN(2) == 0 {
			s = s.Neg()
		}
		count := 1 + rng.Int64()>>rng.IntN(62)
		exact := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(s.Hi), 64), new(big.Int).SetUint64(s.Lo))
		want := new(big.Rat).SetFrac(exact, new(big.Int).Mul(big.NewInt(count), big.NewInt(1e9)))
		if got, _ := s.Average(count); got != nearestTo(want, false) {
			t.Fatalf("seed %d: %v / %d is %v, want %v", seed, s, count, got, nearestTo(want, false))
		}
		if f, _ := new(big.Rat).SetFrac(exact, big.NewInt(1e9)).Float64(); f != s.Float64() {
			t.Fatalf("seed %d: Float64 of %v is %v, want %v", seed, s, s.Float64(), f)
		}
	}
	if _, ok := (Sum{}).Average(0); ok {
		t.Error("the average of no numbers is ok")
	}
}

func decimalText(r *big.Rat) string {
	return strings.TrimRight(r.FloatString(60), "0") + "0"
}

// TestSum compares sums of billionths with big.Rat, in two orders.
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
