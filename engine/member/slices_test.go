package member

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/querytest"
)

// crowded is facts that report more rows than they have, so that chunks are evaluated in slices.
type crowded struct {
	facts
	rows int
}

func (c crowded) Series(event uint32, chunk int) query.Series {
	s := c.facts.Series(event, chunk)
	if s.Rows > 0 && c.rows > 0 {
		s.Rows = c.rows
	}
	return s
}

// crowdedHost is a world with crowded facts.
type crowdedHost struct {
	*world
	rows int
}

func (c crowdedHost) Source() query.Source { return crowded{facts{w: c.world}, c.rows} }

// TestSlices: a sequence is true for the same profiles when evaluated at once, in slices and profile by
// profile, and the units of a build follow from the facts.
func TestSlices(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 56))
	w := newWorld(t, storyNames(13))
	w.trackers = nil
	for i := 1; i < len(w.at); i++ {
		w.add(i, "u"+string(rune('a'+i)))
		for range 2 + rng.IntN(6) {
			w.do(i, querytest.Event{Name: []string{"A", "B"}[rng.IntN(2)], Time: noon - rng.Int64N(20_000)})
		}
	}
	for _, text := range []string{"did A then B", "did A then B within 5 seconds", "did A then not B within 5 seconds", "did A then B then A or did B then B"} {
		var want []uint32
		pred := w.parse(text)
		for _, rows := range []int{0, 1000, sliceBytes / momentBytes, 3 * sliceBytes / momentBytes, mostSlices * sliceBytes / momentBytes, 1 << 30} {
			host := crowdedHost{w, rows}
			w.members = map[int]*fakeMembers{}
			tr := New(host, w.schema, noon)
			tr.Define([]Definition{{Slot: 1, Name: "s", Zone: "UTC", Pred: pred}})
			chain := ChainOf(w.schema, pred)
			steps := len(chain)
			src := host.Source()
			if rows > 0 {
				if got := chain.units(w.schema, src, 0); got != 1+steps*rows/unitRows {
					t.Errorf("%s with %d rows costs %d", text, rows, got)
				}
				if got := chain.slices(w.schema, src, 0); got != 1+steps*rows*momentBytes/sliceBytes {
					t.Errorf("%s with %d rows has %d slices", text, rows, got)
				}
			}
			tr.Work(1 << 62)
			tr.Settle()
			got := w.Members(1).(*fakeMembers).list()
			if rows == 0 {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("seed %d: %s with %d rows: %v, want %v", seed, text, rows, got, want)
			}
		}
		if len(want) == 0 {
			t.Errorf("seed %d: %s is true for no profile", seed, text)
		}
	}
	if none := Chain(nil); none.units(w.schema, w.Source(), 0) != 1 || none.slices(w.schema, w.Source(), 0) != 1 {
		t.Error("a predicate without a sequence is sliced")
	}
}
