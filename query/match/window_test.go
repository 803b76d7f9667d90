package match_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/tree"
)

// TestPromiseOverClockChanges: subtracting months keeps the local time. If that time was skipped or
// repeated, the edge of a window jumps. Even then, nothing may change before the promised instant.
func TestPromiseOverClockChanges(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	month := tree.Duration{N: 1, Unit: tree.Month}
	ago := &tree.InWindow{X: &tree.Name{Name: "at"}, Window: tree.Window{Kind: tree.MoreThanAgo, Last: month}}
	m, err := match.Compile(match.Env{Schema: querytest.NewSchema(atHistory(0)), Zone: zone}, ago)
	if err != nil {
		t.Fatal(err)
	}
	const minute = int64(time.Minute / time.Millisecond)
	for _, month := range []time.Month{time.March, time.October} { // clocks go forward on 29 March, back on 25 October
		day := map[time.Month]int{time.March: 29, time.October: 25}[month]
		for value := range int64(20) {
			at := time.Date(2026, month, day, 0, 0, 0, 0, time.UTC).UnixMilli() + value*9*minute - 30*minute
			h := atHistory(at)
			schema := querytest.NewSchema(h)
			src := querytest.NewSources(h, schema, 1, rand.New(rand.NewPCG(1, 1)))[0]
			ordinal, ok := src.Find("u")
			if !ok {
				t.Fatal("the profile is missing")
			}
			profile := match.NewProfile(src, schema, ordinal)
			begin := time.Date(2026, month+1, day, 0, 0, 0, 0, zone).UnixMilli()
			truths := make([]bool, 300)
			for i := range truths {
				truths[i] = m.Match(profile, begin+int64(i)*minute).True
			}
			for i := range truths {
				v := m.Match(profile, begin+int64(i)*minute)
				for k := i; k < len(truths) && begin+int64(k)*minute < v.Until; k++ {
					if truths[k] != v.True {
						t.Fatalf("value %d: %v at %d, promised until %d, but not at %d", at, v.True,
							begin+int64(i)*minute, v.Until, begin+int64(k)*minute)
					}
				}
				if v.Until != calendar.Forever && v.Until <= begin+int64(i)*minute {
					t.Fatalf("the promised instant %d is not in the future", v.Until)
				}
			}
		}
	}
}

func atHistory(at int64) *querytest.History {
	return &querytest.History{Profiles: []querytest.Profile{{UserID: "u", Attrs: map[string]tree.Value{"at": tree.Time(at)}}}}
}
