package tree

import (
	"math"
	"math/big"
	"math/bits"
)

// Compare returns -1, 0 or +1 if n is less than, equal to or greater than m. It compares exact values.
func (n Number) Compare(m Number) int {
	if n.IsFloat() || m.IsFloat() {
		return n.compareFloat(m)
	}
	if n.Scale == m.Scale {
		return cmp(n.Coef, m.Coef)
	}
	if n.Coef < 0 != (m.Coef < 0) || n.Coef == 0 || m.Coef == 0 {
		return cmp(n.Coef, m.Coef)
	}
	nHi, nLo := n.widen(m.Scale)
	mHi, mLo := m.widen(n.Scale)
	c := cmp(nHi, mHi)
	if c == 0 {
		c = cmp(nLo, mLo)
	}
	if n.Coef < 0 {
		return -c
	}
	return c
}

// compareFloat is Compare if n or m is a float. Rounding to float64 keeps the order, so exact values are
// needed only for numbers that round to the same float.
func (n Number) compareFloat(m Number) int {
	if c := cmp(n.Float64(), m.Float64()); c != 0 || n.Scale == m.Scale {
		return c
	}
	return n.Rat().Cmp(m.Rat())
}

// Rat returns the exact value of n.
func (n Number) Rat() *big.Rat {
	if n.IsFloat() {
		return new(big.Rat).SetFloat64(n.Float64())
	}
	return new(big.Rat).SetFrac64(n.Coef, int64(pow10[n.Scale]))
}

// nearest returns the Number of the float64 nearest to r; ok is false beyond the range of float64.
func nearest(r *big.Rat) (Number, bool) {
	f, _ := r.Float64()
	return FromFloat(f)
}

// widen returns |n.Coef| at the larger of the scales n.Scale and scale, as 128 bits.
func (n Number) widen(scale int8) (hi, lo uint64) {
	magnitude := uint64(n.Coef)
	if n.Coef < 0 {
		magnitude = -magnitude
	}
	if scale <= n.Scale {
		return 0, magnitude
	}
	return bits.Mul64(magnitude, pow10[scale-n.Scale])
}

func cmp[T int64 | uint64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Add returns n + m: exact if the result has a decimal form, else rounded once to the nearest float64. ok is
// false if the result is outside the range of float64. Sub and Mul follow the same rule.
func (n Number) Add(m Number) (Number, bool) {
	if n.IsFloat() || m.IsFloat() {
		return ofRat(new(big.Rat).Add(n.Rat(), m.Rat()))
	}
	if n.Scale == m.Scale {
		if s := n.Coef + m.Coef; (s > n.Coef) == (m.Coef > 0) && s != math.MinInt64 && (n.Scale == 0 || abs(s) < 1e18) {
			return Decimal(s, n.Scale), true
		}
	}
	return exact(new(big.Int).Add(n.big(m.Scale), m.big(n.Scale)), max(n.Scale, m.Scale))
}

// Sub returns n - m.
func (n Number) Sub(m Number) (Number, bool) { return n.Add(m.Neg()) }

// Neg returns -n.
func (n Number) Neg() Number {
	if n.IsFloat() {
		return floatNumber(-n.Float64())
	}
	return Number{Coef: -n.Coef, Scale: n.Scale}
}

// Mul returns n × m.
func (n Number) Mul(m Number) (Number, bool) {
	if n.IsFloat() || m.IsFloat() {
		return ofRat(new(big.Rat).Mul(n.Rat(), m.Rat()))
	}
	if scale := n.Scale + m.Scale; scale <= MaxScale && abs(n.Coef) < 1<<31 && abs(m.Coef) < 1<<28 {
		return Decimal(n.Coef*m.Coef, scale), true
	}
	return exact(new(big.Int).Mul(big.NewInt(n.Coef), big.NewInt(m.Coef)), n.Scale+m.Scale)
}

// Div returns the float64 nearest to n / m as a Number. ok is false for division by zero, and if the result
// is outside the range of float64.
func (n Number) Div(m Number) (Number, bool) {
	if m.isZero() {
		return Number{}, false
	}
	if !n.IsFloat() && !m.IsFloat() {
		up, upExact := n.scaledUp(m.Scale)
		down, downExact := m.scaledUp(n.Scale)
		if upExact && downExact { // both floats are exact, so their quotient is the nearest
			return FromFloat(up / down)
		}
	}
	return nearest(new(big.Rat).Quo(n.Rat(), m.Rat()))
}

// scaledUp returns the coefficient of n at the larger of the two scales. exact is false if a float64 might
// not hold it exactly.
func (n Number) scaledUp(scale int8) (f float64, exact bool) {
	unit := int64(1)
	if scale > n.Scale {
		unit = Pow10(scale - n.Scale)
	}
	most := int64(1<<53) / unit
	return float64(n.Coef) * float64(unit), -most <= n.Coef && n.Coef <= most
}

func abs(i int64) int64 {
	if i < 0 {
		return -i
	}
	return i
}

func (n Number) big(scale int8) *big.Int {
	b := big.NewInt(n.Coef)
	if scale > n.Scale {
		b.Mul(b, new(big.Int).SetUint64(pow10[scale-n.Scale]))
	}
	return b
}

// ofRat returns r exactly if it has a decimal form, else the float64 nearest to it. ok is false beyond the
// range of float64.
func ofRat(r *big.Rat) (Number, bool) {
	scaled := new(big.Int).Mul(r.Num(), big.NewInt(Pow10(MaxScale)))
	if whole, rest := scaled.QuoRem(scaled, r.Denom(), new(big.Int)); rest.Sign() == 0 {
		return exact(whole, MaxScale)
	}
	return nearest(r)
}

// exact returns b × 10^-scale as a decimal Number if it fits, else as the nearest float.
func exact(b *big.Int, scale int8) (Number, bool) {
	whole, left := b, scale
	ten, rest := big.NewInt(10), new(big.Int)
	for left > 0 {
		q, r := new(big.Int).QuoRem(whole, ten, rest)
		if r.Sign() != 0 {
			break
		}
		whole, left = q, left-1
	}
	if whole.IsInt64() && whole.Int64() != math.MinInt64 && (left == 0 || left <= MaxScale && abs(whole.Int64()) < 1e18) {
		return Decimal(whole.Int64(), left), true
	}
	return nearest(new(big.Rat).SetFrac(b, new(big.Int).Exp(ten, big.NewInt(int64(scale)), nil)))
}
