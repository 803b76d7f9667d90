package query

import (
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

// TestHolders reads sets of every size and form; each reads as the bits it was made of, and is not changed.
func TestHolders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) (b Bits) {
		for range n {
			b.Set(uint16(rng.Uint32()))
		}
		return b
	}
	var full Bits
	for i := range full {
		full[i] = ^uint64(0)
	}
	sets := []Bits{{}, draw(1), draw(300), draw(4000), draw(5000), draw(60_000), full}
	runs := draw(100)
	for pos := range uint16(30_000) {
		runs.Set(pos)
	}
	sets = append(sets, runs)
	for i, set := range sets {
		for _, optimized := range []bool{false, true} {
			bitmap := roaring.FromDense(set[:], true)
			if optimized {
				bitmap.RunOptimize()
			}
			h, written := HoldersOf(bitmap), bitmap.Checksum()
			got := draw(500)
			if n := h.Fill(&got); n != set.Count() || n != h.Count() || got != set {
				t.Fatalf("set %d, optimized %t: filled with %d of %d", i, optimized, n, set.Count())
			}
			for k, cand := range []Bits{draw(2000), full, {}} {
				want, out, sum := set, draw(500), cand
				want.And(&cand)
				if n := h.Among(cand[:], cand.Count(), out[:]); out != want || n != want.Count() {
					t.Fatalf("set %d, optimized %t: %d among candidates %d, want %d", i, optimized, n, k, want.Count())
				}
				want = set
				want.Or(&cand)
				if h.AddTo(&sum); sum != want {
					t.Fatalf("set %d, optimized %t: added to %d makes %d, want %d", i, optimized, k, sum.Count(), want.Count())
				}
			}
			if bitmap.Checksum() != written {
				t.Fatalf("set %d, optimized %t: was changed", i, optimized)
			}
		}
	}
	if none := (Holders{}); none.Count() != 0 || none.Listed() != 0 || none.Fill(&full) != 0 || full.Any() {
		t.Fatal("the zero Holders has somebody")
	}
}
