package member

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/tree"
)

// noon is second 0 of stories: half a day before midnight.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMilli()

// storyNames returns the names that stories use: events A and B, and an attribute of each type.
func storyNames(profiles int) *querytest.History {
	props := map[string]tree.Value{"category": tree.Str("x"), "amount": tree.NumInt(1)}
	h := &querytest.History{Profiles: make([]querytest.Profile, profiles), Lists: map[string][]string{"vips": nil}}
	h.Profiles[0] = querytest.Profile{
		UserID: "names",
		Attrs:  map[string]tree.Value{"plan": tree.Str("x"), "ltv": tree.NumInt(1), "at": tree.Time(0), "opt": tree.Bool(true), "tags": tree.ListOf(tree.Str("x"))},
		Events: []querytest.Event{{Name: "A", Props: props}, {Name: "B", Props: props}},
	}
	return h
}

// storyPlayer plays stories about one profile and one segment, and records the changes.
type storyPlayer struct {
	*world
	tracker *Tracker
	changes []string
}

func newStoryPlayer(t *testing.T, text string) *storyPlayer {
	x := &storyPlayer{world: newWorld(t, storyNames(4))}
	x.tracker = New(x.world, x.schema, noon)
	x.trackers = []*Tracker{x.tracker}
	x.tracker.SetCause(ByAttribute)
	x.add(1, "u1")
	x.add(2, "u2") // does nothing
	x.define(1, "s", text)
	x.record()
	return x
}

func (x *storyPlayer) define(slot int, name, text string) {
	x.t.Helper()
	for _, err := range x.tracker.Define([]Definition{{Slot: slot, Name: name, Zone: "UTC", Pred: x.parse(text), Held: func(string) (int, bool) { return 0, false }}}) {
		if err != nil {
			x.t.Fatalf("define %s: %v", text, err)
		}
	}
	x.tracker.Settle()
	x.tracker.Work(1 << 62)
	x.tracker.Settle()
}

// record records the changes: + for an enter, - for an exit, with the second and the cause. Only the first
// profile's changes are recorded.
func (x *storyPlayer) record() {
	for _, flip := range x.tracker.Flips() {
		for sign, ordinals := range map[string][]uint32{"-": flip.Exits, "+": flip.Enters} {
			if slices.Contains(ordinals, x.at[1]) {
				x.changes = append(x.changes, sign+second(flip.At)+flip.Cause.String())
			}
		}
	}
}

func second(ms int64) string {
	return strconv.FormatFloat(float64(ms-noon)/1000, 'f', -1, 64)
}

func millis(t *testing.T, text string) int64 {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return noon + int64(s*1000)
}

// play plays one sentence: the second, then what the profile does (A, B, A@3 for an event at another
// second, A(x,2.5) for one with a category and an amount), gets (plan=x) or suffers (erase). An empty
// action lets time pass.
func (x *storyPlayer) play(sentence string) {
	x.t.Helper()
	at, what, _ := strings.Cut(strings.TrimSpace(sentence), " ")
	now := millis(x.t, at)
	x.tracker.Advance(now)
	name, value, sets := strings.Cut(what, "=")
	switch {
	case what == "":
	case what == "erase":
		x.tracker.SetCause(ByErase)
		x.erase(1)
	case sets:
		x.tracker.SetCause(ByAttribute)
		x.set(1, name, x.value(name, value))
	default:
		x.tracker.SetCause(ByEvent)
		x.do(1, x.event(what, now))
	}
	x.tracker.Settle()
	x.record()
	if err := x.tracker.Check(); err != nil {
		x.t.Errorf("after %q: %v", sentence, err)
	}
}

func (x *storyPlayer) value(name, text string) tree.Value {
	switch _, typ, _ := x.schema.Attribute(name); {
	case text == "none":
		return tree.Value{}
	case typ == tree.NumberType:
		n, _ := tree.ParseNumber(text)
		return tree.Num(n)
	case typ == tree.TimeType:
		return tree.Time(millis(x.t, text))
	case typ == tree.BoolType:
		return tree.Bool(text == "true")
	}
	return tree.Str(text)
}

func (x *storyPlayer) event(text string, now int64) querytest.Event {
	e := querytest.Event{Name: text[:1], Time: now, Props: map[string]tree.Value{}}
	rest, props, has := strings.Cut(strings.TrimSuffix(text[1:], ")"), "(")
	if at, ok := strings.CutPrefix(rest, "@"); ok {
		e.Time = millis(x.t, at)
	}
	if has {
		category, amount, _ := strings.Cut(props, ",")
		if category != "" {
			e.Props["category"] = tree.Str(category)
		}
		if n, ok := tree.ParseNumber(amount); ok {
			e.Props["amount"] = tree.Num(n)
		}
	}
	return e
}

// stories state at which instant, to the millisecond, a profile enters and leaves, and why.
var stories = []struct{ text, story, want string }{
	// A window that ends: in at the event, out when it is D old, (now - D, now].
	{"did A in last 10 seconds", "0 A; 9.999; 10; 11", "+0event -10time"},
	{"did A in last 10 seconds", "0 A; 9.999 A; 10; 19.998; 19.999", "+0event -19.999time"},
	{"did A in last 10 seconds", "0 A; 30", "+0event -10time"},
	{"did A in last 10 seconds", "5 A@-4.999; 5.001", "+5event -5.001time"},
	{"did A in last 10 seconds", "5 A@-5; 6", ""},
	{"did A in last 10 seconds", "0 A@3; 2.999; 3; 20", "+3time -13time"},
	{"did A in last 10 seconds", "0 A@3; 1 erase; 20", ""},
	{"did A in last 10 seconds", "0 A; 1 erase; 20", "+0event -1erase"},
	{"did not A in last 10 seconds", "0 A; 10", "-0event +10time"},
	{"did A at least 2 times in last 10 seconds", "0 A; 4 A; 9 A; 9.999; 13.999; 14", "+4event -14time"},
	{"did A at least 2 times in last 10 seconds", "0 A; 4 A; 14", "+4event -10time"},
	{"did A exactly 1 times in last 10 seconds", "0 A; 4 A; 10; 14", "+0event -4event +10time -14time"},
	{"did A at most 1 times in last 10 seconds", "0 A; 4 A; 10", "-4event +10time"},
	{"count of A in last 10 seconds < 2", "0 A; 4 A; 10", "-4event +10time"},
	{"2 <= count of A", "0 A; 5 A@-100; 6 A@9; 9", "+5event"},
	// A window that begins: in when the event is D old.
	{"did A more than 10 seconds ago", "0 A; 9.999; 10; 99", "+10time"},
	{"did A more than 10 seconds ago", "0 A@-10; 1", "+0event"},
	{"did A more than 10 seconds ago", "0 A@-9.999; 1", "+0.001time"},
	{"did A more than 10 seconds ago", "0 A@5; 14.999; 15", "+15time"},
	// A window with both ends.
	{"did A between 3 and 10 seconds ago", "0 A; 2.999; 3; 9.999; 10", "+3time -10time"},
	{"did A between 10 and 3 seconds ago", "0 A; 50", "+3time -10time"},
	{"did A between 3 and 10 seconds ago", "20 A@15; 50", "+20event -25time"},
	{"did A between 5 and 5 seconds ago", "0 A; 50", ""},
	// First and last are compiled to counts.
	{"first did A in last 10 seconds", "0 A; 5 A; 10; 20", "+0event -10time"},
	{"first did A in last 10 seconds", "0 A; 5 A@-30; 9", "+0event -5event"},
	{"last did A in last 10 seconds", "0 A; 5 A; 10; 15", "+0event -15time"},
	{"last did A more than 10 seconds ago", "0 A; 10; 12 A; 22", "+10time -12event +22time"},
	{"first did A more than 10 seconds ago", "0 A; 10; 12 A; 40", "+10time"},
	{"last did A between 3 and 10 seconds ago", "0 A; 3; 5 A; 8; 15", "+3time -5event +8time -15time"},
	{"first did A between 3 and 10 seconds ago", "0 A; 1 A; 4; 9.999; 10; 30", "+3time -10time"},
	// Calendar windows move for all profiles, at midnight.
	{"did A today", "0 A; 43199.999; 43200; 86400", "+0event -43200time"},
	{"did A yesterday", "0 A; 43199.999; 43200; 129599.999; 129600", "+43200time -129600time"},
	{"did A at least 2 times this week", "0 A; 1 A; 43200", "+1event -43200time"}, // a Sunday
	{"did A since 2026-11-23", "0 A; 1 A@43199.999; 2 A@43200; 43200", "+43200time"},
	{"did A before 2026-11-23", "0 A@43200; 43200 A@43199.999", "+43200event"},
	// A second step within a gap, (t, t + gap].
	{"did A then B within 10 seconds", "0 A; 10 B; 99", "+10event"},
	{"did A then B within 10 seconds", "0 A; 10.001 B; 99", ""},
	{"did A then B within 10 seconds", "0 A; 0 B; 99", ""},
	{"did A then B within 10 seconds", "5 B; 6 A@4.999; 99", "+6event"},
	{"did A then B within 10 seconds", "0 A; 1 B@5; 4.999; 5", "+5time"},
	{"did A then B within 10 seconds in last 1 minute", "0 A; 5 B; 59.999; 60", "+5event -60time"},
	{"did A then B within 10 seconds in last 1 minute", "0 A; 5 B; 7 A; 8 B; 60; 67", "+5event -67time"},
	{"did A then B within 10 seconds more than 1 minute ago", "0 A; 5 B; 59.999; 60", "+60time"},
	{`did A where (category = "x") then B where (amount > 2) within 10 seconds`, "0 A(y,1); 1 B(x,3); 2 A(x,1); 3 B(x,2); 4 B(,2.5)", "+4event"},
	// No second step within the gap, known only when the gap is over.
	{"did A then not B within 10 seconds", "0 A; 9.999; 10; 99 B", "+10time"},
	{"did A then not B within 10 seconds", "0 A; 10 B; 99", "+10time -10event"}, // at the same instant, time comes first
	{"did A then not B within 10 seconds", "0 A; 9.999 B; 99", ""},
	{"did A then not B within 10 seconds", "0 A; 10; 11 B; 99", "+10time"},
	{"did A then not B within 10 seconds", "0 A; 10; 11 B@10; 99", "+10time -11event"},
	{"did A then not B within 10 seconds", "0 A; 10; 11 B@9; 12 B@8; 99", "+10time -11event"},
	{"did A then not B within 10 seconds", "0 A; 1 A; 10; 11; 12 B@10.5; 99", "+10time"},
	{"did A then not B within 10 seconds", "0 A; 1 A; 10; 11; 12 B@10; 99", "+10time -12event"},
	{"did A then not B within 10 seconds in last 1 minute", "0 A; 10; 60", "+10time -60time"},
	{"did A then not B within 10 seconds in last 10 seconds", "0 A; 60", ""}, // out of the window before it is known
	{"did A then not B within 10 seconds", "20 A@10; 30", "+20event"},
	// Sums.
	{"sum(amount) of A in last 10 seconds >= 5", "0 A(x,2.5); 1 A(x,2.5); 9.999; 10", "+1event -10time"},
	{"sum(amount) of A in last 10 seconds > 5", "0 A(x,2.5); 1 A(x,2.5); 2 A(x,0.01); 10", "+2event -10time"},
	{"sum(amount) of A < 0", "0 A(x,-1); 1 A(x,1); 2 A; 3 A(x,-0.001)", "+0event -1event +3event"},
	{"sum(amount) of A = 0.3", "0 A(x,0.1); 1 A(x,0.2); 2 A(x,0.000000001); 3 A(x,-0.000000001)", "+1event -2event +3event"},
	{"sum(amount * 2) of A >= 3", "0 A(x,1.5)", "+0event"},
	// Attributes.
	{`plan = "x"`, "0 plan=y; 1 plan=x; 2 plan=x; 3 plan=none", "+1attribute -3attribute"},
	{`plan != "x"`, "1 plan=x; 2 plan=y", "-1attribute +2attribute"},
	{"ltv between 2 and 4", "0 ltv=1.99; 1 ltv=2; 2 ltv=4; 3 ltv=4.01", "+1attribute -3attribute"},
	{"opt", "0 opt=true; 1 opt=false", "+0attribute -1attribute"},
	{"at in last 10 seconds", "0 at=-2; 7.999; 8", "+0attribute -8time"},
	{"at in next 10 seconds", "0 at=15; 4.999; 5; 14.999; 15", "+5time -15time"},
	{"at more than 10 seconds ago", "0 at=-2; 3 at=4; 14", "+14time"},
	{`did A in last 10 seconds and plan = "x"`, "0 A; 1 plan=x; 10", "+1attribute -10time"},
	{`did A in last 10 seconds and plan = "x"`, "0 plan=x; 1 A; 2 plan=y; 11", "+1event -2attribute"},
	// Any event.
	{"last_seen in last 10 seconds", "0 B; 10", "+0event -10time"},
	{"first_seen more than 10 seconds ago", "0 B@4; 14; 15 A@6", "+14time"},
	// Evaluated conditions: months, the latest value.
	{"last(amount) of A > 2", "0 A(x,3); 1 A(x,1); 2 A@0.5(x,9); 3 A@5(x,7); 5", "+0event -1event +5time"},
	{"did A then B where (amount > previous.amount) within 10 seconds", "0 A(x,3); 1 B(x,3); 2 B(x,4)", "+2event"},
	{"did A in last 1 month", "0 A; 2591999.999; 2592000", "+0event -2592000time"}, // 22 December
}

// TestStories plays all stories.
func TestStories(t *testing.T) {
	for _, c := range stories {
		t.Run(c.text, func(t *testing.T) {
			x := newStoryPlayer(t, c.text)
			x.changes = nil // drop the changes at definition
			for sentence := range strings.SplitSeq(c.story, ";") {
				x.play(sentence)
			}
			if got := strings.Join(x.changes, " "); got != c.want {
				t.Errorf("%s\ngot  %s\nwant  %s", c.story, got, c.want)
			}
		})
	}
}

// TestStoriesBuiltLater: the membership at the end of a story is the same if the segment is defined in the
// middle of it, and changes in the same way as time passes.
func TestStoriesBuiltLater(t *testing.T) {
	for _, c := range stories {
		t.Run(c.text, func(t *testing.T) {
			soon, late := newStoryPlayer(t, c.text), newStoryPlayer(t, "everyone")
			sentences := strings.Split(c.story, ";")
			for i, sentence := range sentences {
				soon.play(sentence)
				late.play(sentence)
				if i == len(sentences)/2 {
					late.define(1, "s", c.text)
				}
			}
			for _, d := range []int64{1, 999, 9_000, 50_000, 86_400_000} {
				for _, x := range []*storyPlayer{soon, late} {
					x.tracker.Advance(x.tracker.Now() + d)
					x.tracker.Settle()
					x.record()
				}
				if a, b := soon.Members(1).(*fakeMembers).list(), late.Members(1).(*fakeMembers).list(); !slices.Equal(a, b) {
					t.Fatalf("%s: %v from the beginning, %v built later", c.story, a, b)
				}
			}
		})
	}
}
