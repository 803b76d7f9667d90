package lanes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWithin checks every value for random ranges, and compares all kernels, for lengths around whole words.
func TestWithin(t *testing.T) {
	t.Run("uint8", testWithin[uint8])
	t.Run("uint16", testWithin[uint16])
	t.Run("uint32", testWithin[uint32])
}

func testWithin[T Value](t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		vals := make([]T, 1+rng.IntN(400))
		near := T(rng.Uint64())
		for i := range vals {
			vals[i] = T(rng.Uint64())
			if rng.IntN(2) == 0 { // at the ends of the range and next to them
				vals[i] = near + T(rng.IntN(5)) - 2
			}
		}
		lo, hi := near, T(rng.Uint64())
		switch rng.IntN(4) {
		case 0:
			hi = near
		case 1:
			lo = 0
		case 2:
			hi = ^T(0)
		}
		lo, hi = min(lo, hi), max(lo, hi)
		out := make([]uint64, (len(vals)+63)/64)
		Within(vals, lo, hi, out)
		for i := range len(out) * 64 {
			want := i < len(vals) && lo <= vals[i] && vals[i] <= hi
			if got := out[i/64]>>(i%64)&1 == 1; got != want {
				t.Fatalf("seed %d: value %d of %d is inside %d to %d: %v, want %v", seed, i, len(vals), lo, hi, got, want)
			}
		}
		whole := make([]uint64, len(vals)/64)
		for name, way := range withinKernels[T]() {
			if len(whole) == 0 {
				continue
			}
			if way(vals, lo, hi-lo, whole); !slices.Equal(whole, out[:len(whole)]) {
				t.Fatalf("seed %d: %x, %s %x", seed, out, name, whole)
			}
		}
	}
}

// TestSteps counts the steps in random values, for lengths around whole groups.
func TestSteps(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		vals := make([]uint16, rng.IntN(200))
		want, at := 0, uint16(rng.Uint32())
		for i := range vals {
			if i > 0 && rng.IntN(3) > 0 {
				at += uint16(1 + rng.IntN(65535))
				want++
			}
			vals[i] = at
		}
		if got, plain := Steps(vals), plainSteps(vals); got != want || plain != want {
			t.Fatalf("seed %d: %d steps, plainSteps %d, want %d", seed, got, plain, want)
		}
	}
}

func BenchmarkSteps(b *testing.B) {
	vals := make([]uint16, 2048)
	for i := range vals {
		vals[i] = uint16(i / 3)
	}
	for name, fn := range map[string]func([]uint16) int{"plain": plainSteps, "words": Steps} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				fn(vals)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(vals)), "ns/value")
		})
	}
}

func BenchmarkWithin(b *testing.B) {
	b.Run("uint8", benchWithin[uint8])
	b.Run("uint16", benchWithin[uint16])
	b.Run("uint32", benchWithin[uint32])
}

func benchWithin[T Value](b *testing.B) {
	vals, out := make([]T, 4096), make([]uint64, 64)
	for i := range vals {
		vals[i] = T(rand.Uint64())
	}
	for name, fn := range map[string]func([]T, T, T, []uint64){"plain": plainWords[T], "words": words[T]} {
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			for b.Loop() {
				fn(vals, 20, 50, out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(vals)), "ns/value")
		})
	}
}
