package tree

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// MaxScale is the largest number of decimals that a Number holds exactly.
const MaxScale = 18

// FloatScale marks a Number whose Coef holds the bits of a float64.
const FloatScale = 127

// Number is a decimal Coef × 10^-Scale, or, if Scale is FloatScale, a float64 whose bits are in Coef.
// Numbers are canonical: the decimals have no trailing zeros, zero is {0, 0}, and a float is used only for
// a value without a decimal form of at most 18 significant digits. So == compares values, and equal Numbers
// have equal hashes. The zero Number is 0.
type Number struct {
	Coef  int64
	Scale int8
}

// Int returns the Number of a whole number.
func Int(i int64) Number { return Number{Coef: i} }

// Decimal returns coef × 10^-scale in canonical form. REQUIRES: 0 <= scale <= MaxScale.
func Decimal(coef int64, scale int8) Number {
	if coef == 0 {
		return Number{}
	}
	for scale > 0 && coef%10 == 0 {
		coef /= 10
		scale--
	}
	return Number{Coef: coef, Scale: scale}
}

// FromFloat returns the Number of f: its shortest decimal form if that fits, else the float itself.
// ok is false for NaN and the infinities.
func FromFloat(f float64) (n Number, ok bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Number{}, false
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return Number{Coef: int64(f)}, true
	}
	if a := math.Abs(f); a < 1e-19 || a >= 1e19 {
		return floatNumber(f), true
	}
	var buf [32]byte
	if n, ok := parseDecimal(strconv.AppendFloat(buf[:0], f, 'e', -1, 64)); ok {
		return n, true
	}
	return floatNumber(f), true
}

func floatNumber(f float64) Number {
	return Number{Coef: int64(math.Float64bits(f)), Scale: FloatScale}
}

// ParseNumber reads a number as MQL, JSON and CSV write it: an optional sign, digits, an optional
// point and decimals, an optional exponent. It does not accept underscores. Integers of 64 bits and numbers
// of up to 18 significant digits are exact; longer numbers become float64. ok is false for other text and
// for numbers outside the range of float64.
func ParseNumber(text string) (n Number, ok bool) {
	if !numeric(text) {
		return Number{}, false
	}
	var buf [48]byte
	if n, ok := parseDecimal(append(buf[:0], text...)); ok {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return Number{}, false
	}
	return FromFloat(f)
}

func numeric(text string) bool {
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		i++
	}
	start := i
	i = skipDigits(text, i)
	digits := i - start
	if i < len(text) && text[i] == '.' {
		from := i + 1
		i = skipDigits(text, from)
		if i == from {
			return false
		}
		digits += i - from
	}
	if digits == 0 {
		return false
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		if i < len(text) && (text[i] == '-' || text[i] == '+') {
			i++
		}
		from := i
		i = skipDigits(text, i)
		if i == from {
			return false
		}
	}
	return i == len(text)
}

func skipDigits(text string, i int) int {
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	return i
}

// parseDecimal reads text that numeric accepts. ok is false if it has no exact decimal form.
//
// REQUIRES: numeric(text).
func parseDecimal(text []byte) (Number, bool) {
	negative, i := false, 0
	if text[0] == '-' || text[0] == '+' {
		negative, i = text[0] == '-', 1
	}
	var coef uint64
	scale, pending, point := 0, 0, false
	for ; i < len(text) && text[i] != 'e' && text[i] != 'E'; i++ {
		if text[i] == '.' {
			point = true
			continue
		}
		if point {
			scale++
		}
		if text[i] == '0' { // zeros are applied only when a digit follows, so that 1.50000000000000000000 is exact
			if coef != 0 {
				pending++
			}
			continue
		}
		for range pending + 1 {
			if coef > (1<<64-1)/10 {
				return Number{}, false
			}
			coef *= 10
		}
		pending = 0
		if coef+uint64(text[i]-'0') < coef {
			return Number{}, false
		}
		coef += uint64(text[i] - '0')
	}
	exponent := 0
	if i < len(text) {
		e, err := strconv.Atoi(string(text[i+1:]))
		if err != nil || e > 1<<20 || e < -1<<20 {
			return Number{}, coef == 0
		}
		exponent = e
	}
	return fit(coef, negative, pending+exponent-scale)
}

// fit returns ±coef × 10^power. ok is false if it does not fit a decimal.
func fit(coef uint64, negative bool, power int) (Number, bool) {
	if coef == 0 {
		return Number{}, true
	}
	for ; power > 0; power-- {
		hi, lo := bits.Mul64(coef, 10)
		if hi != 0 {
			return Number{}, false
		}
		coef = lo
	}
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	if power < -MaxScale || coef > limit || coef == 1<<63 {
		return Number{}, false
	}
	if power < 0 && coef >= 1e18 { // more than 18 significant digits with a point: a float
		return Number{}, false
	}
	value := int64(coef)
	if negative {
		value = -value
	}
	return Number{Coef: value, Scale: int8(-power)}, true
}

// IsFloat reports whether n is a float64, which has no decimal form of up to 18 digits.
func (n Number) IsFloat() bool { return n.Scale == FloatScale }

// isZero reports whether n is 0.
func (n Number) isZero() bool { return n.Coef == 0 && n.Scale == 0 }

// Float64 returns the float64 nearest to n.
func (n Number) Float64() float64 {
	switch {
	case n.Scale == 0:
		return float64(n.Coef)
	case n.Scale == FloatScale:
		return math.Float64frombits(uint64(n.Coef))
	case n.Coef > -1<<53 && n.Coef < 1<<53:
		return float64(n.Coef) / float64(pow10[n.Scale]) // both exact, so the quotient is the nearest
	}
	f, _ := strconv.ParseFloat(n.String(), 64)
	return f
}

// Int64 returns n as a whole number. ok is false if it is not one.
func (n Number) Int64() (i int64, ok bool) { return n.Coef, n.Scale == 0 }

// String returns n in a form that MQL and JSON can read, without a point for whole numbers.
func (n Number) String() string { return string(n.Append(nil)) }

// Append appends the text of n to b.
func (n Number) Append(b []byte) []byte {
	if n.IsFloat() {
		if f := n.Float64(); math.Abs(f) >= 1<<63 && math.Abs(f) < 1e21 {
			return strconv.AppendFloat(b, f, 'f', 0, 64) // whole, with every digit
		}
		return strconv.AppendFloat(b, n.Float64(), 'g', -1, 64)
	}
	if n.Scale == 0 {
		return strconv.AppendInt(b, n.Coef, 10)
	}
	digits := strconv.FormatInt(abs(n.Coef), 10)
	if n.Coef < 0 {
		b = append(b, '-')
	}
	if pad := int(n.Scale) + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	point := len(digits) - int(n.Scale)
	b = append(b, digits[:point]...)
	b = append(b, '.')
	return append(b, digits[point:]...)
}

var pow10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// Pow10 returns 10^i. REQUIRES: 0 <= i <= MaxScale.
func Pow10(i int8) int64 { return int64(pow10[i]) }
