package lanes

import (
	"encoding/binary"
	"math"
)

// Value is an integer that can be compared.
type Value interface{ uint8 | uint16 | uint32 }

// Within sets out to the set of indexes of values with lo <= value <= hi. REQUIRES: lo <= hi and len(out) =
// ceil(len(vals) / 64).
func Within[T Value](vals []T, lo, hi T, out []uint64) {
	whole := len(vals) / 64
	if whole > 0 {
		words(vals, lo, hi-lo, out[:whole])
	}
	if rest := vals[whole*64:]; len(rest) > 0 {
		out[whole] = lastWord(rest, lo, hi-lo)
	}
}

// plainWords sets out to the set of values from lo to lo + width, 64 values per word.
func plainWords[T Value](vals []T, lo, width T, out []uint64) {
	if bytes, ok := any(vals).([]uint8); ok {
		plainBytes(bytes, uint8(lo), uint8(lo+width), out)
		return
	}
	for w := range out {
		out[w] = word((*[64]T)(vals[w*64:]), lo, width)
	}
}

// word compares 64 values. Constant shifts are the fastest way to build a word.
func word[T Value](vals *[64]T, lo, width T) uint64 {
	var m uint64
	for k := 0; k < 64; k += 8 {
		r := (*[8]T)(vals[k : k+8])
		m |= (upTo(r[0]-lo, width) | upTo(r[1]-lo, width)<<1 | upTo(r[2]-lo, width)<<2 | upTo(r[3]-lo, width)<<3 |
			upTo(r[4]-lo, width)<<4 | upTo(r[5]-lo, width)<<5 | upTo(r[6]-lo, width)<<6 | upTo(r[7]-lo, width)<<7) << k
	}
	return m
}

// lastWord compares up to 64 values.
func lastWord[T Value](vals []T, lo, width T) uint64 {
	var m uint64
	for i, x := range vals {
		m |= upTo(x-lo, width) << (i & 63)
	}
	return m
}

func upTo[T Value](x, most T) uint64 {
	if x <= most {
		return 1
	}
	return 0
}

// plainSteps counts the values that differ from the one before, eight values per branch.
func plainSteps(vals []uint16) int {
	if len(vals) == 0 {
		return 0
	}
	n, last := uint32(0), uint32(vals[0])
	for len(vals) >= 8 {
		v := (*[8]uint16)(vals)
		a, b, c, d := uint32(v[0]), uint32(v[1]), uint32(v[2]), uint32(v[3])
		e, f, g, h := uint32(v[4]), uint32(v[5]), uint32(v[6]), uint32(v[7])
		n += Differ(last, a) + Differ(a, b) + Differ(b, c) + Differ(c, d) + Differ(d, e) + Differ(e, f) + Differ(f, g) + Differ(g, h)
		last, vals = h, vals[8:]
	}
	for _, v := range vals {
		n += Differ(last, uint32(v))
		last = uint32(v)
	}
	return int(n)
}

// Differ returns 1 if two values of 16 bits differ, else 0.
func Differ(a, b uint32) uint32 { return ((a ^ b) + 0xffff) >> 16 }

const (
	highBits = 0x8080808080808080
	lowBits  = 0x7f7f7f7f7f7f7f7f
	oneEach  = 0x0101010101010101
	// Multiplying by gather collects the lowest bits of eight bytes in the highest byte.
	gather = 0x0102040810204080
)

// plainBytes is plainWords for bytes. It compares eight bytes in a register, up to hi.
func plainBytes(vals []uint8, lo, hi uint8, out []uint64) {
	least, above := uint64(lo)*oneEach, uint64(hi+1)*oneEach
	for w := range out {
		rows := (*[64]uint8)(vals[w*64:])
		var m uint64
		for k := 0; k < 64; k += 8 {
			x := binary.LittleEndian.Uint64(rows[k : k+8])
			in := atLeast(x, least)
			if hi != math.MaxUint8 {
				in &^= atLeast(x, above)
			}
			m |= (in >> 7 * gather) >> 56 << k
		}
		out[w] = m
	}
}

// atLeast sets the high bit of each byte of x that is not less than the same byte of n.
func atLeast(x, n uint64) uint64 {
	low := (x | highBits) - n&lowBits // its high bits are the result of comparing the low seven bits
	return (x&^n | ^(x^n)&low) & highBits
}
