package engine

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

var denseRuns = flag.Int("live-dense", 4, "number of random runs with many events of few profiles")

// denseRun is a few profiles to which much happens within the windows of many segments: every edge
// passes, sequences overlap, and events arrive late, twice or with times in the future.
type denseRun struct {
	t           *testing.T
	seed        uint64
	rng         *rand.Rand
	shard, twin *Shard
	seq         uint64
	now         int64
	defined     map[string]string
}

// TestLiveDense checks at every step that the state of the tracker is what the facts give, that
// memberships are what their predicates say, and that a twin that is sometimes restored reports the
// same changes.
func TestLiveDense(t *testing.T) {
	for i := range *denseRuns {
		r := &denseRun{t: t, seed: *firstSeed + uint64(i), now: testStart, defined: map[string]string{}}
		r.rng = rand.New(rand.NewPCG(r.seed, 33))
		config := Config{Key: 42, TailRows: 1 + r.rng.IntN(30), TotalsRows: 1 + r.rng.IntN(20), Parse: parsePred}
		for _, s := range []**Shard{&r.shard, &r.twin} {
			var err error
			if *s, err = New(config); err != nil {
				t.Fatal(err)
			}
		}
		r.play()
	}
}

func (r *denseRun) apply(entry []byte) {
	r.t.Helper()
	r.seq++
	got, other := mustApply(r.t, r.shard, r.seq, entry), mustApply(r.t, r.twin, r.seq, entry)
	if got.Reason != "" || !reflect.DeepEqual(got.Changes, other.Changes) || r.shard.Hash() != r.twin.Hash() {
		r.t.Fatalf("seed %d, entry %d: %s\n%v\n%v", r.seed, r.seq, got.Reason, got.Changes, other.Changes)
	}
	if l := r.shard.live; l != nil {
		if err := l.tracker.Check(); err != nil {
			r.t.Fatalf("seed %d, entry %d, now %d: %v", r.seed, r.seq, r.now-testStart, err)
		}
	}
}

func (r *denseRun) change(c catalog.Change) {
	c.Version = r.shard.Catalog().Version() + 1
	r.apply(EncodeCatalog(r.now, c))
}

func (r *denseRun) pick(items ...string) string { return items[r.rng.IntN(len(items))] }

// text draws a predicate whose windows and gaps are about as long as the run takes.
func (r *denseRun) text() string {
	step := func() string {
		return r.pick("A", "B", "A", "B", `A where (category = "x")`, `B where (category in ("x", "y"))`, `A where (category = "x" and amount > 1)`,
			"B where (amount >= 1)", `A where (not category = "z")`)
	}
	span := func() string { return r.pick("1 second", "5 seconds", "20 seconds", "1 minute", "5 minutes") }
	window := r.pick("ever", "in last "+span(), "in last "+span(), "more than "+span()+" ago", "between 3 and 40 seconds ago",
		"today", "since 2026-01-01")
	compare := r.pick(" > ", " >= ", " < ", " <= ", " = ") + r.pick("0", "1", "2.5", "10", "-3.25", "1000000", "30000000000", "0.000001")
	return r.pick(
		"did "+step()+" "+window, "did not "+step()+" "+window, fmt.Sprintf("did %s at least %d times %s", step(), 1+r.rng.IntN(4), window),
		"first did "+step()+" "+window, "last did "+step()+" "+window,
		"did "+step()+" then "+step()+" within "+span()+" "+window, "did "+step()+" then "+step()+" within "+span()+" "+window,
		"did "+step()+" then not "+step()+" within "+span()+" "+window, "did "+step()+" then not "+step()+" within "+span()+" "+window,
		"did "+step()+" then B within "+span()+" then not A within "+span()+" "+window, "did "+step()+" then B "+window,
		"did A then B where (amount > previous.amount) within "+span()+" "+window,
		"sum(amount) of "+step()+" "+window+compare, "sum(amount * 2) of "+step()+" "+window+compare, "sum(amount) of "+step()+" "+window+compare,
		r.pick("avg", "min", "max", "first", "last")+"(amount) of "+step()+" "+window+compare,
		"favorite(category) of "+step()+" "+window+` = "x"`, "days of A "+window+" > 1",
		"last_seen in last "+span(), "first_seen more than "+span()+" ago", "at in last "+span(), "at in next "+span(),
	)
}

func (r *denseRun) define() {
	name := fmt.Sprint("s", r.rng.IntN(24))
	text := r.text()
	if r.rng.IntN(2) == 0 {
		text = "(" + text + ")" + r.pick(" and ", " or ", " and not ") + "(" + r.pick(r.text(), `plan = "x"`, `plan in ("x", "y")`, "ltv > 5", "ltv between 2 and 7", "plan is set", "opt") + ")"
	}
	if _, err := parsePred(text); err != nil {
		r.t.Fatalf("parse %s: %v", text, err)
	}
	r.defined[name] = text
	r.change(catalog.Change{Kind: catalog.PutSegment, Segment: catalog.Segment{Name: name, Text: text}})
	if m, _ := r.shard.Segment(name); m.State == SegmentFailed {
		r.t.Fatalf("segment %s failed: %s", text, m.Reason)
	}
}

func (r *denseRun) message() Message {
	m := Message{Kind: Track, UserID: fmt.Sprint("u", r.rng.IntN(7)), Event: uint32(r.rng.IntN(2)), Time: r.now - r.rng.Int64N(4000)}
	switch r.rng.IntN(12) {
	case 0:
		m.Time = r.now - r.rng.Int64N(400_000) // late
	case 1:
		m.Time = r.now + r.rng.Int64N(60_000) // in the future
	case 2:
		m.Time = r.now / 1000 * 1000 // many at one instant
	case 3:
		m.Kind, m.Event = Identify, 0
		m.Fields = []Field{
			{query.FirstAttribute, tree.Str(r.pick("x", "y", "z"))}, {query.FirstAttribute + 1, tree.NumInt(int64(r.rng.IntN(9)))},
			{query.FirstAttribute + 2, tree.Time(r.now + r.rng.Int64N(120_000) - 60_000)}, {query.FirstAttribute + 3, tree.Bool(r.rng.IntN(2) == 0)},
		}[r.rng.IntN(3):]
		return m
	}
	if r.rng.IntN(8) > 0 {
		amounts := []tree.Number{tree.Decimal(r.rng.Int64N(400)-100, 2), tree.Int(r.rng.Int64N(4)), tree.Decimal(1, 6), tree.Int(15_000_000_000), tree.Decimal(12345, 4)}
		amount := amounts[min(r.rng.IntN(40), r.rng.IntN(40))%len(amounts)]
		if n, ok := tree.FromFloat(1.5e20); ok && r.rng.IntN(60) == 0 {
			amount = n
		}
		m.Fields = append(m.Fields, Field{0, tree.Num(amount)})
	}
	if r.rng.IntN(6) > 0 {
		m.Fields = append(m.Fields, Field{1, tree.Str(r.pick("x", "x", "y", "z"))})
	}
	return m
}

func (r *denseRun) play() {
	names := []catalog.Name{
		{Kind: query.AttributeName, Name: "plan", Type: tree.StringType}, {Kind: query.AttributeName, Name: "ltv", Type: tree.NumberType},
		{Kind: query.AttributeName, Name: "at", Type: tree.TimeType}, {Kind: query.AttributeName, Name: "opt", Type: tree.BoolType},
	}
	for _, event := range []string{"A", "B"} {
		names = append(names, catalog.Name{Kind: query.PropertyName, Event: event, Name: "amount", Type: tree.NumberType},
			catalog.Name{Kind: query.PropertyName, Event: event, Name: "category", Type: tree.StringType})
	}
	r.change(catalog.Change{Kind: catalog.DefineNames, Names: names})
	for range 12 {
		r.define()
	}
	for step := range 120 {
		r.now += []int64{1, 100, 1000, 5000, 30_000}[r.rng.IntN(5)]
		batch := make([]Message, r.rng.IntN(5))
		for i := range batch {
			batch[i] = r.message()
		}
		r.apply(EncodeMessages(1, r.now, batch))
		switch r.rng.IntN(12) {
		case 0:
			r.define()
		case 1:
			r.shard.Maintain(1 << 20)
		case 2:
			v := r.shard.View()
			defer v.Release()
		case 3:
			r.now = r.now/1000*1000 + 1000
			r.apply(EncodeTick(r.now))
		}
		if step%40 == 39 {
			r.restart()
		}
	}
}

// restart checks the whole shard and replaces the twin by a restored one.
func (r *denseRun) restart() {
	if err := r.shard.Check(); err != nil {
		r.t.Fatalf("seed %d, entry %d, now %d: %v\n%v", r.seed, r.seq, r.now-testStart, err, r.defined)
	}
	var err error
	if r.twin, err = Restore(r.shard.config, snapshotOf(r.t, r.shard)); err != nil {
		r.t.Fatalf("seed %d, entry %d: %v\n%v", r.seed, r.seq, err, r.defined)
	}
}
