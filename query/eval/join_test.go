package eval

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestJoined compares the joined functions with those that test every pair.
func TestJoined(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	values := []tree.Value{{}, tree.NumInt(1), tree.NumInt(2), tree.Num(tree.Decimal(25, 1)), tree.Str("a"), tree.Str("b")}
	value := func(row int) tree.Value { return values[row%len(values)] }
	own := func(x *pair) tree.Value { return value(x.row.row) }
	previous := func(x *pair) tree.Value { return value(x.previous.row) }
	st := &seqStep{join: &join{own, previous}, pair: func(x *pair) bool {
		a, b := own(x), previous(x)
		return !a.Missing() && a.Equal(b) && (x.row.row+x.previous.row)%3 > 0
	}}
	refs := func() []rowRef {
		v := make([]rowRef, rng.IntN(30))
		for i := range v {
			v[i] = rowRef{time: int64(rng.IntN(60)), row: uint32(rng.IntN(1000))}
		}
		slices.SortFunc(v, func(a, b rowRef) int { return cmp.Compare(a.time, b.time) })
		return v
	}
	for range 2000 {
		chosen, there := refs(), refs()
		st.gap = int64(rng.IntN(40))
		plain := &sequenceRunner{sequence: sequence{now: int64(rng.IntN(90))}, run: &run{scratch: &Scratch{}}, blocks: make([]*query.Block, 1), chosen: slices.Clone(chosen)}
		joined := &sequenceRunner{sequence: plain.sequence, run: plain.run, blocks: make([]*query.Block, 1), chosen: slices.Clone(chosen)}
		joined.joiner.scratch = plain.run.scratch
		if rng.IntN(2) == 0 {
			plain.follow(st, there)
			joined.followJoined(st, there)
		} else {
			plain.keepWithout(st, there)
			joined.keepJoined(st, there)
		}
		if !slices.Equal(plain.chosen, joined.chosen) {
			t.Fatalf("seed %d: %v then %v within %d at %d: %v joined, want %v", seed, chosen, there, st.gap, plain.now, joined.chosen, plain.chosen)
		}
	}
}
