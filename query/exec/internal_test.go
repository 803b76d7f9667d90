package exec

import (
	"testing"
	"time"

	"github.com/musterdb/muster/query/tree"
)

func number(t *testing.T, text string) tree.Number {
	t.Helper()
	n, ok := tree.ParseNumber(text)
	if !ok {
		t.Fatalf("not a number: %s", text)
	}
	return n
}

func TestLowerEnd(t *testing.T) {
	for _, c := range [][3]string{
		{"25", "10", "20"}, {"-1", "10", "-10"}, {"-10", "10", "-10"}, {"0.3", "0.1", "0.3"}, {"0.29", "0.1", "0.2"},
		{"9223372036854775807", "10", "9223372036854775800"}, {"-9223372036854775807", "10", "-9223372036854775810"},
		{"1e300", "10", "1e300"}, {"7", "2.5", "5"},
	} {
		if got := lowerEnd(number(t, c[0]), number(t, c[1])); got.Number() != number(t, c[2]) {
			t.Errorf("%s in steps of %s: %s, want %s", c[0], c[1], got.Number(), c[2])
		}
	}
}

// Hours follow the clocks: half-hour zones, hours that come twice, and changes within an hour.
func TestHours(t *testing.T) {
	for _, c := range []struct{ zone, at, from, to string }{
		{"UTC", "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"},
		{"Asia/Kathmandu", "2026-01-01T00:20:00Z", "2026-01-01T00:15:00Z", "2026-01-01T01:15:00Z"},
		{"Europe/Berlin", "2025-10-26T00:30:00Z", "2025-10-26T00:00:00Z", "2025-10-26T01:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T15:10:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		instant := func(text string) int64 {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Fatal(err)
			}
			return at.UnixMilli()
		}
		if got := hourOf(instant(c.at), zone); got != (bucket{instant(c.from), instant(c.to)}) {
			t.Errorf("%s in %s: %s to %s", c.at, c.zone, time.UnixMilli(got.from).UTC(), time.UnixMilli(got.to).UTC())
		}
	}
}

func TestGroupsAreRefusedAboveTheirLimit(t *testing.T) {
	b := &budget{limit: 1 << 20}
	g := newGroups(b, tree.CountFn)
	g.limit = 3
	for i := range 3 {
		if _, err := g.at([]tree.Value{tree.NumInt(int64(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.at([]tree.Value{tree.NumInt(1)}); err != nil {
		t.Error("a known group is no new one:", err)
	}
	if _, err := g.at([]tree.Value{tree.Str("1")}); err == nil {
		t.Error("the fourth group was let in")
	}
}
