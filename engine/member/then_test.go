package member

import (
	"math/rand/v2"
	"testing"
)

// TestPassages: none never denies an edge that has been recorded, however late and however many edges were
// recorded since; and it gives a definite answer to most questions about other edges.
func TestPassages(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var p passages
		var all []passage
		denied, now := 0, int64(1000)
		p.reset(now)
		for range 5000 {
			now += r.Int64N(3)
			at := now
			if r.IntN(10) == 0 {
				at -= r.Int64N(2000)
			}
			x := passage{at, uint32(r.IntN(50))}
			p.add(x.at, x.ordinal)
			all = append(all, x)
			from := now - r.Int64N(40)
			to, ordinal := from+r.Int64N(now-from+1), uint32(r.IntN(60))
			if !p.none(ordinal, from, to) {
				continue
			}
			denied++
			for _, x := range all {
				if x.ordinal == ordinal && from <= x.at && x.at <= to {
					t.Fatalf("seed %d: an edge reached %d at %d, but none denies one in %d to %d", seed, ordinal, x.at, from, to)
				}
			}
		}
		if denied < 2500 {
			t.Errorf("seed %d: only %d of 5000 answered", seed, denied)
		}
		p.reset(now)
		if p.none(1, now, now) {
			t.Errorf("seed %d: the instant of the reset counts as known", seed)
		}
	}
}
