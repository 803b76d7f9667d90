package places

import (
	"math"
	"math/bits"
	"slices"
)

const (
	cellBits = 11
	cells    = 1 << cellBits
	// fewKeys is the number of keys up to which sorting is faster than counting.
	fewKeys = 192
)

// Find returns the keys that sorting would put at the places at, in the order of at. It modifies neither
// argument.
//
// REQUIRES: 0 <= at[i] < len(keys); len(keys) < 2^32.
func Find(keys []uint64, at ...int) []uint64 {
	found := make([]uint64, len(at))
	if len(at) > 0 {
		find(keys, at, found)
	}
	return found
}

func find(keys []uint64, at []int, found []uint64) {
	if len(keys) <= fewKeys {
		sorted := slices.Clone(keys)
		slices.Sort(sorted)
		for i, n := range at {
			found[i] = sorted[n]
		}
		return
	}
	lo, hi := uint64(math.MaxUint64), uint64(0)
	for _, k := range keys {
		lo, hi = min(lo, k), max(hi, k)
	}
	shift := max(bits.Len64(hi-lo)-cellBits, 0)
	var counts [cells]uint32
	for _, k := range keys {
		counts[(k-lo)>>shift&(cells-1)]++
	}
	for i, n := range at {
		cell, before := cellOf(&counts, n)
		if shift == 0 {
			found[i] = lo + uint64(cell)
			continue
		}
		within := make([]uint64, 0, counts[cell])
		for _, k := range keys {
			if (k-lo)>>shift == uint64(cell) {
				within = append(within, k)
			}
		}
		find(within, []int{n - before}, found[i:i+1])
	}
}

// cellOf returns the cell that contains place n, and the number of keys in the cells before it.
func cellOf(counts *[cells]uint32, n int) (cell, before int) {
	for c, k := range counts {
		if n < before+int(k) {
			return c, before
		}
		before += int(k)
	}
	return cells - 1, before
}

// OfInt returns the key of an integer. Keys of integers have the same order as the integers.
func OfInt(i int64) uint64 { return uint64(i) ^ 1<<63 }

// Int returns the integer of a key.
func Int(key uint64) int64 { return int64(key ^ 1<<63) }

// OfFloat returns the key of a float. Keys of floats have the same order as the floats; both zeros have the same
// key. REQUIRES: f is not NaN.
func OfFloat(f float64) uint64 {
	b := math.Float64bits(f + 0)
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

// Float returns the float of a key.
func Float(key uint64) float64 {
	if key>>63 != 0 {
		return math.Float64frombits(key &^ (1 << 63))
	}
	return math.Float64frombits(^key)
}
