package engine

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

var extremes = flag.Int("live-extremes", 12, "number of random histories with extreme values, times, counts and windows")

// TestLiveExtremes checks segments whose numbers, durations and counts are at the limits of their
// types, with events with such amounts and times. At every step their members must be what a query
// returns, and no entry may panic: it would panic at every start.
func TestLiveExtremes(t *testing.T) {
	for i := range *extremes {
		seed := *firstSeed + uint64(i)
		x := newExtreme(t, seed)
		for i := range 60 {
			x.step()
			x.compare()
			if i%15 == 14 {
				x.restart()
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type extreme struct {
	*story
	rng           *rand.Rand
	added, done   uint32 // events
	amount, birth uint32
	texts         map[string]string
}

func newExtreme(t *testing.T, seed uint64) *extreme {
	rng := rand.New(rand.NewPCG(seed, 23))
	x := &extreme{story: newStory(t, Config{TailRows: 1 + rng.IntN(4)}), rng: rng, texts: map[string]string{}}
	x.change(catalog.Change{Kind: catalog.DefineNames, Names: []catalog.Name{
		{Kind: query.PropertyName, Event: "Product Added", Name: "n", Type: tree.NumberType},
		{Kind: query.AttributeName, Name: "born", Type: tree.TimeType},
	}})
	c := x.s.Catalog()
	x.added, _ = c.Event("Product Added")
	x.done, _ = c.Event("Order Completed")
	x.amount, _, _ = c.Schema().Property(x.added, "n")
	x.birth, _, _ = c.Attribute("born")
	return x
}

func (x *extreme) pick(of ...string) string { return of[x.rng.IntN(len(of))] }

func (x *extreme) number() string {
	return x.pick("0", "1", "-1", "9223372036854775807", "-9223372036854775807", "1000000000000000000", "1000000000000000001",
		"-1000000000000000001", "1e300", "-1e300", "1e-30", "0.000000001", "0.0000000004", "0.123456789012345678",
		"2147483647", "21474836.47", "21474836.48", "-21474836.48", "4294967296", "99999999999.99")
}

func (x *extreme) duration() string {
	return x.pick("0 seconds", "1 second", "1 day", "1 month", "10000 years", "120000 months", "315360000000 seconds", "87600000 hours", "521428 weeks")
}

func (x *extreme) date() string {
	return x.pick("0001-01-01", "9999-12-31", "1970-01-01", "2026-11-22")
}

func (x *extreme) window() string {
	return x.pick("ever", "in last "+x.duration(), "more than "+x.duration()+" ago", "between "+x.duration()+" and "+x.duration()+" ago",
		"since "+x.date(), "before "+x.date(), "on "+x.date(), "between 0001-01-01 and 9999-12-31",
		x.pick("today", "yesterday", "this week", "last week", "this month", "this year", "last quarter", "last year"))
}

func (x *extreme) events() string {
	if x.rng.IntN(3) > 0 {
		return `"Product Added"`
	}
	return fmt.Sprintf(`"Product Added" where (n %s %s)`, x.compares(), x.number())
}

func (x *extreme) compares() string { return x.pick("<", "<=", ">", ">=", "=", "!=") }

func (x *extreme) predicate() string {
	switch x.rng.IntN(6) {
	case 0:
		return fmt.Sprintf(`did %s %s %s times %s`, x.events(), x.pick("at most", "at least", "more than", "fewer than", "exactly"),
			x.pick("0", "1", "2", "254", "255", "256", "4294967295", "4294967296", "9223372036854775806", "9223372036854775807"), x.window())
	case 1:
		return fmt.Sprintf(`did %s then %s"Order Completed" within %s %s`, x.events(), x.pick("", "not "), x.duration(), x.window())
	case 2:
		return fmt.Sprintf(`%s did %s %s`, x.pick("first", "last"), x.events(), x.window())
	case 3:
		return x.pick("born ", "first_seen ", "last_seen ") + x.window()
	}
	measure := x.pick("count", "sum(n)", "sum(n)", "sum(n * n)", "avg(n)", "min(n)", "max(n)", "first(n)", "last(n)", "favorite(n)", "distinct(n)")
	return fmt.Sprintf(`%s of %s %s %s %s`, measure, x.events(), x.window(), x.compares(), x.number())
}

// step saves a segment, sends an event or attribute, or advances time.
func (x *extreme) step() {
	x.t.Helper()
	times := []int64{-1 << 53, 1 << 53, 0, -1, testStart, testStart - 1, testStart + 1, testStart - day, testStart + day, -62_135_596_800_000, 253_402_300_799_999}
	at := times[x.rng.IntN(len(times))]
	switch who := fmt.Sprint("u", x.rng.IntN(3)); x.rng.IntN(8) {
	case 0, 1:
		name, text := fmt.Sprint("s", x.rng.IntN(6)), x.predicate()
		if pred, err := parsePred(text); err != nil {
			return
		} else if _, _, err = check.Predicate(pred, x.s.Catalog().Schema()); err != nil {
			return
		}
		x.texts[name] = text
		x.segment(name, text)
	case 2, 3, 4:
		n, _ := tree.ParseNumber(x.number())
		x.apply(EncodeMessages(1, x.now, []Message{{Kind: Track, UserID: who, Event: x.added, Time: at, Fields: []Field{{x.amount, tree.Num(n)}}}}))
	case 5:
		x.apply(EncodeMessages(1, x.now, []Message{{Kind: Track, UserID: who, Event: x.done, Time: at}}))
	case 6:
		x.apply(EncodeMessages(1, x.now, []Message{{Kind: Identify, UserID: who, Fields: []Field{{x.birth, tree.Time(at)}}}}))
	default:
		x.now += []int64{0, 1, 1000, day, 40 * day, 400 * day}[x.rng.IntN(6)]
		x.apply(EncodeTick(x.now))
	}
	x.s.Maintain(1 << 20)
}

// restart replaces the shard by one restored from a snapshot, like a restart of a node.
func (x *extreme) restart() {
	x.t.Helper()
	v := x.s.Image()
	defer v.Release()
	var pages memoryPages
	if err := v.WriteSnapshot(&pages); err != nil {
		x.t.Fatal(err)
	}
	restored, err := Restore(x.s.config, &pages)
	if err != nil {
		x.t.Fatalf("%v\n%v", err, x.texts)
	}
	if restored.Hash() != x.s.Hash() {
		x.t.Fatal("the restored shard has another hash")
	}
	x.s = restored
}

// compare compares memberships with the same predicates evaluated as queries.
func (x *extreme) compare() {
	x.t.Helper()
	v := x.s.View()
	defer v.Release()
	for name, text := range x.texts {
		pred, err := parsePred(text)
		if err == nil {
			pred, _, err = check.Predicate(pred, v.Catalog().Schema())
		}
		if err != nil {
			x.t.Fatal(text, err)
		}
		compiled, err := eval.Compile(&eval.Env{Schema: v.Catalog().Schema(), Now: v.Time(), Zone: time.UTC}, pred)
		if err != nil {
			x.t.Fatal(text, err)
		}
		m, _ := v.Members(name)
		if m.State != SegmentLive {
			x.t.Fatalf("%s is %s: %s", text, m.State, m.Reason)
		}
		var all, want, got query.Bits
		m.Fill(0, &got)
		v.Profiles(0, &all)
		if compiled.On(v).Chunk(0, &all, &want); got != want {
			x.t.Errorf("%s has the members %b, as a query %b", text, got[0], want[0])
		}
	}
}
