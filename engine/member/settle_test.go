package member

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/tree"
)

// flipsAsText formats changes: the segment, who leaves and enters, and why.
func (x *storyPlayer) flipsAsText() string {
	var all []string
	for _, flip := range x.tracker.Flips() {
		line := x.tracker.segments[flip.Slot].name
		for _, ordinal := range flip.Exits {
			line += fmt.Sprint(" -", ordinal)
		}
		for _, ordinal := range flip.Enters {
			line += fmt.Sprint(" +", ordinal)
		}
		all = append(all, line+" "+causeNames[flip.Cause])
	}
	return strings.Join(all, "; ")
}

func (x *storyPlayer) attribute(i int, plan string) {
	x.tracker.SetCause(ByAttribute)
	x.set(i, "plan", tree.Str(plan))
}

func (x *storyPlayer) happens(i int, name string) {
	x.tracker.SetCause(ByEvent)
	x.do(i, querytest.Event{Name: name, Time: x.tracker.Now()})
}

func (x *storyPlayer) settled(want string) {
	x.t.Helper()
	x.tracker.Settle()
	if got := x.flipsAsText(); got != want {
		x.t.Errorf("%q, want %q", got, want)
	}
	if err := x.tracker.Check(); err != nil {
		x.t.Error(err)
	}
}

// TestCauses: of the causes within one entry the latest counts, and a change that is undone is not reported.
func TestCauses(t *testing.T) {
	x := newStoryPlayer(t, `plan = "x" and did A`)
	x.tracker.Flips()
	x.attribute(1, "x")
	x.happens(1, "A")
	x.happens(2, "A")
	x.attribute(2, "x")
	x.settled("s +0 event; s +1 attribute") // by cause, in the order of their numbers
}

// TestBackAndForth: an entry that ends where it began changes nothing.
func TestBackAndForth(t *testing.T) {
	x := newStoryPlayer(t, `plan = "x"`)
	x.attribute(1, "x")
	x.settled("s +0 attribute")
	x.attribute(1, "y")
	x.attribute(1, "x")
	x.attribute(2, "x")
	x.attribute(2, "y")
	x.settled("")
	x.attribute(1, "y")
	x.attribute(1, "x")
	x.attribute(1, "z")
	x.settled("s -0 attribute")
}

// TestOrderOfChanges: the changes of one instant are in order of segment name, whether segments are sorted
// each time or numbered, and in whatever order they were defined.
func TestOrderOfChanges(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 50))
	x := newStoryPlayer(t, `plan = "never"`)
	names := []string{"a", "aa", "b", "c", "d", "e1", "e10", "e2", "é"}
	for i, n := range rng.Perm(len(names)) {
		x.define(i+2, names[n], []string{`plan = "x"`, "did A in last 10 seconds", `plan = "x" or did A in last 10 seconds`}[n%3])
	}
	x.tracker.Flips()
	for round := range 3 * numberAfter {
		x.tracker.Advance(x.tracker.Now() + int64(rng.IntN(20_000)))
		for range 1 + rng.IntN(3) {
			i := 1 + rng.IntN(2)
			if rng.IntN(2) == 0 {
				x.happens(i, "A")
			} else {
				x.attribute(i, []string{"x", "y"}[rng.IntN(2)])
			}
		}
		x.tracker.Settle()
		flips := x.tracker.Flips()
		if !slices.IsSortedFunc(flips, func(a, b Flip) int {
			if a.At != b.At {
				return int(a.At - b.At)
			}
			if c := strings.Compare(x.tracker.segments[a.Slot].name, x.tracker.segments[b.Slot].name); c != 0 {
				return c
			}
			return int(a.Cause) - int(b.Cause)
		}) {
			t.Fatalf("seed %d, round %d, numbered %t: %+v", seed, round, x.tracker.byName != nil, flips)
		}
		if round == 2*numberAfter { // the set of segments changes
			x.define(20, "bb", `plan = "x"`)
			x.tracker.Flips()
		}
	}
	if x.tracker.byName != nil && len(x.tracker.byName) != len(names)+2 {
		t.Errorf("%d of %d segments are numbered", len(x.tracker.byName), len(names)+2)
	}
}

// TestStandingOnAMembership: a segment that reads another's membership is updated in the same settling,
// with the same cause.
func TestStandingOnAMembership(t *testing.T) {
	x := newStoryPlayer(t, `plan = "never"`)
	def := &tree.Segment{Name: "held", Pred: &tree.Everyone{}, Refresh: tree.Duration{N: 10, Unit: tree.Minute}}
	asks := &tree.InSegment{Name: "held", Def: def}
	slot := func(name string) (int, bool) { return 7, name == "held" }
	x.tracker.Hold(7, "held")
	errs := x.tracker.Define([]Definition{
		{Slot: 8, Name: "asking", Zone: "UTC", Pred: &tree.And{Args: []tree.Pred{asks, x.parse("did A")}}, Held: slot},
		{Slot: 9, Name: "not asking", Zone: "UTC", Pred: &tree.Not{Arg: asks}, Held: slot},
		{Slot: 10, Name: "lost", Zone: "UTC", Pred: asks, Held: func(string) (int, bool) { return 0, false }},
	})
	if errs[0] != nil || errs[1] != nil || errs[2] == nil {
		t.Fatal(errs)
	}
	x.tracker.Work(1 << 62)
	x.settled("not asking +0 +1 definition")
	refresh := func(ordinals ...uint16) {
		x.tracker.SetCause(ByTime)
		x.tracker.Refresh(7, func(chunk int, out *query.Bits) {
			*out = query.Bits{}
			for _, pos := range ordinals {
				if chunk == 0 {
					out.Set(pos)
				}
			}
		})
	}
	refresh(0)
	x.settled("held +0 time; not asking -0 time")
	x.happens(1, "A")
	x.happens(2, "A")
	x.settled("asking +0 event")
	refresh(1)
	x.settled("held -0 +1 time; asking -0 +1 time; not asking -1 +0 time")
	x.tracker.SetCause(ByErase)
	x.erase(2)
	x.settled("asking -1 erase; held -1 erase")
	x.tracker.Drop(8)
	x.tracker.Drop(9)
	x.tracker.SetCause(ByDefinition)
	x.settled("not asking -0 erase") // the cause at the time of Drop
	x.tracker.Forget(8)
	x.tracker.Forget(9)
	refresh(0)
	x.settled("held +0 time")
}

// TestNewcomers: a new profile is immediately in the segments that are true without facts, and in no others.
func TestNewcomers(t *testing.T) {
	x := newStoryPlayer(t, "did not A in last 10 seconds")
	x.define(2, "t", "did A")
	x.define(3, "u", `plan != "x" and not opt`)
	x.define(4, "everybody", "everyone")
	x.define(5, "v", "sum(amount) of A >= 0")
	x.tracker.Flips()
	x.tracker.SetCause(ByImport)
	x.add(3, "u3")
	x.settled("everybody +63 import; s +63 import; u +63 import; v +63 import")
	x.tracker.SetCause(ByEvent)
	x.happens(3, "A")
	x.settled("s -63 event; t +63 event")
	x.tracker.SetCause(ByErase)
	x.erase(3)
	x.settled("everybody -63 erase; t -63 erase; u -63 erase; v -63 erase")
}

// TestBuiltWhileMuchHappens: until a segment is built, its membership changes only when profiles are
// removed. Then the differences are reported with cause definition, including everything that happened
// meanwhile.
func TestBuiltWhileMuchHappens(t *testing.T) {
	x := newStoryPlayer(t, "did A")
	x.happens(1, "A")
	x.settled("s +0 event")
	x.define(2, "other", "did B")
	x.tracker.Define([]Definition{{Slot: 1, Name: "s", Zone: "UTC", Pred: x.parse(`did B and plan = "x"`)}})
	if x.tracker.Due() != 0 {
		t.Errorf("a build is due at %d", x.tracker.Due())
	}
	x.attribute(1, "x")
	x.happens(2, "B")
	x.settled("other +1 event")
	if live := x.tracker.Work(1); len(live) > 0 { // B is counted already, but costs a unit
		t.Errorf("%v is live after one chunk", live)
	}
	x.attribute(2, "x")
	x.settled("")
	if live := x.tracker.Work(2); len(live) > 0 {
		t.Errorf("%v is live after three chunks", live)
	}
	x.settled("")
	if live := x.tracker.Work(2); !slices.Equal(live, []int{1}) {
		t.Errorf("%v is live after all four", live)
	}
	x.settled("s -0 +1 definition")
	x.attribute(2, "y")
	x.settled("s -1 attribute")
}
