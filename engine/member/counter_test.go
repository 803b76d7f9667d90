package member

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// dense is a history of few profiles with many events within short windows: every edge is reached, events
// arrive late, twice or with times in the future, and profiles are removed.
type dense struct {
	*world
	seed    uint64
	rng     *rand.Rand
	tracker *Tracker
	now     int64
}

// denseWheres are conditions on steps, with an equivalent check of an event.
var denseWheres = map[string]func(e *querytest.Event) bool{
	"":               func(*querytest.Event) bool { return true },
	`category = "x"`: func(e *querytest.Event) bool { return e.Props["category"].Str == "x" },
	`amount >= 1`: func(e *querytest.Event) bool {
		return amountOf(e).Cmp(big.NewRat(1, 1)) >= 0 && !e.Props["amount"].Missing()
	},
	`category is set`: func(e *querytest.Event) bool { return !e.Props["category"].Missing() },
	`not amount = 2.5`: func(e *querytest.Event) bool {
		return e.Props["amount"].Missing() || amountOf(e).Cmp(big.NewRat(5, 2)) != 0
	},
}

// denseArgs are arguments of sums, with the equivalent computation.
var denseArgs = map[string]func(amount *big.Rat) *big.Rat{
	"amount":     func(amount *big.Rat) *big.Rat { return amount },
	"amount * 2": func(amount *big.Rat) *big.Rat { return new(big.Rat).Mul(amount, big.NewRat(2, 1)) },
}

func amountOf(e *querytest.Event) *big.Rat {
	v := e.Props["amount"]
	if v.Type != tree.NumberType {
		return new(big.Rat)
	}
	r, _ := new(big.Rat).SetString(v.Number().String())
	return r
}

// TestCountersAreRecounts: throughout dense histories, every counter equals a plain count of the events for
// every profile, at every step and one millisecond before and after its edges.
func TestCountersAreRecounts(t *testing.T) {
	first := rand.Uint64()
	for i := range uint64(2) {
		d := newDense(t, first+i)
		for range 160 {
			d.step()
			d.check()
		}
	}
}

func newDense(t *testing.T, seed uint64) *dense {
	d := &dense{world: newWorld(t, storyNames(7)), seed: seed, rng: rand.New(rand.NewPCG(seed, 43)), now: noon - 60_000}
	d.tracker = New(d.world, d.schema, d.now)
	d.trackers = []*Tracker{d.tracker}
	d.chunks = 1 + d.rng.IntN(2)
	d.at = []uint32{0, 0, 1, 58, 508, 511, uint32(d.chunks-1)<<16 + 600}
	for range 12 {
		d.define()
	}
	return d
}

func (d *dense) pick(items ...string) string { return items[d.rng.IntN(len(items))] }

func (d *dense) where() string {
	var all []string
	for where := range sorting(denseWheres) {
		all = append(all, where)
	}
	if where := d.pick(all...); where != "" {
		return " where (" + where + ")"
	}
	return ""
}

func (d *dense) text() string {
	span := func() string { return d.pick("1 second", "5 seconds", "20 seconds", "1 minute", "5 minutes") }
	window := d.pick("ever", "in last "+span(), "in last "+span(), "in last "+span(), "more than "+span()+" ago", "between 3 and 40 seconds ago",
		"today", "yesterday", "since 2026-11-22", "before 2026-11-22", "on 2026-11-22")
	step := d.pick("A", "B") + d.where()
	return d.pick("count of "+step+" "+window+" > "+d.pick("0", "1", "3"), "did "+step+" "+window,
		"did "+step+" then "+d.pick("A", "B")+d.where()+" within "+span()+" "+window,
		"did "+step+" then not "+d.pick("A", "B")+d.where()+" within "+span()+" "+window,
		"sum("+d.pick("amount", "amount * 2")+") of "+step+" "+window+d.pick(" > ", " <= ", " = ")+d.pick("0", "2.5", "1000000"))
}

func (d *dense) define() {
	slot := d.rng.IntN(16)
	for _, err := range d.tracker.Define([]Definition{{Slot: slot, Name: fmt.Sprint(slot), Zone: "UTC", Pred: d.parse(d.text())}}) {
		if err != nil {
			d.t.Fatalf("seed %d: %v", d.seed, err)
		}
	}
}

// step advances time to where something may happen, and then changes some facts.
func (d *dense) step() {
	d.pass()
	d.tracker.Advance(d.now)
	d.tracker.SetCause(ByEvent)
	for range 1 + d.rng.IntN(5) {
		i := 1 + d.rng.IntN(len(d.at)-1)
		switch {
		case !d.exists[i]:
			d.add(i, fmt.Sprint("u", i))
		case d.rng.IntN(60) == 0:
			d.erase(i)
			d.at[i] += 7 // ordinals are not reused, and no other profile has this one
		default:
			d.do(i, d.event())
		}
	}
	d.tracker.Settle()
	if d.rng.IntN(5) == 0 {
		d.define()
	}
	d.tracker.Work(d.rng.IntN(4))
	d.tracker.Settle()
	d.tracker.Flips()
}

// pass moves now to within a millisecond of the edge of some counter at some event, or just a little.
func (d *dense) pass() {
	edges := []int64{}
	for _, k := range sorting(d.tracker.counters) {
		for i := 1; i < len(d.at); i++ {
			for _, e := range d.history.Profiles[i].Events {
				for _, at := range []int64{e.Time, e.Time + k.lead, e.Time + k.trail} {
					if at = at + d.rng.Int64N(3) - 1; at >= d.now && at < d.now+600_000 {
						edges = append(edges, at)
					}
				}
			}
		}
	}
	slices.Sort(edges)
	if len(edges) > 0 && d.rng.IntN(3) > 0 {
		d.now = edges[d.rng.IntN(1+d.rng.IntN(len(edges)))]
		return
	}
	d.now += d.rng.Int64N([]int64{1, 1000, 20_000, 400_000}[d.rng.IntN(4)])
	if d.rng.IntN(60) == 0 {
		d.now += 43_200_000
	}
}

func (d *dense) event() querytest.Event {
	e := querytest.Event{Name: d.pick("A", "B"), Time: d.now - d.rng.Int64N(4000), Props: map[string]tree.Value{}}
	switch d.rng.IntN(8) {
	case 0:
		e.Time = d.now - d.rng.Int64N(400_000) // late
	case 1:
		e.Time = d.now + d.rng.Int64N(60_000) // in the future
	case 2:
		e.Time = d.now / 1000 * 1000 // many at one instant
	case 3:
		e.Time = d.now
	}
	if d.rng.IntN(4) > 0 {
		e.Props["category"] = tree.Str(d.pick("x", "y"))
	}
	if d.rng.IntN(4) > 0 {
		n, _ := tree.ParseNumber(d.pick("0", "1", "2.5", "-3.25", "0.000001", "1000000", "30000000000", "-30000000000", "123456789.123456789"))
		e.Props["amount"] = tree.Num(n)
	}
	return e
}

// check counts the events of every profile and compares.
func (d *dense) check() {
	d.t.Helper()
	for _, k := range d.tracker.counters {
		for i := 1; i < len(d.at); i++ {
			ordinal := d.at[i]
			if !d.exists[i] || !k.ready(ordinal) {
				continue
			}
			n, sum := d.count(k, &d.history.Profiles[i])
			if k.amount == nil {
				if got := k.value(ordinal); got != n {
					d.t.Fatalf("seed %d, now %s: %q of profile %d is %d, want %d", d.seed, second(d.now), k.key, i, got, n)
				}
			} else if got := billionths(k.sumOf(ordinal)); got.Cmp(sum) != 0 {
				d.t.Fatalf("seed %d, now %s: %q of profile %d is %s, want %s", d.seed, second(d.now), k.key, i, got.FloatString(9), sum.FloatString(9))
			}
			d.checkLimits(k, ordinal, n, sum)
		}
	}
}

// checkLimits compares the thresholds of a counter with its count or sum.
func (d *dense) checkLimits(k *counter, ordinal uint32, n int64, sum *big.Rat) {
	d.t.Helper()
	row := d.tracker.rows.row(ordinal)
	for _, l := range k.limits {
		want := l.lo <= n && n <= l.hi
		if k.amount != nil {
			literal, _ := new(big.Rat).SetString(l.literal.String())
			want = l.op.Holds(sum.Cmp(literal))
		}
		if l.holds(row, ordinal) != want {
			d.t.Fatalf("seed %d: a threshold of %q holds for %d: %t, with %d, %s", d.seed, k.key, ordinal, !want, n, sum.FloatString(9))
		}
	}
}

func billionths(s tree.Sum) *big.Rat {
	n := new(big.Int).Lsh(big.NewInt(s.Hi), 64)
	return new(big.Rat).SetFrac(n.Add(n, new(big.Int).SetUint64(s.Lo)), big.NewInt(1e9))
}

// count counts a profile's events one by one.
func (d *dense) count(k *counter, p *querytest.Profile) (n int64, sum *big.Rat) {
	sum = new(big.Rat)
	for i := range p.Events {
		e := &p.Events[i]
		if !satisfies(k.step, e) || !d.within(k.window, e.Time) {
			continue
		}
		if k.then != nil && !d.counts(k.then, p, e.Time) {
			continue
		}
		n++
		if k.amount != nil && e.Props["amount"].Type == tree.NumberType {
			sum.Add(sum, denseArgs[syntax.FormatExpr(k.amount.arg)](amountOf(e)))
		}
	}
	return n, sum
}

func satisfies(s *step, e *querytest.Event) bool {
	where := ""
	if s.where != nil {
		where = syntax.FormatPred(s.where)
	}
	return e.Name == s.name && denseWheres[where](e)
}

// within implements each form of window as docs/QUERY.md defines it.
func (d *dense) within(w tree.Window, t int64) bool {
	last, _ := w.Last.Millis()
	other, _ := w.Other.Millis()
	const day = 86_400_000
	today := d.now / day * day
	switch w.Kind {
	case tree.InLast:
		return d.now-last < t && t <= d.now
	case tree.MoreThanAgo:
		return t <= d.now-last
	case tree.BetweenAgo:
		return d.now-max(last, other) < t && t <= d.now-min(last, other)
	case tree.Today:
		return today <= t && t <= d.now
	case tree.Yesterday:
		return today-day <= t && t < today
	case tree.Since:
		return noon/day*day <= t && t <= d.now
	case tree.Before:
		return t < noon/day*day && t <= d.now
	case tree.On:
		return noon/day*day <= t && t < noon/day*day+day && t <= d.now
	}
	return t <= d.now
}

// counts reports whether a first step at t counts: the second step followed, or the gap is over and it did
// not.
func (d *dense) counts(s *then, p *querytest.Profile, t int64) bool {
	followed := slices.ContainsFunc(p.Events, func(e querytest.Event) bool {
		return satisfies(s.second, &e) && t < e.Time && e.Time <= t+s.gap && e.Time <= d.now
	})
	if s.absent {
		return !followed && t+s.gap <= d.now
	}
	return followed
}

// TestCountsBeyondAByte: counts exceed what a byte holds, and return, with thresholds on both sides.
func TestCountsBeyondAByte(t *testing.T) {
	x := newStoryPlayer(t, "everyone")
	for i, n := range []int{253, 254, 255, 256, 257} {
		x.define(i+2, fmt.Sprint("n", n), fmt.Sprintf("did A at least %d times in last 1 minute", n))
		x.define(i+12, fmt.Sprint("m", n), fmt.Sprintf("count of A in last 1 minute <= %d", n))
	}
	var k *counter
	for _, k = range x.tracker.counters {
	}
	check := func(n int64) {
		t.Helper()
		x.tracker.Settle()
		if got := k.value(0); got != n || len(x.tracker.counters) != 1 || len(k.spill) > 0 != (n >= 255) {
			t.Fatalf("%d, want %d; %d counters, %d beyond a byte", got, n, len(x.tracker.counters), len(k.spill))
		}
		for i, limit := range []int64{253, 254, 255, 256, 257} {
			if x.Members(i+2).Has(0) != (n >= limit) || x.Members(i+12).Has(0) != (n <= limit) {
				t.Fatalf("with %d events: at least %d is %t, at most %t", n, limit, x.Members(i+2).Has(0), x.Members(i+12).Has(0))
			}
		}
	}
	x.tracker.SetCause(ByEvent)
	for i := range int64(260) {
		x.do(1, querytest.Event{Name: "A", Time: noon - 50_000 + i})
		if i > 250 {
			check(i + 1)
		}
	}
	for i := range int64(10) {
		x.tracker.Advance(noon + 10_000 + i)
		check(259 - i)
	}
	x.tracker.SetCause(ByEvent)
	for range 10 {
		x.happens(1, "A")
	}
	check(260)
	x.tracker.SetCause(ByErase)
	x.erase(1)
	x.tracker.Settle()
	if len(k.spill) > 0 || k.value(0) != 0 {
		t.Errorf("erased, and has %d", k.value(0))
	}
}
