package eval

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
)

// TestMomentsSort drops the moments of profiles that are out and puts the others in order, as sorting does.
func TestMomentsSort(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		profiles, span := 1+rng.IntN(query.ChunkSize), 1+rng.Int64N(momentTime)
		open := make([]uint64, query.ChunkSize/64)
		for w := range open {
			open[w] = rng.Uint64() | rng.Uint64()
		}
		var m moments
		var want []uint64
		for range rng.IntN(4000) {
			pos := rng.IntN(profiles)
			k := uint64(pos)<<momentBits | uint64(rng.Int64N(span))
			m.keys = append(m.keys, k)
			if has(open, pos) {
				want = append(want, k)
			}
		}
		if rng.IntN(3) == 0 { // as one leaf has them
			slices.Sort(m.keys)
		}
		slices.Sort(want)
		m.sort(open)
		if !slices.Equal(m.keys, want) {
			t.Fatalf("seed %d: %d moments are not in order, want %d", seed, len(m.keys), len(want))
		}
	}
}

// TestMomentsFollow compares both steps with a look at all pairs.
func TestMomentsFollow(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 4))
		some := func() []uint64 {
			keys := make([]uint64, rng.IntN(40))
			for i := range keys {
				keys[i] = rng.Uint64N(4)<<momentBits | rng.Uint64N(50)
			}
			slices.Sort(keys)
			return keys
		}
		here, next, gap := some(), some(), rng.Uint64N(30)
		after := func(a, b uint64) bool { return a>>momentBits == b>>momentBits && a < b && b-a <= gap }
		var followed, alone []uint64
		for _, b := range next {
			if slices.ContainsFunc(here, func(a uint64) bool { return after(a, b) }) {
				followed = append(followed, b)
			}
		}
		for _, a := range here {
			if !slices.ContainsFunc(next, func(b uint64) bool { return after(a, b) }) {
				alone = append(alone, a)
			}
		}
		if got := without(slices.Clone(here), next, gap); !slices.Equal(got, alone) {
			t.Fatalf("seed %d: without gives %x, want %x", seed, got, alone)
		}
		if got := follow(here, next, gap); !slices.Equal(got, followed) {
			t.Fatalf("seed %d: follow gives %x, want %x", seed, got, followed)
		}
	}
}
