package member

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query/calendar"
)

// TestScheduleMatchesTwin: moments inserted at any time are yielded once they are due, once and in order of
// instant, except those of removed profiles; and the next instant is always in the queue.
func TestScheduleMatchesTwin(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 51))
	w := newWorld(t, storyNames(9))
	tr := New(w, w.schema, 0)
	for i := 1; i < len(w.at); i++ {
		w.exists[i] = true
	}
	var a schedule
	const horizon = 1000
	a.reset(horizon)
	a.enqueue(tr, 5)
	var twin []moment
	for now := int64(0); now < horizon; now += rng.Int64N(30) {
		if rng.IntN(40) == 0 {
			w.exists[1+rng.IntN(len(w.at)-1)] = false
		}
		for range rng.IntN(6) {
			m := moment{at: now + 1 + rng.Int64N(horizon-now), weight: rng.Int64N(3), ordinal: w.at[1+rng.IntN(len(w.at)-1)], kind: momentKind(rng.IntN(3))}
			a.insert(m)
			a.enqueue(tr, 5)
			twin = append(twin, m)
		}
		if rng.IntN(20) == 0 { // reopen it and append moments of a chunk, unsorted
			m := moment{at: now + 1 + rng.Int64N(horizon-now), ordinal: w.at[2]}
			if upTo := a.reopen(now); upTo != horizon || a.head != 0 {
				t.Fatalf("seed %d: reopened up to %d with %d moments over", seed, upTo, a.head)
			}
			a.moments = append(a.moments, m)
			a.sort()
			a.enqueue(tr, 5)
			twin = append(twin, m)
		}
		for {
			next, ok := tr.queue.next()
			if !ok || next > now {
				break
			}
			x := tr.queue.pop()
			var got, want []moment
			queued := a.queued == x.at
			reached := a.popDue(tr, x.at, func(m moment) { got = append(got, m) })
			if !queued {
				if reached || got != nil {
					t.Fatalf("seed %d: an instant that was not queued yields moments", seed)
				}
				continue
			}
			twin = slices.DeleteFunc(twin, func(m moment) bool {
				if m.at <= x.at && w.Exists(m.ordinal) {
					want = append(want, m)
				}
				return m.at <= x.at
			})
			if !slices.IsSortedFunc(got, func(a, b moment) int { return cmp.Compare(a.at, b.at) }) || !slices.Equal(ordered(got), ordered(want)) || reached != (x.at >= horizon) {
				t.Fatalf("seed %d: at %d: %v, want %v", seed, x.at, got, want)
			}
			a.enqueue(tr, 5)
		}
		next := int64(horizon)
		for _, m := range twin {
			next = min(next, m.at)
		}
		if first, ok := tr.queue.next(); !ok || first != next {
			t.Fatalf("seed %d: at %d the queue has %d, want %d", seed, now, first, next)
		}
	}
}

// ordered returns the moments sorted by all fields.
func ordered(all []moment) []moment {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.kind, b.kind), cmp.Compare(a.weight, b.weight))
	})
	return all
}

// TestLooksAhead: the fewer moments the last look ahead found, the farther the next one goes, but no farther
// than its reach. It differs between parts, and is never shorter than the current Advance.
func TestLooksAhead(t *testing.T) {
	w := newWorld(t, storyNames(1))
	tr := New(w, w.schema, 0)
	var a schedule
	a.reset(0)
	ends := map[int64]bool{}
	for id := range uint32(64) {
		after, upTo := a.begin(tr, id, math.MaxInt64)
		if after != 0 || upTo > firstSpan || upTo < firstSpan*3/4 {
			t.Errorf("part %d looks from %d to %d", id, after, upTo)
		}
		ends[upTo] = true
	}
	if len(ends) != 64 {
		t.Errorf("64 parts end at %d instants", len(ends))
	}
	if _, upTo := a.begin(tr, 0, 40); upTo != 40 {
		t.Errorf("with a reach of 40 it looks up to %d", upTo)
	}
	tr.upTo = 1_000_000
	if _, upTo := a.begin(tr, 0, 40); upTo != 1_000_000 {
		t.Errorf("while advancing to 1000000 it looks up to %d", upTo)
	}
	look := func(moments int) int64 {
		a.moments = make([]moment, moments)
		a.endLookAhead(7)
		return a.span
	}
	if a.span = 5000; look(fewMoments-1) != 10_000 || look(fewMoments) != 10_000 || look(manyMoments) != 10_000 || look(manyMoments+1) != 5000 || a.horizon != 7 {
		t.Errorf("the next span is %d, the horizon is %d", a.span, a.horizon)
	}
	for range 40 {
		look(0)
	}
	if a.span != maxSpan {
		t.Errorf("with nothing found the span is %d", a.span)
	}
	for range 40 {
		look(manyMoments + 1)
	}
	if a.span != minSpan {
		t.Errorf("with many moments found the span is %d", a.span)
	}
}

// TestDue: the earliest instant is due for a profile; a stale item does nothing.
func TestDue(t *testing.T) {
	x := newStoryPlayer(t, "at in last 1 month")
	var c *condition
	for _, c = range x.tracker.conditions {
	}
	if !c.deps.loose || c.watches() {
		t.Fatalf("it is not loose: %+v", c.deps)
	}
	queued := func() int { return len(x.tracker.queue.items) }
	c.await(0, noon+50)
	c.await(0, noon+60)
	c.await(0, calendar.Forever)
	if c.due.get(0) != noon+50 || queued() != 1 {
		t.Errorf("%d is due, %d are queued", c.due.get(0)-noon, queued())
	}
	c.await(0, noon+40)
	if c.due.get(0) != noon+40 || queued() != 2 {
		t.Errorf("%d is due, %d are queued", c.due.get(0)-noon, queued())
	}
	c.takeDue(item{at: noon + 50, ordinal: 0})
	if c.due.get(0) != noon+40 {
		t.Errorf("a stale item made %d due", c.due.get(0)-noon)
	}
	c.takeDue(item{at: noon + 40, ordinal: 0})
	if c.due.get(0) != 0 {
		t.Errorf("after its item was taken, %d is due", c.due.get(0)-noon)
	}
	c.await(0, noon+70)
	x.tracker.SetCause(ByErase)
	x.erase(1)
	if c.due.get(0) != 0 {
		t.Errorf("after the profile was erased, %d is due", c.due.get(0)-noon)
	}
}
