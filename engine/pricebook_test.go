package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
)

// repeat joins n clauses, each made from its number.
func repeat(n int, joint string, clause func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = clause(i + 1)
	}
	return strings.Join(all, joint)
}

// longForms returns definitions of every kind that may be long, with n parts each.
func longForms(n int) map[string]string {
	or := func(clause func(i int) string) string { return repeat(n, " or ", clause) }
	return map[string]string{
		"counts": or(func(i int) string { return fmt.Sprintf("did event0 at least %d times in last %d hours", i, i) }),
		"limits": or(func(i int) string { return fmt.Sprintf("did event0 at least %d times", i) }),
		"wheres": or(func(i int) string { return fmt.Sprintf("did event0 where (amount > %d)", i) }),
		"values": or(func(i int) string {
			return fmt.Sprintf(`did event0 where (category = "category-%d") in last %d days`, i, i)
		}),
		"sums": or(func(i int) string { return fmt.Sprintf("sum(amount) of event1 in last %d days > %d", i, i) }),
		"then": or(func(i int) string {
			return fmt.Sprintf("did event0 then event1 within %d days in last %d days", i, 3*i)
		}),
		"then not": or(func(i int) string {
			return fmt.Sprintf("did event0 then not event1 within %d days in last %d days", i, 3*i)
		}),
		"sequence": "did event0" + strings.Repeat(" then event1 then event0", n/2),
		"months":   or(func(i int) string { return fmt.Sprintf("did event0 at least %d times in last %d months", i, i) }),
		"measures": or(func(i int) string { return fmt.Sprintf("avg(amount) of event0 in last %d days > %d", i, i) }),
		"seconds":  or(func(i int) string { return fmt.Sprintf("did event0 in last %d seconds", i) }),
		"calendars": or(func(i int) string {
			return fmt.Sprintf("did event%d today and count of event0 this month >= %d", i%8, i)
		}),
		"seen":    or(func(i int) string { return fmt.Sprintf("last_seen more than %d days ago", i) }),
		"texts":   or(func(i int) string { return fmt.Sprintf(`email matches "(a|b)*x%d"`, i) }),
		"numbers": or(func(i int) string { return fmt.Sprintf("ltv > %d", i) }),
		"times":   or(func(i int) string { return fmt.Sprintf("signed_up_at in last %d days", i) }),
		"nested":  strings.Repeat("not (", 30) + "did event0 in last 3 days" + strings.Repeat(")", 30),
		"huge":    "did event0 at least 1000000 times in last 99999 days",
	}
}

// pricedShard returns a shard with a small shop.
func pricedShard(t testing.TB, profiles, events int) (s *Shard, seq uint64) {
	s = shopShard(t)
	s.config.Parse = parsePred
	again, err := catalog.Decode(s.root.catalog.Encode(), parsePred)
	if err != nil {
		t.Fatal(err)
	}
	s.root.catalog, seq = again, 2
	for _, entry := range shopLog(profiles, events) {
		mustApply(t, s, seq, entry)
		seq++
		s.Maintain(1000)
	}
	return s, seq
}

func putSegment(t testing.TB, s *Shard, seq uint64, name, text string) catalog.Change {
	c := catalog.Change{Version: s.Catalog().Version() + 1, Kind: catalog.PutSegment, Segment: catalog.Segment{Name: name, Text: text}}
	if r := mustApply(t, s, seq, EncodeCatalog(s.Time(), c)); r.Reason != "" {
		t.Fatalf("%s: %s", text[:min(len(text), 200)], r.Reason)
	}
	return c
}

// loadOf returns a ReadLoad that reads one shard.
func loadOf(s *Shard) ReadLoad {
	return func(to *Load, events []uint32) {
		v := s.View()
		defer v.Release()
		if to.Shards == 0 {
			v.AddSize(to)
		}
		v.AddEvents(to, events)
	}
}

func liveBytes(s *Shard) (bytes int64) {
	for _, line := range s.Memory() {
		if line.Name == "memberships" || line.Name == "live rows" || line.Name == "live queue" || line.Name == "live definitions" {
			bytes += line.Bytes
		}
	}
	return bytes
}

// TestPricesCoverUse checks that live segments of every form take no more memory than their price
// says, and not much less for the forms that often have many parts, and that the price of an event
// includes all segments it affects.
func TestPricesCoverUse(t *testing.T) {
	texts := longForms(40)
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 10 {
		texts[fmt.Sprint("drawn ", i)] = shopSegment(rng)
	}
	const profiles, events = 2_000, 20_000
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			s, seq := pricedShard(t, profiles, events)
			putSegment(t, s, seq, "x", text)
			for seq++; len(s.root.builds) > 0; seq++ {
				mustApply(t, s, seq, EncodeTick(s.Time()))
			}
			for range 20 { // schedules fill
				mustApply(t, s, seq, EncodeTick(s.Time()+10*minute))
				seq++
			}
			if m, _ := s.Segment("x"); m.State != SegmentLive {
				t.Fatalf("it is %v: %s", m.State, m.Reason)
			}
			b := NewPriceBook(s.Catalog(), 600_000, s.Time(), loadOf(s))
			price, used := b.Total(), liveBytes(s)
			if used > price.Memory+price.Memory/4+16<<10 {
				t.Errorf("%d bytes are used, the price is %d", used, price.Memory)
			}
			if price.Memory > 6*used+1<<20 {
				t.Errorf("the price is %d bytes, %d are used", price.Memory, used)
			}
			if conditions, counters := s.live.tracker.Conditions(); price.Event < time.Duration(conditions+counters)*10/2 && !strings.Contains(text, "event") {
				t.Errorf("the price of an event is %v with %d conditions and %d counters", price.Event, conditions, counters)
			}
			if price.Build <= 0 || price.Stop <= 0 || price.Event <= 0 {
				t.Errorf("a price is not positive: %+v", price)
			}
		})
	}
}

// largeLoad describes a node of 1M profiles with 5M events of eight names over 90 days, without
// creating them.
func largeLoad(to *Load, events []uint32) {
	const shards, profiles, each, leaves = 8, 1_000_000, 5_000_000 / 8, 64
	if to.Shards == 0 {
		to.Shards, to.Chunks, to.Profiles, to.Rows = shards, 2*shards, profiles, 5_000_000
	}
	var ever query.Bits
	for pos := range uint16(profiles / 3 / leaves) {
		ever.Set(pos)
	}
	for _, event := range events {
		for i := range leaves {
			b := &query.Block{Rows: each / leaves, Sorted: true, Max: testStart - int64(i)*90*day/leaves, Min: testStart - int64(i+1)*90*day/leaves}
			to.Add(event, query.Series{Rows: b.Rows, Blocks: []*query.Block{b}, Ever: ever.Holders()})
		}
	}
}

// quote returns what a segment would cost a large node.
func quote(t *testing.T, b *PriceBook, c *catalog.State, name, text string) (Price, *catalog.State) {
	t.Helper()
	change := catalog.Change{Version: c.Version() + 1, Kind: catalog.PutSegment, Segment: catalog.Segment{Name: name, Text: text}}
	after, err := c.Apply(change)
	if err != nil {
		t.Fatal(err)
	}
	added, _ := b.Quote(change, after)
	return added, after
}

// TestPoisonIsExpensive checks that segments that would stop a large node have a price above what one
// segment may cost by default, and that segments that people write do not.
func TestPoisonIsExpensive(t *testing.T) {
	s := shopShard(t)
	c, err := catalog.Decode(s.Catalog().Encode(), parsePred)
	if err != nil {
		t.Fatal(err)
	}
	beyond := func(p Price) bool {
		return p.Memory > 384<<20 || p.Event > 125*time.Microsecond || p.Second > 62*time.Millisecond || p.Build > 2*time.Minute || p.Stop > time.Second
	}
	long := longForms(900)
	long["then"], long["then not"] = longForms(499)["then"], longForms(499)["then not"]
	for _, cheap := range []string{"nested", "huge", "limits", "numbers", "texts", "calendars", "sequence"} {
		delete(long, cheap) // few parts, or none that events touch; a sequence has its limit of steps
	}
	for name, text := range long {
		if len(text) > catalog.MaxTextBytes {
			text = longForms(300)[name]
		}
		if p, _ := quote(t, NewPriceBook(c, 600_000, testStart, largeLoad), c, "x", text); !beyond(p) {
			t.Errorf("%s costs only %+v", name, p)
		}
	}
	rng := rand.New(rand.NewPCG(7, 7))
	b := NewPriceBook(c, 600_000, testStart, largeLoad)
	state := c
	for i := range 1000 {
		var p Price
		text := shopSegment(rng)
		if p, state = quote(t, b, state, fmt.Sprint("s", i), text); beyond(p) {
			t.Errorf("%s costs %+v", text, p)
		}
	}
	if all := b.Total(); all.Memory > 1536<<20 || all.Event > 250*time.Microsecond || all.Second > 125*time.Millisecond || all.Build > 4*time.Minute {
		t.Errorf("1,000 segments cost %+v", all)
	}
	for name, text := range longForms(10) {
		if p, _ := quote(t, NewPriceBook(c, 600_000, testStart, largeLoad), c, "x", text); beyond(p) && name != "months" && name != "seconds" {
			t.Errorf("%s of ten costs %+v", name, p)
		}
	}
}

// TestPriceBookFollows checks that a book that has followed the catalog through creations,
// replacements and drops has the prices of a new book, also for segments that refer to others.
func TestPriceBookFollows(t *testing.T) {
	s := shopShard(t)
	state, err := catalog.Decode(s.Catalog().Encode(), parsePred)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 5))
	b := NewPriceBook(state, 600_000, testStart, largeLoad)
	for i := range 300 {
		name := fmt.Sprint("s", rng.IntN(40))
		change := catalog.Change{Version: state.Version() + 1, Kind: catalog.PutSegment, Segment: catalog.Segment{Name: name, Text: shopSegment(rng)}}
		switch _, has := state.SegmentText(name); {
		case has && rng.IntN(3) == 0:
			change = catalog.Change{Version: change.Version, Kind: catalog.DropSegment, Name: name}
		case rng.IntN(4) == 0: // only t segments are referred to, so that there are no cycles
			change.Segment.Text += fmt.Sprintf(` and in segment "t%d"`, rng.IntN(5))
		case rng.IntN(4) == 0:
			change.Segment.Name = fmt.Sprint("t", rng.IntN(5))
		case rng.IntN(20) == 0:
			change.Segment.Text = "in top 10% by count of event0"
		}
		after, err := state.Apply(change)
		if err != nil {
			t.Fatal(err)
		}
		before := b.Total()
		b.Quote(change, after)
		if rng.IntN(4) == 0 { // the change was refused
			undo := catalog.Change{Kind: catalog.DropSegment, Name: change.Segment.Name}
			if old, ok := state.SegmentText(change.Segment.Name + change.Name); ok {
				undo = catalog.Change{Kind: catalog.PutSegment, Segment: *old}
			}
			b.Follow(undo, state)
			if now := b.Total(); !near(now, before) {
				t.Fatalf("change %d undone: %+v, before %+v", i, now, before)
			}
			continue
		}
		state = after
		fresh := NewPriceBook(state, 600_000, testStart, largeLoad)
		if got, want := b.Total(), fresh.Total(); !near(got, want) {
			t.Fatalf("after change %d: %+v, a new book has %+v", i, got, want)
		}
	}
}

// near reports whether prices are equal except for the order in which they were added up, and for the
// spare capacity left by dropped segments.
func near(a, b Price) bool {
	alike := func(x, y, slack int64) bool { return max(x-y, y-x) <= slack+max(x, y)/50 }
	return alike(a.Memory, b.Memory, 200<<20) && alike(int64(a.Event), int64(b.Event), 10) &&
		alike(int64(a.Second), int64(b.Second), 100) && alike(int64(a.Build), int64(b.Build), 1000)
}

// TestLongSequencesInSlices checks that a sequence that is too long to be evaluated for a whole chunk
// in one step has the right members, by parts of the chunk and profile by profile.
func TestLongSequencesInSlices(t *testing.T) {
	s, seq := pricedShard(t, 500, 12_000)
	s.config.Parse = syntax.ParseSaved
	again, err := catalog.Decode(s.root.catalog.Encode(), syntax.ParseSaved)
	if err != nil {
		t.Fatal(err)
	}
	s.root.catalog = again
	for _, steps := range []int{3, 400, 2000} {
		putSegment(t, s, seq, fmt.Sprint(steps), fmt.Sprintf("did event0%s in last %d days", strings.Repeat(" then event0 within 5 days", steps-1), 60+steps))
		for seq++; len(s.root.builds) > 0; seq++ {
			mustApply(t, s, seq, EncodeTick(s.Time()))
		}
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for _, steps := range []int{3, 400, 2000} {
		if m, _ := s.Segment(fmt.Sprint(steps)); m.State != SegmentLive || m.Count == 0 && steps == 3 {
			t.Errorf("%d steps: %v with %d members", steps, m.State, m.Count)
		}
	}
}
