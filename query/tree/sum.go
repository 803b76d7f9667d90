package tree

import (
	"math"
	"math/big"
	"math/bits"
)

// Sum adds numbers exactly. Each is rounded to nine decimals (half away from zero) and added as a 128-bit
// integer of billionths, so the result does not depend on the order of the numbers, nor on how they are
// split over shards. The zero Sum is 0. Equal Sums are ==.
type Sum struct {
	Hi int64
	Lo uint64
}

// sumLimit is the magnitude beyond which a value counts as missing.
const sumLimit = 1e18

// Billionths returns the Sum of n alone. ok is false beyond ±10^18, where n counts as missing.
func Billionths(n Number) (s Sum, ok bool) {
	if n.IsFloat() {
		return floatBillionths(n.Float64())
	}
	magnitude, negative := uint64(n.Coef), n.Coef < 0
	if negative {
		magnitude = -magnitude
	}
	var hi, lo uint64
	if n.Scale <= 9 {
		if n.Scale == 0 && magnitude > sumLimit {
			return Sum{}, false
		}
		hi, lo = bits.Mul64(magnitude, pow10[9-n.Scale])
	} else {
		unit := pow10[n.Scale-9]
		lo = magnitude / unit
		if magnitude%unit >= unit/2 {
			lo++
		}
	}
	s = Sum{int64(hi), lo}
	if negative {
		s = s.Neg()
	}
	return s, true
}

func floatBillionths(f float64) (Sum, bool) {
	if math.Abs(f) > sumLimit {
		return Sum{}, false
	}
	if math.Abs(f) < 1e-10 {
		return Sum{}, true
	}
	r := new(big.Rat).SetFloat64(f)
	r.Mul(r, big.NewRat(1e9, 1))
	q, m := new(big.Int).QuoRem(new(big.Int).Abs(r.Num()), r.Denom(), new(big.Int))
	if m.Lsh(m, 1).Cmp(r.Denom()) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	s := Sum{new(big.Int).Rsh(q, 64).Int64(), new(big.Int).And(q, new(big.Int).SetUint64(math.MaxUint64)).Uint64()}
	if f < 0 {
		s = s.Neg()
	}
	return s, true
}

// Add returns s + t.
func (s Sum) Add(t Sum) Sum {
	lo, carry := bits.Add64(s.Lo, t.Lo, 0)
	return Sum{s.Hi + t.Hi + int64(carry), lo}
}

// AddInt returns s plus i billionths.
func (s Sum) AddInt(i int64) Sum { return s.Add(Sum{i >> 63, uint64(i)}) }

// Neg returns -s.
func (s Sum) Neg() Sum {
	lo, borrow := bits.Sub64(0, s.Lo, 0)
	return Sum{-s.Hi - int64(borrow), lo}
}

// Float64 returns the float64 nearest to s billionths.
func (s Sum) Float64() float64 { return s.over(1) }

// Number returns the sum as the Number of its float64.
func (s Sum) Number() Number {
	n, _ := FromFloat(s.Float64())
	return n
}

// Average returns the Number of the float64 nearest to the exact quotient of s and count. ok is false if
// count is 0.
func (s Sum) Average(count int64) (Number, bool) {
	if count == 0 {
		return Number{}, false
	}
	return FromFloat(s.over(count))
}

// over returns the float64 nearest to s billionths / count. REQUIRES: count > 0.
func (s Sum) over(count int64) float64 {
	if i := int64(s.Lo); s.Hi == i>>63 && i > -1<<53 && i < 1<<53 && count < 1<<32 {
		// 10^9 is 2^9 × 5^9, so a float64 also holds the divisor exactly, and the quotient is the nearest.
		return float64(i) / (float64(count) * 1e9)
	}
	if count >= 1<<34 { // count billion does not fit 64 bits
		b := new(big.Int).Lsh(big.NewInt(s.Hi), 64)
		b.Add(b, new(big.Int).SetUint64(s.Lo))
		f, _ := new(big.Rat).SetFrac(b, new(big.Int).Mul(big.NewInt(count), big.NewInt(1e9))).Float64()
		return f
	}
	f := s.quotient(uint64(count) * 1e9)
	if s.Hi < 0 {
		return -f
	}
	return f
}

// quotient returns the float64 nearest to |s| / divisor. REQUIRES: neither is 0.
func (s Sum) quotient(divisor uint64) float64 {
	if s.Hi < 0 {
		s = s.Neg()
	}
	hi, lo := uint64(s.Hi), s.Lo
	up := bits.LeadingZeros64(hi)
	if hi == 0 {
		up = 64 + bits.LeadingZeros64(lo)
	}
	if up--; up >= 64 { // the second highest bit of the dividend is set, and the highest of the divisor: the quotient fits 64 bits
		hi, lo = lo<<(up-64), 0
	} else {
		hi, lo = hi<<up|lo>>(64-up), lo<<up
	}
	down := bits.LeadingZeros64(divisor)
	q, rest := bits.Div64(hi, lo, divisor<<down)
	if rest != 0 {
		q |= 1 // a sticky bit, far below the last bit of a float64, so that it rounds correctly
	}
	return math.Ldexp(float64(q), down-up)
}
