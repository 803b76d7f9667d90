package eval

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
)

// TestMarks compares the counts of marks, added one by one and many together, with those of a map.
func TestMarks(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 4))
	m := marks{scratch: &Scratch{}}
	for round := range 20 {
		m.reset()
		want := make([]uint32, query.ChunkSize)
		seen := map[[2]uint32]bool{}
		mark := func(pos uint16, number uint32) {
			if key := [2]uint32{uint32(pos), number}; !seen[key] {
				seen[key] = true
				want[pos]++
			}
		}
		for range rng.IntN(20) {
			number := uint32(rng.IntN(40))
			if rng.IntN(3) == 0 { // some of these are beyond the planes
				number = uint32(rng.IntN(1000))
			}
			pos := make([]uint16, rng.IntN(300))
			for i := range pos {
				pos[i] = uint16(rng.IntN(500))
				mark(pos[i], number)
			}
			if rng.IntN(2) == 0 {
				m.addAll(pos, number)
				continue
			}
			for _, p := range pos {
				m.add(int(p), number)
			}
		}
		got := make([]uint32, query.ChunkSize)
		if m.count(got); !slices.Equal(got, want) {
			t.Fatalf("seed %d, round %d: counts differ", seed, round)
		}
	}
}
