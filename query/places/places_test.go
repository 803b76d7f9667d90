package places

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestFind compares Find with sorting, for keys that are close together, far apart or equal.
func TestFind(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		keys, width := make([]uint64, 1+rng.IntN(5000)), 1+rng.IntN(63)
		base := rng.Uint64()
		for i := range keys {
			keys[i] = base + rng.Uint64()>>width
			if rng.IntN(3) == 0 {
				keys[i] = base
			}
		}
		at := []int{0, len(keys) - 1}
		for range rng.IntN(5) {
			at = append(at, rng.IntN(len(keys)))
		}
		before, sorted := slices.Clone(keys), slices.Sorted(slices.Values(keys))
		for i, got := range Find(keys, at...) {
			if got != sorted[at[i]] {
				t.Fatalf("seed %d: place %d of %d has %d, want %d", seed, at[i], len(keys), got, sorted[at[i]])
			}
		}
		if !slices.Equal(keys, before) {
			t.Fatalf("seed %d: the keys were changed", seed)
		}
	}
}

func TestKeysKeepTheOrder(t *testing.T) {
	ints := []int64{math.MinInt64, -5, -1, 0, 1, 7, math.MaxInt64}
	for i, x := range ints {
		if Int(OfInt(x)) != x || i > 0 && OfInt(x) <= OfInt(ints[i-1]) {
			t.Errorf("the key of %d does not convert back, or is not above the key before", x)
		}
	}
	floats := []float64{math.Inf(-1), -1e300, -2.5, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, 2.5, math.Inf(1)}
	for i, x := range floats {
		if Float(OfFloat(x)) != x || i > 0 && OfFloat(x) <= OfFloat(floats[i-1]) {
			t.Errorf("the key of %g does not convert back, or is not above the key before", x)
		}
	}
	if OfFloat(math.Copysign(0, -1)) != OfFloat(0) {
		t.Error("the two zeros have different keys")
	}
}

func BenchmarkFind(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	keys := make([]uint64, 200_000)
	for i := range keys {
		keys[i] = rng.Uint64N(1 << 33)
	}
	for b.Loop() {
		Find(keys, len(keys)/5, len(keys)/2)
	}
}
