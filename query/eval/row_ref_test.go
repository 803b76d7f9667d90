package eval

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRefsSort sorts numbers of rowRefs on both sides of fewRefs, of few profiles and of many.
func TestRefsSort(t *testing.T) {
	s := refSorter{scratch: &Scratch{}}
	for seed, n := range []int{0, 1, 2, fewRefs - 1, fewRefs, fewRefs + 1, 30_000, 3, fewRefs + 2} {
		for _, profiles := range []int{1, 40, 1 << 16} {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(profiles)))
			refs := make([]rowRef, n)
			for i := range refs {
				refs[i] = rowRef{time: int64(i) + rng.Int64N(1+int64(i%7)*100), row: uint32(i), pos: uint16(rng.IntN(profiles))}
			}
			rows := make([]bool, n)
			sorted := slices.Clone(refs)
			s.sort(&sorted)
			for i, v := range sorted {
				if rows[v.row] || v != refs[v.row] || i > 0 && compareRefs(sorted[i-1], v) > 0 {
					t.Fatalf("%d rows of %d profiles: %v at %d", n, profiles, v, i)
				}
				rows[v.row] = true
			}
			if len(sorted) != n {
				t.Fatalf("%d rows of %d profiles became %d", n, profiles, len(sorted))
			}
		}
	}
}
