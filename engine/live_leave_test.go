package engine

import (
	"fmt"
	"strings"
	"testing"
)

// TestSegmentLeavesBuild drops the largest of several segments halfway through their build. A shard
// that is restored from a snapshot taken then must open, and continue like the one that was not
// restarted.
func TestSegmentLeavesBuild(t *testing.T) {
	x := newStory(t, Config{})
	x.event("u1", "Product Added", 0)
	x.segment("asked", `did "Order Completed"`)
	var many []string
	for n := range 90 { // more conditions than an entry computes
		many = append(many, fmt.Sprintf(`count of "Product Added" in last %d days > 0`, n+1))
	}
	x.segment("large", `in segment "asked" or (`+strings.Join(many, " and ")+")")
	x.segment("small", `in segment "asked" or did "Product Added" in last 200 days`)
	for range 9 {
		x.tick(1)
	}
	x.segment("asked", `did "Order Completed" at least 2 times`) // all three are built again
	x.tick(2)
	x.tick(3)
	if info, _ := x.s.Segment("small"); info.State != SegmentBuilding {
		t.Fatalf("already built: %+v", info)
	}
	x.drop("large")
	restored, err := Restore(x.s.config, snapshotOf(t, x.s))
	if err != nil {
		t.Fatal(err)
	}
	for at := range int64(6) {
		x.seq++
		entry := EncodeTick(x.now + at)
		got, want := mustApply(t, restored, x.seq, entry), mustApply(t, x.s, x.seq, entry)
		if x.format(got.Changes) != x.format(want.Changes) || restored.Hash() != x.s.Hash() {
			t.Fatalf("after %d entries %q, without a restart %q", at+1, x.format(got.Changes), x.format(want.Changes))
		}
		a, _ := restored.Segment("small")
		if b, _ := x.s.Segment("small"); a != b {
			t.Fatalf("after %d entries %+v, without a restart %+v", at+1, a, b)
		}
	}
	if info, _ := x.s.Segment("small"); info.State != SegmentLive {
		t.Errorf("it does not become live: %+v", info)
	}
}
