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

// flipsAsText writes changes: segment, who leaves and enters, and why.
func (x *teller) flipsAsText() string {
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

func (x *teller) attribute(i int, plan string) {
	x.tracker.Because(ByAttribute)
	x.set(i, "plan", tree.Str(plan))
}

func (x *teller) happens(i int, name string) {
	x.tracker.Because(ByEvent)
	x.do(i, querytest.Event{Name: name, Time: x.tracker.Now()})
}

func (x *teller) settled(want string) {
	x.t.Helper()
	x.tracker.Settle()
	if got := x.flipsAsText(); got != want {
		x.t.Errorf("%q, want %q", got, want)
	}
	if err := x.tracker.Check(); err != nil {
		x.t.Error(err)
	}
}

// TestCauses: of what one entry does the latest cause stands, and what goes back and forth is no change.
func TestCauses(t *testing.T) {
	x := newTeller(t, `plan = "x" and did A`)
	x.tracker.Flips()
	x.attribute(1, "x")
	x.happens(1, "A")
	x.happens(2, "A")
	x.attribute(2, "x")
	x.settled("s +0 event; s +1 attribute") // by cause, in the order of their numbers
}

// TestBackAndForth: an entry that ends where it began changes nothing.
func TestBackAndForth(t *testing.T) {
	x := newTeller(t, `plan = "x"`)
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

// TestOrderOfChanges: the changes of one instant come in the order of segments' names, whether segments are
// sorted each time or numbered, and whatever was defined first.
func TestOrderOfChanges(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 50))
	x := newTeller(t, `plan = "never"`)
	names := []string{"a", "aa", "b", "c", "d", "e1", "e10", "e2", "é"}
	for i, n := range rng.Perm(len(names)) {
		x.define(i+2, names[n], []string{`plan = "x"`, "did A in last 10 seconds", `plan = "x" or did A in last 10 seconds`}[n%3])
	}
	x.tracker.Flips()
	for round := range 3 * settledDefinitions {
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
		if round == 2*settledDefinitions { // others from now on
			x.define(20, "bb", `plan = "x"`)
			x.tracker.Flips()
		}
	}
	if x.tracker.byName != nil && len(x.tracker.byName) != len(names)+2 {
		t.Errorf("%d of %d segments are numbered", len(x.tracker.byName), len(names)+2)
	}
}

// TestStandingOnAMembership: a segment that asks another's membership follows it in the same settling, with
// its cause, one that asks both ends where they do.
func TestStandingOnAMembership(t *testing.T) {
	x := newTeller(t, `plan = "never"`)
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
		x.tracker.Because(ByTime)
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
	x.tracker.Because(ByErase)
	x.erase(2)
	x.settled("asking -1 erase; held -1 erase")
	x.tracker.Drop(8)
	x.tracker.Drop(9)
	x.tracker.Because(ByDefinition)
	x.settled("not asking -0 erase") // the cause of what goes on when it is dropped
	x.tracker.Forget(8)
	x.tracker.Forget(9)
	refresh(0)
	x.settled("held +0 time")
}

// TestNewcomers: who appears is at once in what is true without facts, and in nothing else.
func TestNewcomers(t *testing.T) {
	x := newTeller(t, "did not A in last 10 seconds")
	x.define(2, "t", "did A")
	x.define(3, "u", `plan != "x" and not opt`)
	x.define(4, "everybody", "everyone")
	x.define(5, "v", "sum(amount) of A >= 0")
	x.tracker.Flips()
	x.tracker.Because(ByImport)
	x.add(3, "u3")
	x.settled("everybody +63 import; s +63 import; u +63 import; v +63 import")
	x.tracker.Because(ByEvent)
	x.happens(3, "A")
	x.settled("s -63 event; t +63 event")
	x.tracker.Because(ByErase)
	x.erase(3)
	x.settled("everybody -63 erase; t -63 erase; u -63 erase; v -63 erase")
}

// TestBuiltWhileMuchHappens: until a segment is built its membership changes by those who go only; then come
// the differences, by definition, and what happened meanwhile is in them.
func TestBuiltWhileMuchHappens(t *testing.T) {
	x := newTeller(t, "did A")
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
	if live := x.tracker.Work(1); len(live) > 0 { // B is counted already, and costs
		t.Errorf("%v is live after a chunk", live)
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
