package member

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/tree"
)

// TestCompiled checks how many counters and conditions each predicate uses, and which thresholds.
func TestCompiled(t *testing.T) {
	const no = "" // no thresholds
	for _, c := range []struct {
		text                 string
		counters, conditions int
		limits               string // lo..hi of each threshold
	}{
		{"everyone", 0, 0, no},
		{"did A", 1, 0, "1.."},
		{"did not A", 1, 0, "1.."},
		{"did A at least 3 times in last 7 days", 1, 0, "3.."},
		{"did A at most 3 times in last 7 days", 1, 0, "0..3"},
		{"did A exactly 3 times in last 7 days", 1, 0, "3..3"},
		{"did A more than 3 times and did A fewer than 9 times", 1, 0, "4.. 0..8"},
		{"count of A < 0", 1, 0, "1..0"}, // never true
		{"count of A > -1", 0, 1, no},
		{"count of A < 1", 1, 0, "0..0"},
		{"count of A != 2", 1, 0, "2..2"},
		{"3 < count of A", 1, 0, "4.."},
		{"3 >= count of A", 1, 0, "0..3"},
		{"count of A >= 2.5", 0, 1, no},
		{"count of A > count of B", 0, 1, no},
		{"count of A >= 5000000000", 0, 1, no},
		{"did A in last 1 month", 0, 1, no}, // months have no length
		{"did A in last 60 seconds or did A at least 2 times in last 1 minute", 1, 0, "1.. 2.."},
		{"did A between 3 and 10 seconds ago and did A between 10 and 3 seconds ago", 1, 0, "1.."},
		{"did A in last 1 minute or did A more than 1 minute ago", 2, 0, "1.. 1.."},
		{"did A today and did A at least 2 times today", 1, 0, "1.. 2.."},
		{`did A where (category = "x") and did A`, 2, 0, "1.. 1.."},
		{"first did A", 1, 0, "1.."},
		{"last did A in last 1 minute", 1, 0, "1.."},
		{"first did A in last 1 minute", 2, 0, "1.. 1.."},
		{"last did A more than 1 minute ago", 2, 0, "1.. 1.."},
		{"first did A today", 0, 1, no},
		{"did A then B within 1 minute", 1, 0, "1.."},
		{"did A then not B within 60 seconds and did A then not B within 1 minute", 1, 0, "1.."},
		{"did A then B within 1 minute and did A then not B within 1 minute", 2, 0, "1.. 1.."},
		{"did A then B", 0, 1, no},
		{"did A then B within 0 seconds", 0, 1, no},
		{"did A then B within 1 minute then A within 1 minute", 0, 1, no},
		{"did A then B where (amount > previous.amount) within 1 minute", 0, 1, no},
		{"sum(amount) of A > 2", 1, 0, "201.."},
		{"sum(amount) of A >= 2 and sum(amount) of A < 2", 1, 0, "200.. ..199"},
		{"sum(amount) of A > 2 and sum(amount * 2) of A > 2", 2, 0, "201.. 201.."},
		{"avg(amount) of A > 2", 0, 1, no},
		{`plan = "x" and plan = "x" and not plan = "x"`, 0, 1, no},
		{`plan != "x"`, 0, 1, no},
		{`plan = "x" or plan = "y"`, 0, 2, no},
		{"last_seen in last 1 day", 0, 1, no},
	} {
		w := newWorld(t, storyNames(2))
		tr := New(w, w.schema, noon)
		if err := tr.Define([]Definition{{Slot: 1, Name: "s", Zone: "UTC", Pred: w.parse(c.text)}})[0]; err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		conditions, counters := tr.Conditions()
		if conditions != c.conditions || counters != c.counters {
			t.Errorf("%s: %d counters and %d conditions, want %d and %d", c.text, counters, conditions, c.counters, c.conditions)
		}
		if got := limitsOf(tr); got != c.limits {
			t.Errorf("%s: %s, want %s", c.text, got, c.limits)
		}
	}
}

// limitsOf formats the thresholds of all counters in order of creation.
func limitsOf(tr *Tracker) string {
	var all []string
	for _, part := range tr.byID {
		k, ok := part.(*counter)
		if !ok {
			continue
		}
		for _, l := range k.limits {
			text := ".."
			if l.lo > -1<<40 {
				text = fmt.Sprint(l.lo) + text
			}
			if l.hi < 1<<40 {
				text += fmt.Sprint(l.hi)
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

// TestBetween: a comparison of a count with a whole number is a range, or not one.
func TestBetween(t *testing.T) {
	for _, o := range []tree.Op{tree.Eq, tree.Lt, tree.Le, tree.Gt, tree.Ge} {
		for n := range int64(5) {
			lo, hi, ok := between(o, tree.Int(n))
			for count := range int64(8) {
				in := lo <= count && (hi < 0 || count <= hi)
				if want := o.Holds(int(count - n)); !ok || in != want {
					t.Errorf("%v %d: %d..%d (%t), and %d is in: %t", o, n, lo, hi, ok, count, in)
				}
			}
		}
	}
	for _, n := range []tree.Number{tree.Int(-1), tree.Int(1<<32 + 1), {Coef: 15, Scale: 1}} {
		if lo, hi, ok := between(tree.Ge, n); ok {
			t.Errorf(">= %v: %d..%d", n, lo, hi)
		}
	}
	if lo, hi, ok := between(tree.Le, tree.Int(1<<32)); !ok || lo != 0 || hi != 1<<32 {
		t.Errorf("<= 2^32: %d..%d, %t", lo, hi, ok)
	}
}

// TestShared: equal conditions of different segments are shared, also where they are written differently or
// appear in other places; conditions that differ in meaning are not.
func TestShared(t *testing.T) {
	for _, c := range []struct {
		texts  []string
		zones  []string
		shared bool
	}{
		{[]string{"did A in last 60 seconds", "did B and did A at least 2 times in last 1 minute"}, nil, true},
		{[]string{"did A in last 7 days", "last did A in last 1 week"}, nil, true},
		{[]string{"did A in last 7 days", "did A in last 7 days"}, []string{"UTC", "Europe/Berlin"}, true}, // it does not depend on days
		{[]string{"did A today", "did A today"}, []string{"UTC", "Europe/Berlin"}, false},
		{[]string{"did A since 2026-11-22", "did A since 2026-11-22"}, []string{"UTC", "Europe/Berlin"}, false},
		{[]string{`did A where (category = "x")`, `did A where (category = "y")`}, nil, false},
		{[]string{"did A", "did B"}, nil, false},
		{[]string{"sum(amount) of A > 1", "sum(amount) of A < 1 or did B"}, nil, true},
		{[]string{"sum(amount) of A > 1", "did A"}, nil, false},
		{[]string{"did A then B within 60 seconds", "did A then B within 1 minute"}, nil, true},
		{[]string{"did A then B within 60 seconds", "did A then B within 61 seconds"}, nil, false},
		{[]string{"did A then B within 60 seconds", "did A"}, nil, false},
		{[]string{`plan = "x" and did B`, `not plan = "x"`}, nil, true},
		{[]string{`plan = "x"`, `plan = "y"`}, nil, false},
		{[]string{`plan = "x"`, `plan = "x"`}, []string{"UTC", "Europe/Berlin"}, false}, // it may name a day
	} {
		w := newWorld(t, storyNames(2))
		tr := New(w, w.schema, noon)
		for i, text := range c.texts {
			zone := "UTC"
			if c.zones != nil {
				zone = c.zones[i]
			}
			if err := tr.Define([]Definition{{Slot: i, Name: fmt.Sprint(i), Zone: zone, Pred: w.parse(text)}})[0]; err != nil {
				t.Fatal(err)
			}
		}
		shared := slices.ContainsFunc(tr.segments[0].parts, func(p part) bool { return slices.Contains(tr.segments[1].parts, p) })
		if shared != c.shared {
			t.Errorf("%q of %v: shared %t", c.texts, c.zones, shared)
		}
		tr.Work(1 << 62)
		tr.Forget(0)
		if len(tr.segments[1].parts) == 0 || tr.byID[0] != nil && !c.shared {
			t.Errorf("%q: after the first was forgotten, %v is left", c.texts, tr.byID)
		}
	}
}

// TestNothingIsLeft: after all segments of a random set are forgotten, nothing they used is left.
func TestNothingIsLeft(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 45))
	gen := querytest.NewGen(rng, 6)
	w := newWorld(t, gen.History)
	tr := New(w, w.schema, gen.Now)
	defined := 0
	for i := range 300 {
		slot := rng.IntN(40)
		if rng.IntN(3) == 0 {
			tr.Forget(slot)
			continue
		}
		p, _, err := check.Predicate(gen.Pred(2), w.schema)
		if err != nil || i%2 == 0 {
			p = w.parse(counted(rng))
		}
		held := func(string) (int, bool) { return 41, true }
		if err := tr.Define([]Definition{{Slot: slot, Name: fmt.Sprint(slot), Zone: "UTC", Pred: p, Held: held}})[0]; err == nil {
			defined++
		}
		if rng.IntN(2) == 0 {
			tr.Work(rng.IntN(5))
			tr.Settle()
		}
	}
	for slot := range 40 {
		tr.Forget(slot)
	}
	conditions, counters := tr.Conditions()
	if defined < 100 || conditions+counters+len(tr.steps)+len(tr.segments)+len(tr.builds)+len(tr.bare)+len(tr.bareSegs)+len(tr.anyEvent)+len(tr.byProfileID) > 0 {
		t.Errorf("seed %d: of %d: %d conditions, %d counters, %d steps, %d segments, %d builds, bare %d and %d, of any event %d, of ids %d", seed, defined,
			conditions, counters, len(tr.steps), len(tr.segments), len(tr.builds), len(tr.bare), len(tr.bareSegs), len(tr.anyEvent), len(tr.byProfileID))
	}
	for id, l := range tr.byEvent {
		if l != nil && !l.idle() {
			t.Errorf("seed %d: %+v still listens to event %d", seed, l, id)
		}
	}
	for _, a := range tr.byAttribute {
		if a != nil && len(a.conditions)+len(a.plain)+len(a.byText) > 0 {
			t.Errorf("seed %d: %+v still listens to an attribute", seed, a)
		}
	}
	for list, conditions := range tr.byList {
		if len(conditions) > 0 {
			t.Errorf("seed %d: %d conditions still listen to list %d", seed, len(conditions), list)
		}
	}
	for slot, segments := range tr.membershipReaders {
		if len(segments) > 0 {
			t.Errorf("seed %d: %d segments still depend on slot %d", seed, len(segments), slot)
		}
	}
	bytes := 0
	for size, places := range tr.rows.free {
		bytes += size * len(places)
	}
	if bits := len(tr.rows.bits); bits%8 != 0 || bytes+bits/8 != tr.rows.width {
		t.Errorf("seed %d: of %d bytes a row %d and %d bits are free", seed, tr.rows.width, bytes, bits)
	}
}
