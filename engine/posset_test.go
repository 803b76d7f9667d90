package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPosSetInsert: positions that come together are those that come one by one, and a frozen set stays.
func TestPosSetInsert(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		var e epochs
		var one, many *posSet
		for many == nil || many.bits == nil {
			fresh := map[uint32]bool{}
			for range 1 + r.IntN(40) {
				if ordinal := r.Uint32N(1 << 16); !many.has(uint16(ordinal)) {
					fresh[ordinal] = true
				}
			}
			var ordinals []uint32
			for ordinal := range fresh {
				ordinals = append(ordinals, ordinal)
				one, _ = one.add(&e, uint16(ordinal))
			}
			slices.Sort(ordinals)
			before, had := many, slices.Collect(many.each)
			frozen := r.IntN(3) == 0
			if frozen {
				e.freeze()
			}
			many = many.insert(&e, ordinals)
			if frozen {
				if got := slices.Collect(before.each); !slices.Equal(got, had) {
					t.Fatalf("seed %d: a frozen set was written", seed)
				}
				e.release(e.current - 1)
			}
			if !slices.Equal(slices.Collect(many.each), slices.Collect(one.each)) || many.n != one.n {
				t.Fatalf("seed %d: %d positions, want %d", seed, many.n, one.n)
			}
		}
	}
}
