package member

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

var histories = flag.Int("histories", 4, "random histories to keep segments live through")

// run plays a random history in a world with random segments that come and go, a tracker, and a twin tracker
// that is rebuilt from the facts now and then.
type run struct {
	*world
	seed     uint64
	rng      *rand.Rand
	gen      *querytest.Gen
	tracker  *Tracker
	twin     *Tracker
	now      int64
	defined  map[int]Definition
	replayed map[int]map[uint32]bool // memberships as replayed from the changes
	asked    int
}

// separateMembers is a world with separate memberships, for the second tracker.
type separateMembers struct {
	*world
	members map[int]*fakeMembers
}

func (c separateMembers) Members(slot int) Members {
	if c.members[slot] == nil {
		c.members[slot] = &fakeMembers{w: c.world, in: map[uint32]bool{}}
	}
	return c.members[slot]
}

// TestMembersAreTheOracles plays random histories in which events arrive late and with times in the future,
// profiles get names and are removed, and segments are defined, replaced and dropped while others are
// built. After each entry every membership is what the oracle says; replaying the changes gives the same
// membership; nothing happens before the instant that Due returned; and a tracker rebuilt from the facts
// changes nothing and reports the same changes from then on.
func TestMembersAreTheOracles(t *testing.T) {
	first := rand.Uint64()
	asked := 0
	for i := range *histories {
		r := newRun(t, first+uint64(i))
		r.play()
		asked += r.asked
	}
	if asked < 500**histories {
		t.Errorf("seed %d: only %d comparisons with the oracle", first, asked)
	}
}

func newRun(t *testing.T, seed uint64) *run {
	rng := rand.New(rand.NewPCG(seed, 41))
	gen := querytest.NewGen(rng, 14)
	for len(gen.History.Profiles) < 5 {
		gen = querytest.NewGen(rng, 14)
	}
	r := &run{world: newWorld(t, gen.History), seed: seed, rng: rng, gen: gen, defined: map[int]Definition{}, replayed: map[int]map[uint32]bool{}}
	r.now = gen.Now - rng.Int64N(40*86_400_000)
	r.tracker = New(r.world, r.schema, r.now)
	r.twin = New(separateMembers{r.world, map[int]*fakeMembers{}}, r.schema, r.now)
	r.trackers = []*Tracker{r.tracker, r.twin}
	return r
}

// entry applies a change at now, as a shard does with an entry of its log.
func (r *run) entry(cause Cause, what func()) []Flip {
	r.t.Helper()
	for _, t := range r.trackers {
		t.Advance(r.now)
		t.SetCause(cause)
	}
	what()
	budget := r.rng.IntN(8)
	var flips [2][]Flip
	for i, t := range r.trackers {
		t.Settle()
		t.Work(budget)
		t.Settle()
		flips[i] = append([]Flip(nil), t.Flips()...)
	}
	if !reflect.DeepEqual(flips[0], flips[1]) {
		r.t.Fatalf("seed %d: the rebuilt tracker reports\n%+v, not\n%+v", r.seed, flips[1], flips[0])
	}
	r.replay(flips[0])
	return flips[0]
}

// replay applies changes to the replayed memberships; they must be in order of instant.
func (r *run) replay(flips []Flip) {
	r.t.Helper()
	for i, flip := range flips {
		if flip.At > r.now || flip.Cause < ByEvent || flip.Cause > ByImport || len(flip.Exits)+len(flip.Enters) == 0 {
			r.t.Fatalf("seed %d: %+v", r.seed, flip)
		}
		if i > 0 && flip.At < flips[i-1].At {
			r.t.Fatalf("seed %d: %+v after %+v", r.seed, flip, flips[i-1])
		}
		if r.replayed[flip.Slot] == nil {
			r.replayed[flip.Slot] = map[uint32]bool{}
		}
		for member, ordinals := range map[bool][]uint32{false: flip.Exits, true: flip.Enters} {
			for k, ordinal := range ordinals {
				if r.replayed[flip.Slot][ordinal] == member || k > 0 && ordinals[k-1] >= ordinal {
					r.t.Fatalf("seed %d: %+v: %d changes nothing or is out of order", r.seed, flip, ordinal)
				}
				if r.replayed[flip.Slot][ordinal] = member; !member {
					delete(r.replayed[flip.Slot], ordinal)
				}
			}
		}
	}
	for slot, m := range r.members {
		if !maps.Equal(m.in, r.replayed[slot]) && len(m.in)+len(r.replayed[slot]) > 0 {
			r.t.Fatalf("seed %d: slot %d has %v, replayed %v", r.seed, slot, m.list(), r.replayed[slot])
		}
	}
}

// check compares every profile in every live segment with the oracle.
func (r *run) check() {
	r.t.Helper()
	building := map[int]bool{}
	for _, b := range r.tracker.Building() {
		for _, slot := range b.Slots {
			building[slot] = true
		}
	}
	oracles := map[string]*querytest.Oracle{}
	for slot, d := range r.defined {
		if building[slot] {
			continue
		}
		if oracles[d.Zone] == nil {
			o, err := querytest.NewOracle(r.history, r.now, d.Zone)
			if err != nil {
				r.t.Fatal(err)
			}
			oracles[d.Zone] = o
		}
		for i := 1; i < len(r.at); i++ {
			r.asked++
			want := r.exists[i] && oracles[d.Zone].Holds(d.Pred, &r.history.Profiles[i])
			if r.Members(slot).Has(r.at[i]) != want {
				r.t.Fatalf("seed %d, now %d: profile %d in %q: %t, the oracle says %t:\n%s", r.seed, r.now, i, d.Name, !want, want, syntax.FormatPred(d.Pred))
			}
		}
	}
	if r.rng.IntN(4) > 0 {
		return
	}
	if err := r.tracker.Check(); err != nil {
		r.t.Fatalf("seed %d: %v", r.seed, err)
	}
}

// define defines some segments together, drops one, or replaces one.
func (r *run) define() {
	slot := r.rng.IntN(12)
	if _, is := r.defined[slot]; is && r.rng.IntN(3) == 0 {
		delete(r.defined, slot)
		r.entry(ByDefinition, func() {
			for _, t := range r.trackers {
				t.Drop(slot)
			}
		})
		for _, t := range r.trackers {
			t.Forget(slot)
		}
		if len(r.replayed[slot]) > 0 {
			r.t.Fatalf("seed %d: a dropped segment has %v", r.seed, r.replayed[slot])
		}
		return
	}
	var all []Definition
	for range 1 + r.rng.IntN(3) {
		all = append(all, Definition{Slot: slot, Name: fmt.Sprint("s", slot), Zone: []string{"UTC", r.gen.Zone}[r.rng.IntN(2)], Pred: r.predicate()})
		slot += 12 / 3
	}
	r.entry(ByDefinition, func() {
		for _, t := range r.trackers {
			for i, err := range t.Define(all) {
				if err != nil {
					r.t.Fatalf("seed %d: define %s: %v", r.seed, syntax.FormatPred(all[i].Pred), err)
				}
				r.defined[all[i].Slot] = all[i]
			}
		}
	})
}

// predicate draws a predicate: any, or one that is counted at edges.
func (r *run) predicate() tree.Pred {
	for {
		var p tree.Pred
		if r.rng.IntN(2) == 0 {
			p = r.parse(counted(r.rng))
		} else if checked, _, err := check.Predicate(r.gen.Pred(r.rng.IntN(3)), r.schema); err == nil {
			p = checked
		}
		if p != nil && !HasRank(p) && NeedsOf(r.schema, p).Segments == nil || p != nil && r.rng.IntN(4) > 0 && !HasRank(p) {
			return p
		}
	}
}

func counted(rng *rand.Rand) string {
	pick := func(items ...string) string { return items[rng.IntN(len(items))] }
	step := pick(`"Viewed"`, `"Order Completed"`, `"Søk"`, `"Viewed" where (category = "shoes")`, `"Order Completed" where (amount >= 1)`)
	window := pick("ever", "in last 1 second", "in last 1 hour", "in last 7 days", "more than 1 hour ago", "more than 7 days ago",
		"between 1 and 7 days ago", "today", "this month", "yesterday", "since 2018-01-01")
	other := pick(`"Viewed"`, `"Order Completed" where (amount >= 1)`, `"Viewed" where (category in ("shoes", "Shoes"))`)
	gap := pick("1 second", "1 hour", "7 days")
	return pick("did "+step+" then "+other+" within "+gap+" "+window, "did "+step+" then not "+other+" within "+gap+" "+window,
		"sum("+pick("amount", "amount * 2", "amount - 1.5")+`) of "Order Completed" `+window+pick(" > ", " <= ", " = ")+pick("0", "1.5", "100", "-3"),
		"did "+step+" "+window, "did "+step+" at least 2 times "+window, "did not "+step+" "+window,
		"first did "+step+" "+window, "last did "+step+" "+window, "count of "+step+" "+window+" <= 1")
}

// remake replaces the second tracker by one built from only the facts and the definitions.
func (r *run) remake() {
	r.t.Helper()
	host := separateMembers{r.world, map[int]*fakeMembers{}}
	for slot, m := range r.members {
		host.members[slot] = &fakeMembers{w: r.world, in: maps.Clone(m.in)}
	}
	twin := New(host, r.schema, r.tracker.Now())
	building := r.tracker.Building()
	var live []Definition
	for _, slot := range slices.Sorted(maps.Keys(r.defined)) {
		if !slices.ContainsFunc(building, func(b *Build) bool { return slices.Contains(b.Slots, slot) }) {
			live = append(live, r.defined[slot])
		}
	}
	twin.Define(live)
	twin.Work(1 << 62)
	twin.Settle()
	if flips := twin.Flips(); len(flips) > 0 {
		r.t.Fatalf("seed %d: the tracker rebuilt from the facts differs: %+v", r.seed, flips)
	}
	for _, b := range building {
		var waiting []Definition
		for _, slot := range b.Slots {
			waiting = append(waiting, r.defined[slot])
		}
		twin.Define(waiting)
		if err := twin.Resume(b.Part, b.Chunk); err != nil {
			r.t.Fatalf("seed %d: %v", r.seed, err)
		}
	}
	r.twin, r.trackers = twin, []*Tracker{r.tracker, twin}
}

// messages returns the changes that a profile receives, in random order.
func (r *run) messages(i int) (all []func()) {
	p := r.gen.History.Profiles[i]
	for name, v := range sorting(p.Attrs) {
		all = append(all, func() { r.set(i, name, v) })
		all = append(all, func() { r.set(i, name, r.gen.History.Profiles[r.rng.IntN(i)+1].Attrs[name]) })
		all = append(all, func() { r.set(i, name, v) })
	}
	for _, e := range p.Events {
		all = append(all, func() { r.do(i, e) })
	}
	if p.UserID != "" && len(p.Anonymous) > 0 {
		all = append(all, func() { r.name(i, p.UserID) })
	}
	r.rng.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	return all
}

// sorting iterates over a map in key order.
func sorting[V any](m map[string]V) func(yield func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// appear creates a profile with the ids it is first known by.
func (r *run) appear(i int) {
	p := r.gen.History.Profiles[i]
	if userID := p.UserID; len(p.Anonymous) == 0 {
		r.add(i, userID)
		return
	}
	r.add(i, "", p.Anonymous...)
}

func (r *run) play() {
	waiting := make([][]func(), len(r.at))
	var order []int
	for i := 1; i < len(r.at); i++ {
		waiting[i] = r.messages(i)
		for range len(waiting[i]) + 1 {
			order = append(order, i)
		}
	}
	r.rng.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
	for range 4 {
		r.define()
	}
	gone := map[int]bool{}
	for len(order) > 0 {
		n := min(1+r.rng.IntN(8), len(order))
		r.pass()
		r.entry([]Cause{ByEvent, ByAttribute, ByImport, ByMerge}[r.rng.IntN(4)], func() {
			for _, i := range order[:n] {
				switch {
				case gone[i]:
				case !r.exists[i]:
					r.appear(i)
				case r.rng.IntN(60) == 0:
					gone[i] = true
					r.erase(i)
				case len(waiting[i]) > 0:
					waiting[i][0]()
					waiting[i] = waiting[i][1:]
				}
			}
		})
		order = order[n:]
		r.between()
	}
	for range 25 {
		r.pass()
		due := r.tracker.Due()
		if flips := r.entry(ByTime, func() {}); len(flips) > 0 && r.now < due {
			r.t.Fatalf("seed %d: changes at %d, before Due, which was %d: %+v", r.seed, r.now, due, flips)
		}
		r.between()
	}
}

// pass advances time: a little, a lot, or until something is due.
func (r *run) pass() {
	if due := r.tracker.Due(); r.rng.IntN(3) == 0 && due > r.now && due < r.now+30*86_400_000 {
		r.now = due - int64(r.rng.IntN(2))
		return
	}
	r.now += r.rng.Int64N([]int64{1, 2, 5_000, 3_600_000, 86_400_000, 3 * 86_400_000}[r.rng.IntN(6)])
}

// between does what happens between two entries, and checks.
func (r *run) between() {
	r.check()
	switch r.rng.IntN(6) {
	case 0, 1:
		r.define()
		r.check()
	case 2:
		r.remake()
	case 3:
		name := []string{"vips", "newsletter-2026"}[r.rng.IntN(2)]
		ids := r.gen.History.Lists[name]
		r.entry(ByAttribute, func() { r.list(name, ids[:r.rng.IntN(len(ids)+1)]...) })
	}
}
