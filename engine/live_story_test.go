package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

const (
	minute = 60_000
	hour   = 60 * minute
	day    = 24 * hour
)

// story is a shard with a shop's names whose log is written by hand.
type story struct {
	t   *testing.T
	s   *Shard
	seq uint64
	now int64
}

func newStory(t *testing.T, c Config) *story {
	c.Key, c.Parse = 42, parsePred
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	x := &story{t: t, s: s, now: testStart}
	x.change(catalog.Change{Kind: catalog.DefineNames, Names: []catalog.Name{
		{Kind: query.AttributeName, Name: "plan", Type: tree.StringType},
		{Kind: query.AttributeName, Name: "ltv", Type: tree.NumberType},
		{Kind: query.PropertyName, Event: "Product Added", Name: "category", Type: tree.StringType},
		{Kind: query.EventName, Name: "Order Completed"},
	}})
	return x
}

func (x *story) apply(entry []byte) string {
	x.t.Helper()
	x.seq++
	r := mustApply(x.t, x.s, x.seq, entry)
	if err := x.s.Check(); err != nil {
		x.t.Fatal(err)
	}
	return x.format(r.Changes)
}

// format returns changes as text: segment, who enters (+) and leaves (-), cause, and the time after
// testStart.
func (x *story) format(changes []Change) string {
	var lines []string
	for _, c := range changes {
		line := c.Segment
		for _, id := range x.s.IDs(c.Exits, nil) {
			line += " -" + id
		}
		for _, id := range x.s.IDs(c.Enters, nil) {
			line += " +" + id
		}
		lines = append(lines, fmt.Sprintf("%s %s %d", line, c.Cause, c.At-testStart))
	}
	return strings.Join(lines, "; ")
}

func (x *story) change(c catalog.Change) string {
	x.t.Helper()
	c.Version = x.s.Catalog().Version() + 1
	return x.apply(EncodeCatalog(x.now, c))
}

func (x *story) segment(name, text string) string {
	x.t.Helper()
	return x.change(catalog.Change{Kind: catalog.PutSegment, Segment: catalog.Segment{Name: name, Text: text}})
}

func (x *story) drop(name string) string {
	x.t.Helper()
	return x.change(catalog.Change{Kind: catalog.DropSegment, Name: name})
}

// event sends an event with a time relative to testStart.
func (x *story) event(user, event string, at int64) string {
	x.t.Helper()
	id, ok := x.s.Catalog().Event(event)
	if !ok {
		x.t.Fatalf("no event %q", event)
	}
	return x.apply(EncodeMessages(1, x.now, []Message{{Kind: Track, UserID: user, Event: id, Time: testStart + at}}))
}

func (x *story) attribute(user, name string, v tree.Value) string {
	x.t.Helper()
	id, _, ok := x.s.Catalog().Attribute(name)
	if !ok {
		x.t.Fatalf("no attribute %q", name)
	}
	return x.apply(EncodeMessages(1, x.now, []Message{{Kind: Identify, UserID: user, Fields: []Field{{id, v}}}}))
}

// tick moves time to an instant after testStart.
func (x *story) tick(at int64) string {
	x.t.Helper()
	x.now = testStart + at
	return x.apply(EncodeTick(x.now))
}

func (x *story) want(got, want string) {
	x.t.Helper()
	if got != want {
		x.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestAbandonedCart checks that a profile that left a cart enters at the first tick after the hour,
// with its exact instant, and leaves when it orders. Late orders count, and orders in time keep it
// out.
func TestAbandonedCart(t *testing.T) {
	x := newStory(t, Config{})
	x.want(x.segment("cart", `did "Product Added" then not "Order Completed" within 1 hour in last 7 days and did not "Order Completed" in last 1 hour`), "")
	x.want(x.event("ann", "Product Added", 0), "")
	x.want(x.event("bob", "Product Added", 1000), "")
	x.now = testStart + 30*minute
	x.want(x.event("bob", "Order Completed", 30*minute), "")
	x.want(x.tick(hour-1), "")
	x.want(x.tick(hour+240), "cart +ann time 3600000")
	x.want(x.event("ann", "Order Completed", hour+240), "cart -ann event 3600240")
	// The cart before the order is still abandoned: an hour after the order ann enters again.
	x.want(x.tick(2*hour+1000), "cart +ann time 7200240")
	// An order that arrives late but was within the hour ends that.
	x.want(x.event("ann", "Order Completed", 50*minute), "cart -ann event 7201000")
	x.want(x.tick(8*day), "")
}

// TestTimeFlips checks that changes made by time alone are reported once, in order, at their
// instants, however far an entry moves time, that future events take effect at their time, and that
// late ones count where they belong.
func TestTimeFlips(t *testing.T) {
	x := newStory(t, Config{})
	x.segment("active", `did "Product Added" in last 1 hour`)
	x.segment("twice", `did "Product Added" at least 2 times in last 1 day`)
	x.segment("lost", `last did "Product Added" more than 2 days ago`)
	x.segment("today", `did "Product Added" today`)
	x.want(x.event("ann", "Product Added", 0), "active +ann event 0; today +ann event 0")
	x.want(x.event("ann", "Product Added", -2*hour), "twice +ann event 0")
	x.want(x.event("ann", "Product Added", 10*minute), "")
	x.want(x.tick(10*minute), "")
	midnight := int64(day) - testStart%day
	x.want(x.tick(5*day), fmt.Sprintf("active -ann time %d; today -ann time %d; twice -ann time %d; lost +ann time %d",
		hour+10*minute, midnight, 24*hour, 2*day+10*minute))
	x.want(x.event("ann", "Product Added", 0), "") // five days late
	x.want(x.event("ann", "Product Added", 5*day), "active +ann event 432000000; lost -ann event 432000000; today +ann event 432000000")
}

// TestDefinitions checks that a segment that is created, replaced or dropped reports the true
// difference, that segments that refer to it follow in the same entry, and that a segment with an
// unknown name is evaluated once the name is defined.
func TestDefinitions(t *testing.T) {
	x := newStory(t, Config{})
	x.attribute("ann", "plan", tree.Str("pro"))
	x.attribute("bob", "plan", tree.Str("team"))
	x.want(x.segment("paying", `plan = "pro"`), "paying +ann definition 0")
	x.want(x.segment("others", `not in segment "paying"`), "others +bob definition 0")
	x.want(x.segment("paying", `plan in ("pro", "team")`), "others -bob definition 0; paying +bob definition 0")
	x.want(x.attribute("cid", "plan", tree.Str("free")), "others +cid attribute 0")
	x.want(x.attribute("cid", "plan", tree.Str("pro")), "others -cid attribute 0; paying +cid attribute 0")
	x.want(x.segment("later", `tier = "gold" or in segment "nobody"`), "")
	if info, _ := x.s.Segment("later"); info.State != SegmentFailed || info.Reason == "" {
		t.Errorf("a segment that refers to a missing one is %v: %s", info.State, info.Reason)
	}
	x.want(x.segment("nobody", `plan = "none"`), "")
	x.change(catalog.Change{Kind: catalog.DefineNames, Names: []catalog.Name{{Kind: query.AttributeName, Name: "tier", Type: tree.StringType}}})
	x.want(x.attribute("ann", "tier", tree.Str("gold")), "later +ann attribute 0")
	x.want(x.drop("nobody"), "later -ann definition 0")
	got := x.drop("paying")
	if got != "paying -ann -bob -cid definition 0" {
		t.Errorf("dropped: %s", got)
	}
	x.drop("others")
	x.drop("later")
	if x.s.live != nil {
		t.Error("without segments there is still a tracker")
	}
}

// TestOverflowedSegment checks that a property with too many values for memory fails the segments
// that read it.
func TestOverflowedSegment(t *testing.T) {
	x := newStory(t, Config{DictCap: 1})
	x.segment("shoes", `did "Product Added" where (category = "shoes")`)
	event, _ := x.s.Catalog().Event("Product Added")
	send := func(user, category string) string {
		return x.apply(EncodeMessages(1, x.now, []Message{{Kind: Track, UserID: user, Event: event, Time: x.now, Fields: []Field{{0, tree.Str(category)}}}}))
	}
	x.want(send("ann", "shoes"), "shoes +ann event 0")
	x.want(send("bob", "hats"), "shoes -ann definition 0")
	if info, _ := x.s.Segment("shoes"); info.State != SegmentFailed || !strings.Contains(info.Reason, "category") {
		t.Errorf("%v: %s", info.State, info.Reason)
	}
	x.want(x.segment("shoes", `did "Product Added"`), "shoes +ann +bob definition 0")
}

// TestRanksAreFrozen checks that a rank changes only with its cuts, and that segments that refer to
// it follow.
func TestRanksAreFrozen(t *testing.T) {
	x := newStory(t, Config{})
	for i, user := range []string{"ann", "bob", "cid"} {
		x.attribute(user, "ltv", tree.NumInt(int64(10*(i+1))))
	}
	x.want(x.segment("best", `in top 1 by ltv`), "")
	x.want(x.segment("rest", `not in segment "best"`), "rest +ann +bob +cid definition 0")
	refresh := func() string {
		v := x.s.View()
		defer v.Release()
		text, _ := v.Catalog().SegmentText("best")
		return x.apply(EncodeRefresh(x.now, Refresh{Segment: "best", Version: text.Version, Cuts: heldCuts(t, v, "best", x.now)}))
	}
	x.want(refresh(), "best +cid time 0; rest -cid time 0")
	x.want(x.attribute("ann", "ltv", tree.NumInt(99)), "")
	x.now += minute
	x.want(refresh(), "best -cid +ann time 60000; rest -ann +cid time 60000")
	refused, err := x.s.Apply(x.seq+1, EncodeRefresh(x.now, Refresh{Segment: "rest", Version: 1}))
	if x.seq++; err != nil || refused.Refused != 1 {
		t.Errorf("a refresh of a segment without a rank: %+v, %v", refused, err)
	}
}

// TestRefreshIsOfItsInstant checks that an event between the instant of the cuts and the entry that
// carries them is not in the membership, which is that of the cuts' instant in every shard.
func TestRefreshIsOfItsInstant(t *testing.T) {
	x := newStory(t, Config{})
	start := x.now
	x.event("ann", "Order Completed", -2*minute)
	x.event("bob", "Order Completed", -minute)
	x.want(x.segment("newest", `in top 50% by last_seen`), "")
	v := x.s.View()
	text, _ := v.Catalog().SegmentText("newest")
	order := Refresh{Segment: "newest", Version: text.Version, Cuts: heldCuts(t, v, "newest", start), At: start}
	v.Release()
	x.now += minute
	x.event("ann", "Order Completed", minute)
	x.want(x.apply(EncodeRefresh(x.now, order)), "newest +bob time 60000")
	if info, _ := x.s.Segment("newest"); info.RefreshedAt != start {
		t.Errorf("refreshed at %d, want %d", info.RefreshedAt, start)
	}
}

// TestBuildInSteps checks that a definition over more chunks than one entry computes is built over
// several, also across a restart, and that what happens meanwhile is in the difference at the end.
func TestBuildInSteps(t *testing.T) {
	x := newStory(t, Config{})
	const profiles = 5*query.ChunkSize + 10
	plan, _, _ := x.s.Catalog().Attribute("plan")
	for from := 0; from < profiles; from += 1 << 15 {
		var batch []Message
		for i := from; i < min(from+1<<15, profiles); i++ {
			batch = append(batch, Message{Kind: Identify, UserID: fmt.Sprint("u", i), Fields: []Field{{plan, tree.Str([]string{"pro", "free"}[i%2])}}})
		}
		x.seq++
		mustApply(t, x.s, x.seq, EncodeMessages(1, x.now, batch))
	}
	put := func(text string) Result {
		x.seq++
		c := catalog.Change{Version: x.s.Catalog().Version() + 1, Kind: catalog.PutSegment, Segment: catalog.Segment{Name: "s", Text: text}}
		return mustApply(t, x.s, x.seq, EncodeCatalog(x.now, c))
	}
	r := put(`plan = "pro" and did not "Order Completed" and did not "Product Added" in last 1 day and user_id contains "u"`)
	if info, _ := x.s.Segment("s"); len(r.Changes) > 0 || info.State != SegmentBuilding || info.Total != 4 {
		t.Fatalf("after one entry: %+v, %d changes", info, len(r.Changes))
	}
	restored, err := Restore(x.s.config, snapshotOf(t, x.s))
	if err != nil {
		t.Fatal(err)
	}
	order, _ := x.s.Catalog().Event("Order Completed")
	entry := EncodeMessages(1, x.now, []Message{
		{Kind: Track, UserID: "u0", Event: order, Time: x.now}, {Kind: Track, UserID: fmt.Sprint("u", profiles-2), Event: order, Time: x.now},
	})
	x.seq++
	r = mustApply(t, x.s, x.seq, entry)
	again := mustApply(t, restored, x.seq, entry)
	if len(r.Changes) != 1 || len(r.Changes[0].Enters) != profiles/2-2 || slices.Contains(r.Changes[0].Enters, 0) {
		t.Fatalf("%d changes", len(r.Changes))
	}
	if len(again.Changes) != 1 || !slices.Equal(again.Changes[0].Enters, r.Changes[0].Enters) || restored.Hash() != x.s.Hash() {
		t.Error("the restored shard has other changes")
	}
	if err := x.s.Check(); err != nil {
		t.Error(err)
	}
}
