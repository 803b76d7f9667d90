package engine

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/engine/catalog"
)

// shopSegment draws the text of a segment as marketers write them: one to three conditions on who
// people are and what they did, from a pool with many repetitions.
func shopSegment(rng *rand.Rand) string {
	window := func() string {
		return []string{"in last 1 day", "in last 7 days", "in last 30 days", "in last 90 days"}[rng.IntN(4)]
	}
	event := func() string { return fmt.Sprintf("event%d", rng.IntN(8)) }
	did := func() string {
		switch rng.IntN(20) {
		case 0:
			return fmt.Sprintf("did %s then not %s within 1 hour in last 7 days", event(), event())
		case 1:
			return fmt.Sprintf("sum(amount) of %s %s > %d", event(), window(), 100*(1+rng.IntN(10)))
		case 2, 3:
			return fmt.Sprintf("last did %s more than %d days ago", event(), []int{7, 14, 30}[rng.IntN(3)])
		case 4:
			return fmt.Sprintf("did %s %s", event(), []string{"today", "this week", "this month"}[rng.IntN(3)])
		case 5, 6, 7:
			return fmt.Sprintf(`did %s where (category = "category-%d") %s`, event(), rng.IntN(20), window())
		case 8, 9, 10:
			return fmt.Sprintf("did not %s %s", event(), window())
		}
		return fmt.Sprintf("did %s at least %d times %s", event(), 1+rng.IntN(5), window())
	}
	is := func() string {
		switch rng.IntN(4) {
		case 0:
			return fmt.Sprintf(`country = "C%d"`, rng.IntN(50))
		case 1:
			return fmt.Sprintf(`plan in ("plan%d", "plan%d")`, rng.IntN(4), rng.IntN(4))
		case 2:
			return fmt.Sprintf("age between %d and %d", 20+rng.IntN(20), 41+rng.IntN(30))
		}
		return fmt.Sprintf("ltv > %d", 100*rng.IntN(50))
	}
	text := did()
	if rng.IntN(3) > 0 {
		text += " and " + is()
	}
	if rng.IntN(2) == 0 {
		text += " and " + did()
	}
	return text
}

// liveLoad is the rate and order of the events that are measured.
type liveLoad struct {
	every    int64 // ms between two batches of 1,000
	sessions int   // consecutive events of one profile
}

// BenchmarkLive measures what events cost with live segments: 125,000 profiles with a million events
// over 90 days, then 100,000 events, ten batches of 1,000 a second, each of a newly drawn profile.
// Hardly any profile has done the same within the day, so nearly every event crosses thresholds.
func BenchmarkLive(b *testing.B) {
	for _, segments := range []int{0, 1, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(segments), func(b *testing.B) { benchmarkLive(b, segments, liveLoad{every: 100, sessions: 1}) })
	}
}

// BenchmarkLiveVisits measures the same with ten consecutive events per profile.
func BenchmarkLiveVisits(b *testing.B) {
	for _, segments := range []int{0, 1, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(segments), func(b *testing.B) { benchmarkLive(b, segments, liveLoad{every: 100, sessions: 10}) })
	}
}

// BenchmarkLiveSteady measures the same in a steady state: events arrive at the rate of the 90 days
// before, in visits of ten, so that as many events leave the windows as arrive.
func BenchmarkLiveSteady(b *testing.B) {
	for _, segments := range []int{0, 1, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(segments), func(b *testing.B) {
			benchmarkLive(b, segments, liveLoad{every: 90 * day / 1000, sessions: 10})
		})
	}
}

// benchShop is a shard with a history and segments.
func benchShop(b *testing.B, profiles, history, segments int, rng *rand.Rand) (s *Shard, seq uint64) {
	s = shopShard(b)
	s.config.Parse = parsePred
	s.root.catalog = withParse(b, s.root.catalog)
	seq = uint64(2)
	for _, entry := range shopLog(profiles, history) {
		mustApply(b, s, seq, entry)
		seq++
		s.Maintain(1000)
	}
	now := s.Time()
	used := cpuTime(b)
	for i := range segments {
		c := catalog.Change{Version: s.Catalog().Version() + 1, Kind: catalog.PutSegment,
			Segment: catalog.Segment{Name: fmt.Sprint("segment", i), Text: shopSegment(rng)}}
		mustApply(b, s, seq, EncodeCatalog(now, c))
		seq++
	}
	for s.live != nil && len(s.root.builds) > 0 {
		mustApply(b, s, seq, EncodeTick(now))
		seq++
	}
	if segments > 0 {
		conditions, counters := s.live.tracker.Conditions()
		b.ReportMetric(float64(conditions), "conditions")
		b.ReportMetric(float64(counters), "counters")
		b.ReportMetric(float64((cpuTime(b)-used).Microseconds())/1000/float64(segments), "cpu-ms/definition")
	}
	return s, seq
}

func benchmarkLive(b *testing.B, segments int, load liveLoad) {
	const profiles, history, events = 125_000, 1_000_000, 100_000
	for b.Loop() {
		b.StopTimer()
		rng := rand.New(rand.NewPCG(7, 7))
		s, seq := benchShop(b, profiles, history, segments, rng)
		now := s.Time()
		entries := make([][]byte, events/1000)
		for i := range entries {
			now += load.every
			batch := make([]Message, 1000)
			for j := range batch {
				batch[j] = shopEvent(rng, profiles, history+i*1000+j, now)
				if j%load.sessions > 0 {
					batch[j].UserID = batch[j-1].UserID
				}
			}
			entries[i] = EncodeMessages(1, now, batch)
		}
		changes := 0
		worst := time.Duration(0)
		runtime.GC()
		used := cpuTime(b)
		b.StartTimer()
		for _, entry := range entries {
			began := time.Now()
			r := mustApply(b, s, seq, entry)
			worst = max(worst, time.Since(began))
			s.Maintain(1000)
			seq++
			for i := range r.Changes {
				changes += r.Changes[i].Len()
			}
		}
		b.StopTimer()
		b.ReportMetric(float64(cpuTime(b)-used)/events, "cpu-ns/event")
		b.ReportMetric(float64(changes)/events, "changes/event")
		b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms/batch")
		for _, line := range s.Memory() {
			if strings.HasPrefix(line.Name, "live ") || line.Name == "memberships" {
				b.ReportMetric(float64(line.Bytes)/profiles, strings.ReplaceAll(line.Name, " ", "-")+"-B/profile")
			}
		}
		b.StartTimer()
	}
}

// withParse returns a catalog with a parser, as a restart would.
func withParse(b *testing.B, c *catalog.State) *catalog.State {
	b.Helper()
	again, err := catalog.Decode(c.Encode(), parsePred)
	if err != nil {
		b.Fatal(err)
	}
	return again
}

// BenchmarkMidnight measures the tick at which a million profiles leave a segment.
func BenchmarkMidnight(b *testing.B) {
	const profiles = 1_000_000
	for b.Loop() {
		b.StopTimer()
		s := shopShard(b)
		s.root.catalog = withParse(b, s.root.catalog)
		seq := uint64(2)
		mustApply(b, s, seq, EncodeCatalog(testStart, catalog.Change{Version: 2, Kind: catalog.PutSegment,
			Segment: catalog.Segment{Name: "today", Text: "did event0 today"}}))
		for from := 0; from < profiles; from += 1000 {
			batch := make([]Message, 1000)
			for i := range batch {
				batch[i] = Message{Kind: Track, UserID: fmt.Sprint("u", from+i), Event: 0, Time: testStart}
			}
			seq++
			mustApply(b, s, seq, EncodeMessages(1, testStart, batch))
		}
		seq++
		used := cpuTime(b)
		b.StartTimer()
		r := mustApply(b, s, seq, EncodeTick(testStart+2*day))
		b.StopTimer()
		b.ReportMetric(float64((cpuTime(b)-used).Microseconds())/1000, "cpu-ms")
		if len(r.Changes) != 1 || r.Changes[0].Len() != profiles {
			b.Fatalf("%d changes", len(r.Changes))
		}
		b.StartTimer()
	}
}

// BenchmarkSpread measures ticks over a minute in which a million profiles leave a segment, one by one.
func BenchmarkSpread(b *testing.B) {
	const profiles = 1_000_000
	for b.Loop() {
		b.StopTimer()
		s := shopShard(b)
		s.root.catalog = withParse(b, s.root.catalog)
		seq := uint64(2)
		mustApply(b, s, seq, EncodeCatalog(testStart, catalog.Change{Version: 2, Kind: catalog.PutSegment,
			Segment: catalog.Segment{Name: "hour", Text: "did event0 in last 1 hour"}}))
		for from := 0; from < profiles; from += 1000 {
			batch := make([]Message, 1000)
			for i := range batch {
				batch[i] = Message{Kind: Track, UserID: fmt.Sprint("u", from+i), Event: 0, Time: testStart + int64(from+i)*minute/profiles}
			}
			seq++
			mustApply(b, s, seq, EncodeMessages(1, testStart+minute, batch))
		}
		left, worst := 0, time.Duration(0)
		used := cpuTime(b)
		b.StartTimer()
		for now := int64(testStart + hour); now <= testStart+hour+minute; now += 250 {
			seq++
			began := time.Now()
			r := mustApply(b, s, seq, EncodeTick(now))
			worst = max(worst, time.Since(began))
			for i := range r.Changes {
				left += len(r.Changes[i].Exits)
			}
		}
		b.StopTimer()
		if left != profiles {
			b.Fatalf("%d left", left)
		}
		b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms/tick")
		b.ReportMetric(float64((cpuTime(b)-used).Microseconds())/1000, "cpu-ms")
		b.StartTimer()
	}
}
