package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
)

// TestLiveEnds checks that thresholds at the limits of counts and sums are live like all others. A
// panic here would recur at each start, since the definition is in the log.
func TestLiveEnds(t *testing.T) {
	x := newStory(t, Config{})
	x.event("ann", "Order Completed", 0)
	x.event("ann", "Order Completed", 0)
	x.event("bob", "Order Completed", 0)
	for text, want := range map[string][]string{
		`did "Order Completed" at most 9223372036854775807 times`:                    {"ann", "bob"},
		`did "Order Completed" more than 9223372036854775807 times`:                  nil,
		`did "Order Completed" at least 9223372036854775807 times`:                   nil,
		`did "Order Completed" fewer than 9223372036854775807 times`:                 {"ann", "bob"},
		`did "Order Completed" exactly 9223372036854775807 times`:                    nil,
		`did "Order Completed" between 2 and 9223372036854775807 times`:              {"ann"},
		`did "Order Completed" between 1 and 4294967296 times`:                       {"ann", "bob"},
		`did "Order Completed" more than 4294967295 times`:                           nil,
		`count of "Order Completed" <= 9223372036854775807`:                          {"ann", "bob"},
		`count of "Order Completed" > 9223372036854775807`:                           nil,
		`count of "Order Completed" < 4294967297`:                                    {"ann", "bob"},
		`count of "Order Completed" >= -1`:                                           {"ann", "bob"},
		`did "Order Completed" at most 9223372036854775807 times in last 5 days`:     {"ann", "bob"},
		`did not "Order Completed" at most 9223372036854775807 times in last 5 days`: nil,
	} {
		x.segment("s", text)
		for range 4 {
			x.apply(EncodeTick(x.now))
		}
		x.event("ann", "Order Completed", 0)
		v := x.s.View()
		m, _ := v.Members("s")
		var got []string
		for _, id := range []string{"ann", "bob"} {
			if ordinal, ok := v.Find(id); ok && m.Has(ordinal) {
				got = append(got, id)
			}
		}
		v.Release()
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", text, got, want)
		}
		x.change(catalog.Change{Kind: catalog.DropSegment, Name: "s"})
	}
}

// TestSegmentsOf checks that About returns a profile's segments, and the segments that are still
// being built.
func TestSegmentsOf(t *testing.T) {
	x := newStory(t, Config{})
	x.event("ann", "Order Completed", 0)
	x.event("bob", "Product Added", 0)
	x.segment("buyers", `did "Order Completed"`)
	x.segment("all", `everyone`)
	parts := make([]string, buildBudget+1)
	for i := range parts {
		parts[i] = fmt.Sprintf(`did "Order Completed" in last %d days`, i+1)
	}
	want := func(id string, segments, building []string) {
		t.Helper()
		v := x.s.View()
		defer v.Release()
		about, ok := v.About(id)
		if !ok || !slices.Equal(about.Segments, segments) || !slices.Equal(about.Building, building) {
			t.Errorf("%s is in %v, while %v are being built; want %v and %v", id, about.Segments, about.Building, segments, building)
		}
	}
	x.segment("any", strings.Join(parts, " or "))
	want("ann", []string{"all", "buyers"}, []string{"any"})
	want("bob", []string{"all"}, []string{"any"})
	x.tick(1)
	want("ann", []string{"all", "any", "buyers"}, nil)
	want("bob", []string{"all"}, nil)
}

// TestFutureEventOfNoStep checks that a future event that only first_seen and last_seen depend on
// takes effect when its time comes. A panic here would recur at each start.
func TestFutureEventOfNoStep(t *testing.T) {
	x := newStory(t, Config{})
	x.segment("seen", `last_seen is set`)
	x.want(x.event("ann", "Order Completed", hour), "")
	x.want(x.tick(hour), "seen +ann time 3600000")
}
