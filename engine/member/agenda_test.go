package member

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query/calendar"
)

// TestAgendaIsItsTwin: moments put in at any time come out when they are over, once and in the order of
// instants, but for those of profiles that went; and the queue is told of the next one.
func TestAgendaIsItsTwin(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 51))
	w := newWorld(t, storyNames(9))
	tr := New(w, w.schema, 0)
	for i := 1; i < len(w.at); i++ {
		w.exists[i] = true
	}
	var a agenda
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
		if rng.IntN(20) == 0 { // more room, and a chunk's moments, unsorted
			m := moment{at: now + 1 + rng.Int64N(horizon-now), ordinal: w.at[2]}
			if upTo := a.reopen(now); upTo != horizon || a.head != 0 {
				t.Fatalf("seed %d: reopened up to %d, %d are over", seed, upTo, a.head)
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
			reached := a.pass(tr, x.at, func(m moment) { got = append(got, m) })
			if !queued {
				if reached || got != nil {
					t.Fatalf("seed %d: what was not queued passes", seed)
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
				t.Fatalf("seed %d: at %d %v, not %v", seed, x.at, got, want)
			}
			a.enqueue(tr, 5)
		}
		next := int64(horizon)
		for _, m := range twin {
			next = min(next, m.at)
		}
		if first, ok := tr.queue.next(); !ok || first != next {
			t.Fatalf("seed %d: at %d the queue knows of %d, and %d is next", seed, now, first, next)
		}
	}
}

// ordered sorts moments by all they have.
func ordered(all []moment) []moment {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.kind, b.kind), cmp.Compare(a.weight, b.weight))
	})
	return all
}

// TestLooksAhead: a look goes as far as little was found before, no farther than its reach, parts differently
// far, and never less far than time is going.
func TestLooksAhead(t *testing.T) {
	w := newWorld(t, storyNames(1))
	tr := New(w, w.schema, 0)
	var a agenda
	a.reset(0)
	ends := map[int64]bool{}
	for id := range uint32(64) {
		after, upTo := a.begin(tr, id, math.MaxInt64)
		if after != 0 || upTo > firstStretch || upTo < firstStretch*3/4 {
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
		t.Errorf("on the way to 1000000 it looks up to %d", upTo)
	}
	look := func(moments int) int64 {
		a.moments = make([]moment, moments)
		a.looked(7)
		return a.stretch
	}
	if a.stretch = 5000; look(agendaLittle-1) != 10_000 || look(agendaLittle) != 10_000 || look(agendaMuch) != 10_000 || look(agendaMuch+1) != 5000 || a.horizon != 7 {
		t.Errorf("the next look goes %d far, the horizon is %d", a.stretch, a.horizon)
	}
	for range 40 {
		look(0)
	}
	if a.stretch != mostStretch {
		t.Errorf("with nothing found it goes %d far", a.stretch)
	}
	for range 40 {
		look(agendaMuch + 1)
	}
	if a.stretch != leastStretch {
		t.Errorf("with much found it goes %d far", a.stretch)
	}
}

// TestDue: one instant a profile is queued, the earliest; what is stale does nothing.
func TestDue(t *testing.T) {
	x := newTeller(t, "at in last 1 month")
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
	c.come(item{at: noon + 50, ordinal: 0})
	if c.due.get(0) != noon+40 {
		t.Errorf("what is stale made %d due", c.due.get(0)-noon)
	}
	c.come(item{at: noon + 40, ordinal: 0})
	if c.due.get(0) != 0 {
		t.Errorf("it came, and %d is due", c.due.get(0)-noon)
	}
	c.await(0, noon+70)
	x.tracker.Because(ByErase)
	x.erase(1)
	if c.due.get(0) != 0 {
		t.Errorf("it went, and %d is due", c.due.get(0)-noon)
	}
}
