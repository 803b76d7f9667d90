package member

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/tree"
)

// TestAges: bins are contiguous, and rows spread over ages are all in bins, near where they were put.
func TestAges(t *testing.T) {
	for i := range ageBins {
		from, to := bounds(i)
		if bin(from) != i && i > 0 || bin(to-1) != i || i+1 < ageBins && bin(to) != i+1 {
			t.Errorf("bin %d is %d to %d, but these are in bins %d and %d", i, from, to, bin(from), bin(to-1))
		}
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 52))
	for range 2000 {
		now := noon
		e := &EventLoad{}
		from := now - rng.Int64N(1<<(1+rng.IntN(38))) + rng.Int64N(100_000)
		to := from + rng.Int64N(1<<(1+rng.IntN(38)))
		e.Rows = 1 + rng.Int64N(1000)
		e.spread(now-to, now-from, float64(e.Rows))
		sum := 0.0
		for _, n := range e.ages {
			sum += n
			if n < 0 {
				t.Fatalf("seed %d: %v", seed, e.ages)
			}
		}
		if math.Abs(sum-float64(e.Rows)) > 1e-6*sum {
			t.Fatalf("seed %d: of %d rows %f are in bins", seed, e.Rows, sum)
		}
		checkWithin(t, seed, rng, e, now, from, to)
	}
}

// checkWithin: a range has no more rows than a range that contains it, and the whole range has all rows.
func checkWithin(t *testing.T, seed uint64, rng *rand.Rand, e *EventLoad, now, from, to int64) {
	t.Helper()
	const far = int64(1) << 60
	all := e.within(now, -far, far)
	if math.Abs(all-float64(e.Rows)) > 1e-6*all || e.within(now, to, to) != 0 || e.within(now, to, from) != 0 {
		t.Fatalf("seed %d: %f of %d rows", seed, all, e.Rows)
	}
	young, _ := bounds(bin(now - to))
	_, old := bounds(bin(now - from))
	if got := e.within(now, max(now-old+1, -far), min(now-young, far)); math.Abs(got-all) > 1e-6*all {
		t.Fatalf("seed %d: %f of %d rows within the bins that have all of them", seed, got, e.Rows)
	}
	middle := from + rng.Int64N(to-from+1)
	left, right, both := e.within(now, from, middle), e.within(now, middle, to), e.within(now, from, to)
	if left > both+1e-6 || right > both+1e-6 || both > all+1e-6 {
		t.Fatalf("seed %d: %f and %f of %f", seed, left, right, both)
	}
}

// TestLoadIsAdded: the load of shards and chunks is the sum of their loads.
func TestLoadIsAdded(t *testing.T) {
	x := newStoryPlayer(t, "everyone")
	for range 12 {
		x.happens(1, "A")
		x.happens(2, "A")
	}
	x.happens(1, "B")
	a, _ := x.schema.Event("A")
	l := NewLoad(noon)
	for chunk := range x.chunks {
		l.Add(a, x.Source().Series(a, chunk))
	}
	e := l.Events[a]
	if len(l.Events) != 1 || e.Rows != 24 || e.Profiles != 2 || e.Tails != 24 || e.within(noon, noon-firstAge+1, noon+1) != 24 {
		t.Errorf("%+v", e)
	}
	settled := x.Source().Series(a, 0)
	settled.Settled = len(settled.Blocks) - 1
	l = NewLoad(noon)
	if l.Add(a, settled); l.Events[a].Tails != int64(settled.Blocks[len(settled.Blocks)-1].Rows) {
		t.Errorf("%d rows are in tails", l.Events[a].Tails)
	}
}

// priceLoad returns the load of a node with some data.
func priceLoad(w *world) *Load {
	l := NewLoad(noon)
	l.Shards, l.Chunks, l.Profiles, l.Rows = 4, 8, 400_000, 5_000_000
	w.schema.Names(query.EventName, "", func(name string, _ tree.Type) bool {
		id, _ := w.schema.Event(name)
		e := l.Event(id)
		e.Rows, e.Profiles, e.Tails = 1_000_000, 200_000, 20_000
		e.spread(0, 90*86_400_000, 1_000_000)
		return true
	})
	return l
}

func near(a, b Price) bool {
	close := func(x, y int64) bool { return math.Abs(float64(x-y)) <= 4+1e-6*math.Abs(float64(x)) }
	return close(a.Memory, b.Memory) && close(int64(a.Second), int64(b.Second)) && close(int64(a.Build), int64(b.Build)) && close(int64(a.Event), int64(b.Event))
}

// TestShares: what segments share is paid for once. The cost of a new segment is how much more the list costs
// with it; shares add up to the total; equal segments have equal shares; the order does not matter.
func TestShares(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 53))
	gen := querytest.NewGen(rng, 5)
	w := newWorld(t, gen.History)
	l := priceLoad(w)
	for range 20 {
		var all []Definition
		for slot := range 6 {
			p := w.parse(counted(rng))
			if len(all) > 0 && rng.IntN(3) == 0 {
				p = all[rng.IntN(len(all))].Pred
			}
			all = append(all, Definition{Slot: slot, Name: fmt.Sprint(slot), Zone: "UTC", Pred: p})
		}
		list, other := NewPriceList(w.schema, noon), NewPriceList(w.schema, noon)
		list.Put(all...)
		for _, d := range slices.Backward(all) {
			other.Put(d)
		}
		whole := list.Tally(l)
		if a, b := whole.Price(), other.Tally(l).Price(); !near(a, b) {
			t.Fatalf("seed %d: %+v, in the other order %+v", seed, a, b)
		}
		var sum Tally
		for slot := range all {
			share, price := list.Share(l, slot), list.New(l, slot).Price()
			if share.Memory < price.Memory-4 || share.Build < price.Build-4 {
				t.Fatalf("seed %d: New(%d) is %+v, above its share %+v", seed, slot, price, share)
			}
			sum.memory, sum.second, sum.build = sum.memory+float64(share.Memory), sum.second+float64(share.Second), sum.build+float64(share.Build)
		}
		width := float64(l.Profiles) * float64(8+list.t.rows.width/16)
		if math.Abs(sum.memory+width-whole.memory) > 100 || math.Abs(sum.build-whole.build) > 100 || math.Abs(sum.second-whole.second) > 100 {
			t.Fatalf("seed %d: shares add up to %+v, want %+v", seed, sum, *whole)
		}
		last := len(all) - 1
		beside := list.New(l, last).Price()
		list.Drop(last)
		without := list.Tally(l)
		more := whole.Beyond(without)
		if math.Abs(float64(more.Build-beside.Build)) > 100 || math.Abs(float64(more.Second-beside.Second)) > 100 {
			t.Fatalf("seed %d: with it the list costs %+v more, but New is %+v", seed, more, beside)
		}
		if none := without.Beyond(without); none.Memory+int64(none.Build+none.Event+none.Second) != 0 {
			t.Fatalf("seed %d: a tally exceeds itself by %+v", seed, none)
		}
	}
}

// TestPricesGrow: more data costs more, and each segment has a price.
func TestPricesGrow(t *testing.T) {
	w := newWorld(t, storyNames(1))
	for _, text := range []string{"did A in last 7 days", "did A at least 2 times today", "sum(amount) of A in last 7 days > 3", "did A then B within 1 day", "did A then not B within 1 day",
		`plan = "x"`, `plan contains "x"`, "last_seen in last 7 days", "did A in last 1 month", "at in last 1 month", "did A then B then A", "avg(amount) of A > 1"} {
		list := NewPriceList(w.schema, noon)
		list.Put(Definition{Slot: 1, Name: "s", Zone: "UTC", Pred: w.parse(text)})
		small, large := priceLoad(w), priceLoad(w)
		large.Profiles *= 10
		large.Rows *= 10
		for id, e := range large.Events {
			bigger := &EventLoad{Rows: 10 * e.Rows, Profiles: 10 * e.Profiles, Tails: 10 * e.Tails}
			bigger.spread(0, 90*86_400_000, float64(bigger.Rows))
			large.Events[id] = bigger
		}
		a, b := list.Share(small, 1), list.Share(large, 1)
		if a.Memory <= 0 || a.Build <= 0 || a.Stop <= 0 || a.Stop > a.Build || a.Event <= 0 {
			t.Errorf("%s costs %+v", text, a)
		}
		if b.Memory < 2*a.Memory || b.Build < 5*a.Build || b.Event < a.Event || b.Second < a.Second {
			t.Errorf("%s costs %+v, and with ten times the data %+v", text, a, b)
		}
		events := list.t.EventsOf(1)
		if missing := list.Missing(NewLoad(noon)); len(missing) != len(events) || list.Missing(small) != nil {
			t.Errorf("%s depends on events %v; Missing returned %v and %v", text, events, missing, list.Missing(small))
		}
	}
}

// TestHeldPrices: a refreshed segment pays for its evaluation every period.
func TestHeldPrices(t *testing.T) {
	w := newWorld(t, storyNames(1))
	l := priceLoad(w)
	list := NewPriceList(w.schema, noon)
	list.Hold(1, "seldom", w.parse("did A"), 600_000)
	list.Hold(2, "often", w.parse("did A"), 60_000)
	list.Hold(3, "too often", w.parse("did A"), 1)
	seldom, often, most := list.Share(l, 1), list.Share(l, 2), list.Share(l, 3)
	if math.Abs(float64(often.Second-10*seldom.Second)) > 100 || math.Abs(float64(most.Second-60*often.Second)) > 1000 || seldom.Build != often.Build || seldom.Build <= 0 {
		t.Errorf("%+v, %+v, %+v", seldom, often, most)
	}
	if a, _ := w.schema.Event("A"); !slices.Equal(list.Missing(NewLoad(noon)), []uint32{a}) {
		t.Errorf("it misses %v", list.Missing(NewLoad(noon)))
	}
	list.Drop(1)
	list.Put(Definition{Slot: 2, Name: "often", Zone: "UTC", Pred: w.parse(`plan = "x"`)}, Definition{Slot: 3, Name: "gone", Zone: "UTC", Pred: &tree.Rank{}})
	if len(list.held) != 0 || list.Share(l, 1) != (Price{}) || list.New(l, 9).Price() != (Price{}) {
		t.Errorf("%d are held, and an empty slot costs %+v", len(list.held), list.Share(l, 1))
	}
}

// TestMemory: memory is counted, and less is used after segments are forgotten.
func TestMemory(t *testing.T) {
	x := newStoryPlayer(t, "did A in last 1 day")
	x.happens(1, "A")
	x.settled("s +0 event")
	before := x.tracker.Memory()
	if before.Rows < pageRows || before.Queue <= 0 || before.Others <= 0 {
		t.Errorf("%+v", before)
	}
	for i := range 20 {
		x.define(2+i, fmt.Sprint(i), fmt.Sprintf("sum(amount) of A in last %d days > 1 or at in last %d months", i+2, i+1))
	}
	x.play("0 at=5")
	x.play("0 A(x,2)")
	after := x.tracker.Memory()
	if after.Rows < before.Rows+20*4*pageRows || after.Queue <= before.Queue || after.Others <= before.Others {
		t.Errorf("%+v, and with 20 segments more %+v", before, after)
	}
	for i := range 20 {
		x.tracker.Forget(2 + i)
	}
	if last := x.tracker.Memory(); last.Others >= after.Others || last.Queue > after.Queue {
		t.Errorf("%+v, and without them %+v", after, last)
	}
}
