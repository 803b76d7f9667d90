package eval

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestVisitsSort sorts as many visits as are compared, and more, of few profiles and of many.
func TestVisitsSort(t *testing.T) {
	s := visitSorter{stock: &Stock{}}
	for seed, n := range []int{0, 1, 2, fewVisits - 1, fewVisits, fewVisits + 1, 30_000, 3, fewVisits + 2} {
		for _, profiles := range []int{1, 40, 1 << 16} {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(profiles)))
			visits := make([]visit, n)
			for i := range visits {
				visits[i] = visit{time: int64(i) + rng.Int64N(1+int64(i%7)*100), row: uint32(i), pos: uint16(rng.IntN(profiles))}
			}
			rows := make([]bool, n)
			sorted := slices.Clone(visits)
			s.sort(&sorted)
			for i, v := range sorted {
				if rows[v.row] || v != visits[v.row] || i > 0 && compareVisits(sorted[i-1], v) > 0 {
					t.Fatalf("%d visits of %d profiles: %v at %d", n, profiles, v, i)
				}
				rows[v.row] = true
			}
			if len(sorted) != n {
				t.Fatalf("%d visits of %d profiles have become %d", n, profiles, len(sorted))
			}
		}
	}
}
