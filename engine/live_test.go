package engine

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

var liveHistories = flag.Int("live-histories", 8, "number of random histories for live segments")

// liveRun is one random history that is applied to a shard with live segments, and to a twin that is
// sometimes restored from a snapshot.
type liveRun struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	gen     *querytest.Gen
	shard   *Shard
	twin    *Shard
	seq     uint64
	now     int64
	catalog uint64
	texts   map[string]string          // of the segments, as last defined
	heard   map[string]map[uint32]bool // memberships according to the changes
}

// TestLiveMembership runs random histories in random batches, with ticks, replaced and dropped
// segments, refreshes, merges, maintenance and restarts. At every step each membership must be what
// its predicate says and what the changes add up to, and a restored twin must report the same
// changes.
func TestLiveMembership(t *testing.T) {
	for i := range *liveHistories {
		seed := *firstSeed + uint64(i)
		r := newLiveRun(t, seed)
		r.play()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func newLiveRun(t *testing.T, seed uint64) *liveRun {
	rng := rand.New(rand.NewPCG(seed, 21))
	r := &liveRun{
		t: t, seed: seed, rng: rng, gen: querytest.NewGen(rng, []int{6, 40}[seed%2]),
		texts: map[string]string{}, heard: map[string]map[uint32]bool{},
	}
	config := Config{Key: 42, TailRows: 1 + rng.IntN(4), TotalsRows: 1 + rng.IntN(20), Parse: parsePred}
	var err error
	if r.shard, err = New(config); err != nil {
		t.Fatal(err)
	}
	if r.twin, err = New(config); err != nil {
		t.Fatal(err)
	}
	r.now = r.gen.Now - rng.Int64N(60*86_400_000)
	for _, s := range r.gen.History.Segments {
		r.texts[s.Name] = syntax.FormatPred(s.Pred)
	}
	for _, c := range historyCatalog(r.gen.History) {
		r.change(c)
	}
	return r
}

func parsePred(text string) (tree.Pred, error) { return syntax.ParsePred(text, syntax.Limits{}) }

// apply applies an entry to both shards and compares the results.
func (r *liveRun) apply(entry []byte) Result {
	r.t.Helper()
	r.seq++
	got, err := r.shard.Apply(r.seq, entry)
	if err != nil {
		r.t.Fatalf("seed %d: %v", r.seed, err)
	}
	other, err := r.twin.Apply(r.seq, entry)
	if err != nil {
		r.t.Fatalf("seed %d: %v", r.seed, err)
	}
	if !reflect.DeepEqual(got.Changes, other.Changes) || r.shard.Hash() != r.twin.Hash() {
		r.t.Fatalf("seed %d, entry %d: the twin differs:\n%v\n%v\n%v", r.seed, r.seq, got.Changes, other.Changes, r.texts)
	}
	r.replay(got.Changes)
	return got
}

// replay checks changes against the earlier ones and adds them up.
func (r *liveRun) replay(changes []Change) {
	r.t.Helper()
	n, at := 0, int64(-1<<62)
	for _, c := range changes {
		if c.Seq != r.seq || c.N != n || c.At < at || c.At > r.shard.Time() || c.Len() == 0 || c.Cause < ByEvent {
			r.t.Fatalf("seed %d: change %+v after %d at %d", r.seed, c, n, at)
		}
		n, at = n+c.Len(), c.At
		members := r.heard[c.Segment]
		if members == nil {
			members = map[uint32]bool{}
			r.heard[c.Segment] = members
		}
		for _, ordinal := range c.Exits {
			if !members[ordinal] {
				r.t.Fatalf("seed %d: %d leaves %q without being a member: %+v", r.seed, ordinal, c.Segment, c)
			}
			delete(members, ordinal)
		}
		for _, ordinal := range c.Enters {
			if members[ordinal] {
				r.t.Fatalf("seed %d: %d enters %q again: %+v", r.seed, ordinal, c.Segment, c)
			}
			members[ordinal] = true
		}
		if !slices.IsSorted(c.Exits) || !slices.IsSorted(c.Enters) {
			r.t.Fatalf("seed %d: not in order: %+v", r.seed, c)
		}
	}
}

// check compares every membership with its predicate and with the changes.
func (r *liveRun) check() {
	r.t.Helper()
	if err := r.shard.Check(); err != nil {
		r.t.Fatalf("seed %d, entry %d, now %d: %v\n%v", r.seed, r.seq, r.shard.Time(), err, r.texts)
	}
	if l := r.shard.live; l != nil {
		if err := l.tracker.Check(); err != nil {
			r.t.Fatalf("seed %d, entry %d, now %d: %v\n%v", r.seed, r.seq, r.shard.Time(), err, r.texts)
		}
	}
	v := r.shard.View()
	defer v.Release()
	for _, m := range v.Segments() {
		members := map[uint32]bool{}
		var bits query.Bits
		for chunk := range v.Chunks() {
			m.Fill(chunk, &bits)
			for pos := range bits.All {
				members[uint32(chunk)<<query.ChunkBits|uint32(pos)] = true
			}
		}
		if int64(len(members)) != m.Count || len(members)+len(r.heard[m.Name]) > 0 && !maps.Equal(members, r.heard[m.Name]) {
			r.t.Fatalf("seed %d: segment %q has %v, the changes give %v", r.seed, m.Name, members, r.heard[m.Name])
		}
	}
	for name, members := range r.heard {
		if _, ok := v.Members(name); !ok && len(members) > 0 {
			r.t.Fatalf("seed %d: members of %q, which was dropped: %v", r.seed, name, members)
		}
	}
}

func (r *liveRun) change(c catalog.Change) {
	r.catalog++
	c.Version = r.catalog
	if result := r.apply(EncodeCatalog(r.now, c)); result.Reason != "" {
		r.t.Fatal(result.Reason)
	}
}

// define creates, replaces or drops a segment.
func (r *liveRun) define() {
	name := fmt.Sprintf("s%d", r.rng.IntN(50))
	if _, exists := r.texts[name]; exists && r.rng.IntN(6) == 0 {
		delete(r.texts, name)
		r.change(catalog.Change{Kind: catalog.DropSegment, Name: name})
		return
	}
	p := r.gen.Pred(r.rng.IntN(3))
	if r.rng.IntN(2) == 0 {
		p = r.counting()
	}
	if len(r.texts) > 0 && r.rng.IntN(4) == 0 { // refer to a segment that refers to none, so that there is no cycle
		other := slices.Sorted(maps.Keys(r.texts))[r.rng.IntN(len(r.texts))]
		if other != name && !strings.Contains(r.texts[other], "in segment") {
			p = r.referring(other)
		}
	}
	segment := catalog.Segment{Name: name, Text: syntax.FormatPred(p), Zone: []string{"", r.gen.Zone}[r.rng.IntN(2)]}
	if r.rng.IntN(8) == 0 {
		segment.Refresh = tree.Duration{N: 10, Unit: tree.Minute}
	}
	r.texts[name] = segment.Text
	r.change(catalog.Change{Kind: catalog.PutSegment, Segment: segment})
}

// referring draws a predicate that refers to another segment, alone or with others.
func (r *liveRun) referring(other string) tree.Pred {
	var p tree.Pred = &tree.InSegment{Name: other}
	if r.rng.IntN(2) == 0 {
		p = &tree.Not{Arg: p}
	}
	switch r.rng.IntN(3) {
	case 0:
		p = &tree.And{Args: []tree.Pred{p, r.gen.Pred(0)}}
	case 1:
		p = &tree.Or{Args: []tree.Pred{p, r.counting()}}
	}
	return p
}

// counting draws a predicate whose events are counted at the edges of its window.
func (r *liveRun) counting() tree.Pred {
	pick := func(items ...string) string { return items[r.rng.IntN(len(items))] }
	step := pick(`"Viewed"`, `"Order Completed"`, `"Søk"`, `"Viewed" where (category = "shoes")`, `"Order Completed" where (amount >= 1)`)
	window := pick("ever", "in last 1 second", "in last 15 minutes", "in last 1 hour", "in last 7 days", "in last 30 days",
		"more than 1 hour ago", "more than 7 days ago", "between 1 and 7 days ago", "today", "this month", "yesterday", "since 2018-01-01")
	other := pick(`"Viewed"`, `"Order Completed" where (amount >= 1)`, `"Viewed" where (category in ("shoes", "Shoes"))`)
	gap := pick("1 second", "15 minutes", "1 hour", "7 days")
	sum := pick("amount", "amount * 2", "amount / 3", "amount - 1.5")
	text := pick("did "+step+" then "+other+" within "+gap+" "+window, "did "+step+" then not "+other+" within "+gap+" "+window,
		"sum("+sum+`) of "Order Completed" `+window+pick(" > ", " <= ", " = ", " < ", " >= ")+pick("0", "1.5", "2.25", "100", "-3"),
		"did "+step+" "+window, "did "+step+" at least 2 times "+window, "did not "+step+" "+window,
		"first did "+step+" "+window, "last did "+step+" "+window, "count of "+step+" "+window+" <= 1", "3 > count of "+step+" "+window)
	p, err := parsePred(text)
	if err != nil {
		r.t.Fatalf("parse %q: %v", text, err)
	}
	return p
}

// refresh sends the cuts of some held segments.
func (r *liveRun) refresh() {
	v := r.shard.View()
	defer v.Release()
	for _, m := range v.Segments() {
		if !m.Held || r.rng.IntN(2) == 0 {
			continue
		}
		text, _ := v.Catalog().SegmentText(m.Name)
		order := Refresh{Segment: m.Name, Version: text.Version, Cuts: heldCuts(r.t, v, m.Name, r.now)}
		if result := r.apply(EncodeRefresh(r.now, order)); result.Refused > 0 {
			r.t.Fatalf("seed %d: refresh of %q: %s", r.seed, m.Name, result.Reason)
		}
	}
}

// restart replaces the twin by one restored from a snapshot of the shard or of itself.
func (r *liveRun) restart() {
	r.check()
	of := []*Shard{r.shard, r.twin}[r.rng.IntN(2)]
	pages := snapshotOf(r.t, of)
	if r.rng.IntN(2) == 0 {
		pages = inFirstFormat(r.t, pages)
	}
	var err error
	if r.twin, err = Restore(of.config, pages); err != nil {
		r.t.Fatalf("seed %d, entry %d, now %d: %v\n%v", r.seed, r.seq, of.Time(), err, r.texts)
	}
}

// pass advances time by a random span, from a millisecond to some days.
func (r *liveRun) pass() {
	r.now += r.rng.Int64N([]int64{2, 300, 5_000, 3_600_000, 86_400_000, 3 * 86_400_000}[r.rng.IntN(6)])
}

// tick sends a tick, which must change nothing before the instant that Due returned.
func (r *liveRun) tick() {
	r.t.Helper()
	v := r.shard.View()
	due, settled := r.shard.Due(), v.SettledTo(r.now)
	v.Release()
	changes := r.apply(EncodeTick(r.now)).Changes
	if r.now < due && len(changes) > 0 || settled >= r.now && len(changes) > 0 {
		r.t.Fatalf("seed %d: at %d, which is before %d was due or not after %d, which was settled: %+v", r.seed, r.now, due, settled, changes)
	}
}

func (r *liveRun) play() {
	h := r.gen.History
	var messages []Incoming
	for i := range h.Profiles {
		p := &h.Profiles[i]
		if p.UserID == "" {
			p.Anonymous = p.Anonymous[:1]
		}
		messages = append(messages, profileMessages(p, r.rng)...)
	}
	r.rng.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	for range 10 {
		r.define()
	}
	for len(messages) > 0 {
		n := min(1+r.rng.IntN(1+r.rng.IntN(40)), len(messages))
		batch := make([]Message, n)
		for i := range batch {
			m, missing, err := Resolve(r.shard.Catalog(), &messages[i])
			if err != nil || len(missing) > 0 {
				r.t.Fatalf("resolve %v: missing %v, %v", messages[i], missing, err)
			}
			batch[i] = m
		}
		messages = messages[n:]
		r.pass()
		r.apply(EncodeMessages(r.catalog, r.now, batch))
		r.between()
		r.check()
	}
	r.linkAll()
	for range 40 {
		r.pass()
		r.tick()
		r.between()
		r.check()
	}
	r.askOracle()
}

// askOracle compares the memberships with the naive oracle after everything has been sent. It skips
// segments that refer to others, since the oracle knows only those of the history; check covers them.
func (r *liveRun) askOracle() {
	h := r.gen.History
	for name, ids := range h.Lists {
		id, _ := r.shard.Catalog().List(name)
		r.apply(EncodeListUpdate(r.now, ListUpdate{List: id, Add: ids}))
	}
	v := r.shard.View()
	defer v.Release()
	compared := 0
	for _, m := range v.Segments() {
		text, _ := v.Catalog().SegmentText(m.Name)
		if m.Held || m.State != SegmentLive || strings.Contains(text.Text, "in segment") {
			continue
		}
		zone := text.Zone
		if zone == "" {
			zone = "UTC"
		}
		oracle, err := querytest.NewOracle(h, v.Time(), zone)
		if err != nil {
			r.t.Fatal(err)
		}
		compared++
		for i := range h.Profiles {
			who := &h.Profiles[i]
			ordinal, ok := v.Find(who.ID())
			if !ok {
				r.t.Fatalf("seed %d: %q is not found", r.seed, who.ID())
			}
			if want := oracle.Holds(text.Tree().Pred, who); m.Has(ordinal) != want {
				r.t.Errorf("seed %d, now %d: %q in %q: %t, the oracle says %t:\n%s", r.seed, v.Time(), who.ID(), m.Name, !want, want, text.Text)
			}
		}
	}
	if compared == 0 {
		r.t.Errorf("seed %d: no segment was compared with the oracle", r.seed)
	}
}

// between does something random between two batches.
func (r *liveRun) between() {
	for range r.rng.IntN(3) {
		r.define()
	}
	switch r.rng.IntN(8) {
	case 0:
		r.restart()
	case 1:
		r.shard.Maintain(1 << 20)
	case 2:
		r.refresh()
	case 3:
		names := slices.Sorted(maps.Keys(r.gen.History.Lists))
		name := names[r.rng.IntN(len(names))]
		list, _ := r.shard.Catalog().List(name)
		some := r.gen.History.Lists[name]
		r.apply(EncodeListUpdate(r.now, ListUpdate{List: list, Add: some[:r.rng.IntN(len(some)+1)], Remove: some[:r.rng.IntN(2)]}))
	case 4:
		r.merge()
	}
}
