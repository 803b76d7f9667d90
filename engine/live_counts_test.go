package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/query/tree"
)

// TestLiveCountsSpill checks counts and sums of a rolling window that rise past what one, two and
// four bytes can hold and fall again, with more events than the schedule looks ahead to in one step.
// At every step they must be what a query and a list of all events give.
func TestLiveCountsSpill(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 24))
	x := newExtreme(t, seed)
	limits := []int{1, 254, 255, 256, 257, 1 << 12, 1<<16 - 1, 1 << 16}
	for _, n := range limits {
		x.texts[fmt.Sprint("at least ", n)] = fmt.Sprintf(`did "Product Added" at least %d times in last 1 hour`, n)
		x.texts[fmt.Sprint("exactly ", n)] = fmt.Sprintf(`did "Product Added" exactly %d times in last 1 hour`, n)
		x.texts[fmt.Sprint("sum ", n)] = fmt.Sprintf(`sum(n) of "Product Added" in last 1 hour > %d`, 1<<31/100-1<<17+n)
		x.texts[fmt.Sprint("ever ", n)] = fmt.Sprintf(`did "Product Added" at least %d times`, n)
	}
	for name, text := range x.texts {
		x.segment(name, text)
	}
	var sent []sentEvent
	for step := range 20 {
		busy := step < 8
		var messages []Message
		for who := range 6 {
			few := []int{3, 40, 90, 90, 300, 20_000}[who]
			if !busy {
				few /= 100
			}
			for range rng.IntN(few + 1) {
				e := sentEvent{who, x.now - rng.Int64N(5*minute)}
				sent = append(sent, e)
				messages = append(messages, Message{Kind: Track, UserID: fmt.Sprint("u", e.who), Event: x.added, Time: e.at,
					Fields: []Field{{x.amount, tree.Num(tree.Decimal(rng.Int64N(150_000), 2))}}})
			}
		}
		for from := 0; from < len(messages); from += 5000 {
			x.seq++
			mustApply(t, x.s, x.seq, EncodeMessages(1, x.now, messages[from:min(from+5000, len(messages))]))
		}
		x.s.Maintain(1 << 20)
		x.now += int64(rng.IntN(10 * minute))
		x.seq++
		mustApply(t, x.s, x.seq, EncodeTick(x.now))
		x.compare()
		x.compareCounts(sent, limits)
		if step == 10 {
			x.restart()
		}
		if t.Failed() {
			t.Fatalf("step %d", step)
		}
	}
	if err := x.s.Check(); err != nil {
		t.Fatal(err)
	}
}

// sentEvent is an event of person who.
type sentEvent struct {
	who int
	at  int64
}

// compareCounts compares the memberships with the list of events.
func (x *extreme) compareCounts(sent []sentEvent, limits []int) {
	x.t.Helper()
	var last, ever [6]int
	for _, e := range sent {
		ever[e.who]++
		if e.at > x.now-hour && e.at <= x.now {
			last[e.who]++
		}
	}
	v := x.s.View()
	defer v.Release()
	for who := range 6 {
		ordinal, ok := v.Find(fmt.Sprint("u", who))
		if !ok {
			continue
		}
		for _, n := range limits {
			for name, want := range map[string]bool{
				fmt.Sprint("at least ", n): last[who] >= n, fmt.Sprint("exactly ", n): last[who] == n, fmt.Sprint("ever ", n): ever[who] >= n,
			} {
				if m, _ := v.Members(name); m.Has(ordinal) != want {
					x.t.Errorf("u%d, who did it %d times in the last hour and %d times ever, is a member of %q: %t", who, last[who], ever[who], name, !want)
				}
			}
		}
	}
}

// TestLiveValuesOfManyCodes checks that segments of one value of a property follow events with it
// whatever its code is, below and above the bound up to which codes are found without reading the
// value.
func TestLiveValuesOfManyCodes(t *testing.T) {
	x := newStory(t, Config{})
	added, _ := x.s.Catalog().Event("Product Added")
	category, _, _ := x.s.Catalog().Schema().Property(added, "category")
	watched := []int{0, 1, 4094, 4095, 4096, 4097, 4999}
	for _, n := range watched {
		x.segment(fmt.Sprint("s", n), fmt.Sprintf(`did "Product Added" where (category = "C-%d") in last 1 day`, n))
	}
	for _, round := range []string{"in order", "again"} {
		var messages []Message
		for n := range 5000 {
			messages = append(messages, Message{Kind: Track, UserID: fmt.Sprint(round, n), Event: added, Time: x.now, Fields: []Field{{category, tree.Str(fmt.Sprint("C-", n))}}})
		}
		x.seq++
		if r := mustApply(t, x.s, x.seq, EncodeMessages(1, x.now, messages)); len(r.Changes) != len(watched) {
			t.Fatalf("%s: %d changes, want %d: %s", round, len(r.Changes), len(watched), x.format(r.Changes))
		}
		v := x.s.View()
		for _, n := range watched {
			ordinal, _ := v.Find(fmt.Sprint(round, n))
			if m, _ := v.Members(fmt.Sprint("s", n)); !m.Has(ordinal) {
				t.Errorf("%s: the profile with C-%d is not a member", round, n)
			}
		}
		v.Release()
	}
}
