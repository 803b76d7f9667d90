package eval

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
)

// TestRowKeysSort compares the counting sort with sorting by comparison, for rows in and out of order.
func TestRowKeysSort(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 2))
	for range 60 {
		profiles, rows, span := 1+rng.IntN(query.ChunkSize), rng.IntN(5000), 1+rng.Int64N(1<<20)
		m := rowKeys{scratch: &Scratch{}}
		var open query.Bits
		for p := range profiles {
			if rng.IntN(3) > 0 {
				open.Set(uint16(p))
			}
		}
		var want []uint64
		for i := range rows {
			p, at := rng.IntN(profiles), rng.Int64N(span)
			if rng.IntN(4) > 0 { // mostly in order of time, as in leaves
				at = int64(i)
			}
			k := uint64(p)<<timeBits | uint64(at)
			m.keys = append(m.keys, k)
			if open.Has(uint16(p)) {
				want = append(want, k)
			}
		}
		slices.Sort(want)
		if m.sort(open[:]); !slices.Equal(m.keys, want) {
			t.Fatalf("seed %d: %d rows of %d profiles are not sorted as by comparison", seed, rows, profiles)
		}
	}
}

// TestFollowAndWithout compares follow and without with the functions that test every pair of rows.
func TestFollowAndWithout(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 3))
	times := func() []rowRef {
		v := make([]rowRef, rng.IntN(12))
		for i := range v {
			v[i].time = rng.Int64N(40)
		}
		sortByTime(v)
		return v
	}
	keysOf := func(pos int, refs []rowRef) (keys []uint64) {
		for _, v := range refs {
			keys = append(keys, uint64(pos)<<timeBits|uint64(v.time))
		}
		return keys
	}
	for range 3000 {
		st := &seqStep{gap: rng.Int64N(50)}
		if rng.IntN(10) == 0 {
			st.gap = maxKeyTime
		}
		absent := rng.IntN(2) == 0
		var chosen, next, want []uint64
		for _, pos := range []int{0, 1, 7, query.ChunkSize - 1} {
			a, b := times(), times()
			chosen, next = append(chosen, keysOf(pos, a)...), append(next, keysOf(pos, b)...)
			slow := &sequenceRunner{sequence: sequence{now: 1 << 50}, run: &run{scratch: &Scratch{}}, chosen: a}
			if absent {
				slow.keepWithout(st, b)
			} else {
				slow.follow(st, b)
			}
			want = append(want, keysOf(pos, slow.chosen)...)
		}
		fast := follow
		if absent {
			fast = without
		}
		if got := fast(slices.Clone(chosen), slices.Clone(next), uint64(st.gap)); !slices.Equal(got, want) {
			t.Fatalf("seed %d: absent %v within %d: %x then %x: %x, want %x", seed, absent, st.gap, chosen, next, got, want)
		}
	}
}
