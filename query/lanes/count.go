package lanes

import "math/bits"

// Count returns the number of bits that are set in words.
func Count(words []uint64) int {
	whole := len(words) &^ (wordsPerStep() - 1)
	return countWhole(words[:whole]) + plainCount(words[whole:])
}

func plainCount(words []uint64) int {
	n := 0
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}

// AddScaled adds first + step × vals[i] to sums[i], modulo 2^16, for each value that is not 0. REQUIRES:
// len(sums) = len(vals).
func AddScaled(sums []uint16, vals []uint8, first, step uint16) {
	whole := len(vals) &^ 15
	addScaledWhole(sums[:whole], vals[:whole], first, step)
	plainAddScaled(sums[whole:], vals[whole:], first, step)
}

func plainAddScaled[T uint8 | uint16](sums []uint16, vals []T, first, step uint16) {
	sums = sums[:len(vals)]
	for i, x := range vals {
		share := first + step*uint16(x)
		if x == 0 {
			share = 0
		}
		sums[i] += share
	}
}
