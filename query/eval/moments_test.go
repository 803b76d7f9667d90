package eval

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
)

// TestMomentsSort holds the counting sort against comparing, with rows in and out of order.
func TestMomentsSort(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 2))
	for range 60 {
		profiles, rows, span := 1+rng.IntN(query.ChunkSize), rng.IntN(5000), 1+rng.Int64N(1<<20)
		m := moments{stock: &Stock{}}
		var open query.Bits
		for p := range profiles {
			if rng.IntN(3) > 0 {
				open.Set(uint16(p))
			}
		}
		var want []uint64
		for i := range rows {
			p, at := rng.IntN(profiles), rng.Int64N(span)
			if rng.IntN(4) > 0 { // mostly as leaves have them
				at = int64(i)
			}
			k := uint64(p)<<momentBits | uint64(at)
			m.keys = append(m.keys, k)
			if open.Has(uint16(p)) {
				want = append(want, k)
			}
		}
		slices.Sort(want)
		if m.sort(open[:]); !slices.Equal(m.keys, want) {
			t.Fatalf("seed %d: %d rows of %d profiles are not sorted as comparing does", seed, rows, profiles)
		}
	}
}

// TestMomentsChoice holds follow and without against the ways that look at every pair of visits.
func TestMomentsChoice(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 3))
	times := func() []visit {
		v := make([]visit, rng.IntN(12))
		for i := range v {
			v[i].time = rng.Int64N(40)
		}
		sortByTime(v)
		return v
	}
	keysOf := func(pos int, visits []visit) (keys []uint64) {
		for _, v := range visits {
			keys = append(keys, uint64(pos)<<momentBits|uint64(v.time))
		}
		return keys
	}
	for range 3000 {
		st := &seqStep{gap: rng.Int64N(50)}
		if rng.IntN(10) == 0 {
			st.gap = momentTime
		}
		absent := rng.IntN(2) == 0
		var here, next, want []uint64
		for _, pos := range []int{0, 1, 7, query.ChunkSize - 1} {
			a, b := times(), times()
			here, next = append(here, keysOf(pos, a)...), append(next, keysOf(pos, b)...)
			slow := &sequenceRunner{sequence: sequence{now: 1 << 50}, run: &run{stock: &Stock{}}, here: a}
			if absent {
				slow.keepWithout(st, b)
			} else {
				slow.follow(st, b)
			}
			want = append(want, keysOf(pos, slow.here)...)
		}
		fast := follow
		if absent {
			fast = without
		}
		if got := fast(slices.Clone(here), slices.Clone(next), uint64(st.gap)); !slices.Equal(got, want) {
			t.Fatalf("seed %d: absent %v within %d: %x then %x: %x, want %x", seed, absent, st.gap, here, next, got, want)
		}
	}
}
