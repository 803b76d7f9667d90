package lanes

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCount compares Count with plainCount, for sets of every length.
func TestCount(t *testing.T) {
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 0))
	for n := range 70 {
		words := make([]uint64, n)
		for i := range words {
			words[i] = rng.Uint64() & rng.Uint64()
		}
		if got, want := Count(words), plainCount(words); got != want {
			t.Fatalf("seed %d: %d words have %d bits, want %d", seed, n, got, want)
		}
	}
}

// TestAddScaled compares AddScaled with plainAddScaled, for every length.
func TestAddScaled(t *testing.T) {
	const seed = 6
	rng := rand.New(rand.NewPCG(seed, 0))
	for n := range 100 {
		vals, sums := make([]uint8, n), make([]uint16, n)
		for i := range vals {
			vals[i], sums[i] = uint8(rng.IntN(256)*rng.IntN(2)), uint16(rng.Uint32())
		}
		first, step := uint16(rng.Uint32()), uint16(rng.Uint32())
		want := slices.Clone(sums)
		plainAddScaled(want, vals, first, step)
		if AddScaled(sums, vals, first, step); !slices.Equal(sums, want) {
			t.Fatalf("seed %d: %d values: %v, want %v", seed, n, sums, want)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	words := make([]uint64, 1024)
	for name, fn := range map[string]func([]uint64) int{"plain": plainCount, "words": Count} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				fn(words)
			}
		})
	}
}

func BenchmarkAddScaled(b *testing.B) {
	vals, sums := make([]uint8, 512), make([]uint16, 512)
	for i := range vals {
		vals[i] = uint8(rand.Uint32())
	}
	for name, fn := range map[string]func([]uint16, []uint8, uint16, uint16){"plain": plainAddScaled[uint8], "words": AddScaled} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				fn(sums, vals, 3, 5)
			}
		})
	}
}
