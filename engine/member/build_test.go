package member

import (
	"testing"
)

// TestSegmentLeavesBuild: a segment dropped while it is built together with another takes its parts along.
// What is computed afterwards does not touch the places that other parts now use, and a tracker that knows
// only the remaining segments can resume the build.
func TestSegmentLeavesBuild(t *testing.T) {
	x := newStoryPlayer(t, "everyone")
	for range 3 {
		x.play("0 A(x,1)")
		x.play("0 B(x,1)")
	}
	texts := []string{"did A at least 2 times in last 10 seconds", "did B at least 3 times", "did A where (amount > 5)"}
	both := []Definition{
		{Slot: 2, Name: "a", Zone: "UTC", Pred: x.parse(texts[0])},
		{Slot: 3, Name: "b", Zone: "UTC", Pred: x.parse(texts[1])},
	}
	x.tracker.Define(both)
	x.tracker.Work(1) // one chunk of the first part
	x.tracker.Drop(2)
	x.tracker.Settle()
	x.tracker.Forget(2)
	x.define(4, "c", texts[2]) // takes the place of a removed part
	if got := x.Members(4).(*fakeMembers).list(); len(got) > 0 {
		t.Errorf("%s has %v", texts[2], got)
	}
	if err := x.tracker.Check(); err != nil {
		t.Error(err)
	}
	if n := len(x.tracker.Building()); n > 0 {
		t.Errorf("%d builds are left", n)
	}

	x.tracker.Define([]Definition{both[0], {Slot: 5, Name: "d", Zone: "UTC", Pred: x.parse("did B in last 1 minute")}})
	x.tracker.Work(3) // the first part and some of the second
	x.tracker.Drop(2)
	x.tracker.Settle()
	b := x.tracker.Building()[0]
	again := New(separateMembers{x.world, map[int]*fakeMembers{}}, x.schema, x.tracker.Now())
	again.Define([]Definition{{Slot: 5, Name: "d", Zone: "UTC", Pred: x.parse("did B in last 1 minute")}})
	if err := again.Resume(b.Part, b.Chunk); err != nil || b.Parts() != 1 {
		t.Errorf("a build of %d parts at %d, chunk %d: %v", b.Parts(), b.Part, b.Chunk, err)
	}
}
