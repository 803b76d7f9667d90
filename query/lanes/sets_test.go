package lanes

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSets compares joins of sets of many lengths with the plain versions, including joins into an operand.
func TestSets(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	joins := map[string]struct{ fast, plain func(a, b, out []uint64) int }{
		"and": {And, plainAnd}, "and not": {AndNot, plainAndNot}, "or": {Or, plainOr},
	}
	for name, join := range joins {
		for _, n := range []int{0, 1, 3, 4, 7, 8, 12, 15, 16, 17, 20, 32, 48, 63, 64, 65, 68, 1024} {
			a, b := make([]uint64, n), make([]uint64, n)
			for i := range a {
				a[i], b[i] = rng.Uint64(), rng.Uint64()&rng.Uint64()
			}
			want, got := make([]uint64, n), make([]uint64, n)
			count := join.plain(a, b, want)
			if found := join.fast(a, b, got); found != count || !slices.Equal(got, want) {
				t.Fatalf("seed %d: %s of %d words: %d in %x, want %d in %x", seed, name, n, found, got, count, want)
			}
			for side, set := range [][]uint64{a, b} {
				onto := slices.Clone(set)
				x, y := a, b
				if side == 0 {
					x = onto
				} else {
					y = onto
				}
				if found := join.fast(x, y, onto); found != count || !slices.Equal(onto, want) {
					t.Fatalf("seed %d: %s of %d words onto side %d: %d in %x, want %d in %x", seed, name, n, side, found, onto, count, want)
				}
			}
		}
	}
}

// TestKernels compares the assembly for this processor with the plain versions.
func TestKernels(t *testing.T) {
	a, b := make([]uint64, 64), make([]uint64, 64)
	rng := rand.New(rand.NewPCG(8, 0))
	for i := range a {
		a[i], b[i] = rng.Uint64(), rng.Uint64()
	}
	for _, n := range []int{4, 12, 16, 20, 48, 64} {
		for name, count := range countKernels(n) {
			if got, want := count(&a[0], n), plainCount(a[:n]); got != want {
				t.Errorf("%s: %d bits in %d words, want %d", name, got, n, want)
			}
		}
		out, want := make([]uint64, n), make([]uint64, n)
		for name, way := range joinKernels(n) {
			for k, join := range way {
				count := [...]func(a, b, out []uint64) int{plainAnd, plainAndNot, plainOr}[k](a[:n], b[:n], want)
				if got := join(&a[0], &b[0], &out[0], n); got != count || !slices.Equal(out, want) {
					t.Errorf("%s, join %d of %d words: %d in %x, want %d in %x", name, k, n, got, out, count, want)
				}
			}
		}
	}
}

func BenchmarkAnd(b *testing.B) {
	x, y, out := make([]uint64, 1024), make([]uint64, 1024), make([]uint64, 1024)
	for name, fn := range map[string]func(a, b, out []uint64) int{"plain": plainAnd, "words": And} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				fn(x, y, out)
			}
		})
	}
}
