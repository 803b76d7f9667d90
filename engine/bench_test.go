package engine

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// shopShard returns a shard of a shop: eight attributes, eight event names with an amount and a
// category each.
func shopShard(t testing.TB) *Shard {
	t.Helper()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	var names []catalog.Name
	for _, a := range []struct {
		name string
		t    tree.Type
	}{{"country", tree.StringType}, {"plan", tree.StringType}, {"platform", tree.StringType}, {"opt_in", tree.BoolType},
		{"age", tree.NumberType}, {"ltv", tree.NumberType}, {"signed_up_at", tree.TimeType}, {"email", tree.StringType}} {
		names = append(names, catalog.Name{Kind: query.AttributeName, Name: a.name, Type: a.t})
	}
	for e := range 8 {
		names = append(names,
			catalog.Name{Kind: query.PropertyName, Event: fmt.Sprint("event", e), Name: "amount", Type: tree.NumberType},
			catalog.Name{Kind: query.PropertyName, Event: fmt.Sprint("event", e), Name: "category", Type: tree.StringType})
	}
	mustApply(t, s, 1, EncodeCatalog(testStart, catalog.Change{Version: 1, Kind: catalog.DefineNames, Names: names}))
	return s
}

func shopProfile(rng *rand.Rand, i int) Message {
	at := func(n int) uint32 { return query.FirstAttribute + uint32(n) }
	return Message{Kind: Profile, UserID: fmt.Sprintf("user-%09d", i), Time: testStart, ReceivedAt: testStart, Fields: []Field{
		{at(0), tree.Str(fmt.Sprint("C", rng.IntN(50)))}, {at(1), tree.Str(fmt.Sprint("plan", rng.IntN(4)))},
		{at(2), tree.Str(fmt.Sprint("p", rng.IntN(3)))}, {at(3), tree.Bool(rng.IntN(2) == 0)},
		{at(4), tree.NumInt(int64(18 + rng.IntN(60)))}, {at(5), tree.Num(tree.Decimal(rng.Int64N(1_000_000), 2))},
		{at(6), tree.Time(testStart - rng.Int64N(1<<36))}, {at(7), tree.Str(fmt.Sprintf("user%09d@mail.ex", i))},
	}}
}

func shopEvent(rng *rand.Rand, profiles, i int, now int64) Message {
	return Message{
		Kind: Track, UserID: fmt.Sprintf("user-%09d", int(float64(profiles)*rng.Float64()*rng.Float64())),
		MessageID: fmt.Sprintf("0190b5a2-%04x-7000-8000-%012x", i>>16, i), Time: now - rng.Int64N(2000), ReceivedAt: now,
		Event:  uint32(rng.IntN(8)),
		Fields: []Field{{0, tree.Num(tree.Decimal(rng.Int64N(100_000), 2))}, {1, tree.Str(fmt.Sprint("category-", rng.IntN(20)))}},
	}
}

// shopLog returns entries of 1,000 messages each: profiles first, then events over 90 days.
func shopLog(profiles, events int) (entries [][]byte) {
	rng := rand.New(rand.NewPCG(1, 1))
	var batch []Message
	now := int64(testStart)
	flush := func() {
		entries = append(entries, EncodeMessages(1, now, batch))
		batch = batch[:0]
	}
	for i := range profiles {
		if batch = append(batch, shopProfile(rng, i)); len(batch) == 1000 {
			flush()
		}
	}
	flush()
	step := 90 * 86_400_000 / int64(max(events/1000, 1))
	for i := range events {
		if batch = append(batch, shopEvent(rng, profiles, i, now)); len(batch) == 1000 {
			flush()
			now += step
		}
	}
	flush()
	return entries
}

// BenchmarkApply measures messages per second on one core, including upkeep: a view every 30 entries
// and Maintain after each entry.
func BenchmarkApply(b *testing.B) {
	const profiles, events = 125_000, 1_000_000
	log := shopLog(profiles, events)
	var used time.Duration
	for b.Loop() {
		b.StopTimer()
		s := shopShard(b)
		seq := uint64(2)
		for ; seq < 2+profiles/1000; seq++ {
			mustApply(b, s, seq, log[seq-2])
		}
		b.StartTimer()
		before := cpuTime(b)
		for ; seq < uint64(len(log))+2; seq++ {
			mustApply(b, s, seq, log[seq-2])
			s.Maintain(1000)
			if seq%30 == 0 {
				v := s.View()
				defer v.Release()
			}
		}
		used += cpuTime(b) - before
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(used)/float64(b.N)/events, "cpu-ns/event")
}

// cpuTime returns the CPU time of the process on all processors. On a busy machine it says more than
// elapsed time.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkView measures taking and releasing a view.
func BenchmarkView(b *testing.B) {
	s := shopShard(b)
	seq := uint64(2)
	for _, entry := range shopLog(50_000, 100_000) {
		mustApply(b, s, seq, entry)
		seq++
	}
	for b.Loop() {
		v := s.View()
		v.Release()
	}
}

// BenchmarkRestore measures restoring a snapshot.
func BenchmarkRestore(b *testing.B) {
	const profiles, events = 125_000, 2_000_000
	s := shopShard(b)
	for i, entry := range shopLog(profiles, events) {
		mustApply(b, s, uint64(i+2), entry)
		for s.Maintain(1 << 20) {
		}
	}
	pages := snapshotOf(b, s)
	before := cpuTime(b)
	for b.Loop() {
		pages.at = 0
		if _, err := Restore(Config{}, pages); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/events, "cpu-ns/event")
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/events, "ns/event")
}

// BenchmarkMemory reports bytes per event and per profile, by structure.
func BenchmarkMemory(b *testing.B) {
	const profiles, events = 250_000, 3_000_000
	for b.Loop() {
		s := shopShard(b)
		for i, entry := range shopLog(profiles, events) {
			mustApply(b, s, uint64(i+2), entry)
			for s.Maintain(1 << 20) {
			}
		}
		for _, line := range s.Memory() {
			switch line.Name {
			case "ids", "seen", "attributes", "attribute dictionaries", "profiles":
				b.ReportMetric(float64(line.Bytes)/profiles, line.Name[:3]+line.Name[max(0, len(line.Name)-3):]+"-B/profile")
			default:
				b.ReportMetric(float64(line.Bytes)/events, line.Name[:3]+line.Name[max(0, len(line.Name)-3):]+"-B/event")
			}
		}
		rows, leafRows := 0, 0
		for _, table := range s.root.events {
			for _, x := range table.chunks {
				rows += x.rows
				for _, l := range x.leaves {
					leafRows += l.block.Rows
				}
			}
		}
		b.ReportMetric(float64(leafRows)/float64(rows), "in-leaves")
	}
}
