package calendar

import (
	"testing"
	"time"

	"github.com/musterdb/muster/query/tree"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatalf("load zone: %v", err)
	}
	return z
}

func instant(t testing.TB, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatalf("parse instant: %v", err)
	}
	return at.UnixMilli()
}

func text(ms int64) string {
	switch ms {
	case Never:
		return "never"
	case Forever:
		return "forever"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func date(y, m, d int) tree.When { return tree.When{Date: true, Y: y, M: m, D: d} }

func TestWindows(t *testing.T) {
	const now = "2026-05-31T10:00:00.123Z"
	days := func(n int64) tree.Duration { return tree.Duration{N: n, Unit: tree.Day} }
	months := func(n int64) tree.Duration { return tree.Duration{N: n, Unit: tree.Month} }
	for _, c := range []struct {
		name, zone, now string
		w               tree.Window
		from, to        string
	}{
		{"ever", "UTC", now, tree.Window{}, "never", "forever"},
		{"in last 30 days", "UTC", now, tree.Window{Kind: tree.InLast, Last: days(30)}, "2026-05-01T10:00:00.124Z", "2026-05-31T10:00:00.124Z"},
		{"in last 3 months, shorter month", "UTC", now, tree.Window{Kind: tree.InLast, Last: months(3)}, "2026-02-28T10:00:00.124Z", "2026-05-31T10:00:00.124Z"},
		{"in last 1 year over 29 Feb", "UTC", "2028-02-29T00:00:00Z", tree.Window{Kind: tree.InLast, Last: tree.Duration{N: 1, Unit: tree.Year}}, "2027-02-28T00:00:00.001Z", "2028-02-29T00:00:00.001Z"},
		{"in last month over DST", "Europe/Berlin", "2026-04-10T10:00:00Z", tree.Window{Kind: tree.InLast, Last: months(1)}, "2026-03-10T11:00:00.001Z", "2026-04-10T10:00:00.001Z"},
		{"more than 1 day ago", "UTC", now, tree.Window{Kind: tree.MoreThanAgo, Last: days(1)}, "never", "2026-05-30T10:00:00.124Z"},
		{"between 30 and 60 days ago", "UTC", now, tree.Window{Kind: tree.BetweenAgo, Last: days(30), Other: days(60)}, "2026-04-01T10:00:00.124Z", "2026-05-01T10:00:00.124Z"},
		{"between 60 and 30 days ago", "UTC", now, tree.Window{Kind: tree.BetweenAgo, Last: days(60), Other: days(30)}, "2026-04-01T10:00:00.124Z", "2026-05-01T10:00:00.124Z"},
		{"in next 1 day", "UTC", now, tree.Window{Kind: tree.InNext, Last: days(1)}, "2026-05-31T10:00:00.124Z", "2026-06-01T10:00:00.124Z"},
		{"a duration beyond time", "UTC", now, tree.Window{Kind: tree.MoreThanAgo, Last: days(1 << 60)}, "never", text(Add(instant(t, now), -1<<62) + 1)},
		{"today", "UTC", now, tree.Window{Kind: tree.Today}, "2026-05-31T00:00:00.000Z", "2026-06-01T00:00:00.000Z"},
		{"today in Kathmandu", "Asia/Kathmandu", "2026-05-31T18:14:59.999Z", tree.Window{Kind: tree.Today}, "2026-05-30T18:15:00.000Z", "2026-05-31T18:15:00.000Z"},
		{"tomorrow in Kathmandu", "Asia/Kathmandu", "2026-05-31T18:15:00Z", tree.Window{Kind: tree.Today}, "2026-05-31T18:15:00.000Z", "2026-06-01T18:15:00.000Z"},
		{"a day of 23 hours", "Europe/Berlin", "2026-03-29T12:00:00Z", tree.Window{Kind: tree.Today}, "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"},
		{"a day of 25 hours", "Europe/Berlin", "2026-10-25T12:00:00Z", tree.Window{Kind: tree.Today}, "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"},
		{"clocks skip midnight", "America/Sao_Paulo", "2018-11-04T12:00:00Z", tree.Window{Kind: tree.Today}, "2018-11-04T03:00:00.000Z", "2018-11-05T02:00:00.000Z"},
		{"the evening before the skip", "America/Sao_Paulo", "2018-11-04T02:59:59.999Z", tree.Window{Kind: tree.Today}, "2018-11-03T03:00:00.000Z", "2018-11-04T03:00:00.000Z"},
		{"clocks go back over midnight", "America/St_Johns", "2006-10-29T02:31:00Z", tree.Window{Kind: tree.Today}, "2006-10-29T02:30:00.000Z", "2006-10-30T03:30:00.000Z"},
		{"the repeated hour belongs to the new day", "America/St_Johns", "2006-10-29T03:00:00Z", tree.Window{Kind: tree.Today}, "2006-10-29T02:30:00.000Z", "2006-10-30T03:30:00.000Z"},
		{"a date that was skipped", "Pacific/Apia", now, tree.Window{Kind: tree.On, From: date(2011, 12, 30)}, "2011-12-30T10:00:00.000Z", "2011-12-30T10:00:00.000Z"},
		{"yesterday", "Asia/Kathmandu", "2026-05-31T10:00:00Z", tree.Window{Kind: tree.Yesterday}, "2026-05-29T18:15:00.000Z", "2026-05-30T18:15:00.000Z"},
		{"this week on Sunday", "UTC", now, tree.Window{Kind: tree.This, Unit: tree.Week}, "2026-05-25T00:00:00.000Z", "2026-06-01T00:00:00.000Z"},
		{"this week on Monday", "UTC", "2026-06-01T00:00:00Z", tree.Window{Kind: tree.This, Unit: tree.Week}, "2026-06-01T00:00:00.000Z", "2026-06-08T00:00:00.000Z"},
		{"last week", "UTC", now, tree.Window{Kind: tree.LastUnit, Unit: tree.Week}, "2026-05-18T00:00:00.000Z", "2026-05-25T00:00:00.000Z"},
		{"last month", "Europe/Berlin", now, tree.Window{Kind: tree.LastUnit, Unit: tree.Month}, "2026-03-31T22:00:00.000Z", "2026-04-30T22:00:00.000Z"},
		{"this quarter", "UTC", now, tree.Window{Kind: tree.This, Unit: tree.Quarter}, "2026-04-01T00:00:00.000Z", "2026-07-01T00:00:00.000Z"},
		{"last quarter over the year", "UTC", "2026-02-01T00:00:00Z", tree.Window{Kind: tree.LastUnit, Unit: tree.Quarter}, "2025-10-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"},
		{"this year", "UTC", now, tree.Window{Kind: tree.This, Unit: tree.Year}, "2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"},
		{"between days", "UTC", now, tree.Window{Kind: tree.Between, From: date(2026, 1, 1), To: date(2026, 1, 31)}, "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"},
		{"between times", "UTC", now, tree.Window{Kind: tree.Between, From: tree.When{Millis: 5}, To: tree.When{Millis: 9}}, "1970-01-01T00:00:00.005Z", "1970-01-01T00:00:00.009Z"},
		{"since", "Asia/Kathmandu", now, tree.Window{Kind: tree.Since, From: date(2026, 1, 1)}, "2025-12-31T18:15:00.000Z", "forever"},
		{"before", "UTC", now, tree.Window{Kind: tree.Before, From: date(2026, 1, 1)}, "never", "2026-01-01T00:00:00.000Z"},
	} {
		from, to := Resolve(c.w, instant(t, c.now), zone(t, c.zone))
		if text(from) != c.from || text(to) != c.to {
			t.Errorf("%s: [%s, %s), want [%s, %s)", c.name, text(from), text(to), c.from, c.to)
		}
	}
}

func TestAnniversaries(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	born := instant(t, "1980-06-01T00:00:00Z") // a date
	late := instant(t, "1980-05-31T23:30:00Z") // 1 June in Berlin
	leapling := instant(t, "1984-02-29T00:00:00Z")
	n := func(kind tree.WindowKind, n int64) tree.Window {
		return tree.Window{Kind: kind, Last: tree.Duration{N: n, Unit: tree.Day}}
	}
	for _, c := range []struct {
		name  string
		w     tree.Window
		now   string
		value int64
		want  bool
	}{
		{"today", tree.Window{Kind: tree.Today}, "2026-06-01T08:00:00Z", born, true},
		{"today, zone's date", tree.Window{Kind: tree.Today}, "2026-06-01T08:00:00Z", late, true},
		{"today is not tomorrow", n(tree.InNext, 7), "2026-06-01T08:00:00Z", born, false},
		{"tomorrow", n(tree.InNext, 1), "2026-05-31T08:00:00Z", born, true},
		{"in a week", n(tree.InNext, 7), "2026-05-25T08:00:00Z", born, true},
		{"in eight days", n(tree.InNext, 7), "2026-05-24T08:00:00Z", born, false},
		{"last days include today", n(tree.InLast, 1), "2026-06-01T08:00:00Z", born, true},
		{"last days", n(tree.InLast, 7), "2026-06-07T08:00:00Z", born, true},
		{"before the last days", n(tree.InLast, 7), "2026-06-08T08:00:00Z", born, false},
		{"leap day in another year", tree.Window{Kind: tree.On, From: date(2026, 2, 28)}, "2026-06-08T08:00:00Z", leapling, true},
		{"leap day in a leap year", tree.Window{Kind: tree.On, From: date(2028, 2, 28)}, "2026-06-08T08:00:00Z", leapling, false},
		{"leap day itself", tree.Window{Kind: tree.On, From: date(2028, 2, 29)}, "2026-06-08T08:00:00Z", leapling, true},
		{"not in March", tree.Window{Kind: tree.On, From: date(2026, 3, 1)}, "2026-06-08T08:00:00Z", leapling, false},
		{"this month", tree.Window{Kind: tree.This, Unit: tree.Month}, "2026-06-30T21:00:00Z", born, true},
		{"every date within 400 days", n(tree.InNext, 400), "2026-06-30T21:00:00Z", leapling, true},
	} {
		if got := NewAnniversaries(c.w, instant(t, c.now), berlin).Has(c.value); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestBuckets(t *testing.T) {
	for _, c := range []struct {
		unit     tree.Unit
		zone, at string
		from, to string
	}{
		{tree.Hour, "Asia/Kathmandu", "2026-01-01T00:20:00Z", "2026-01-01T00:15:00.000Z", "2026-01-01T01:15:00.000Z"},
		{tree.Hour, "UTC", "1969-12-31T23:30:00Z", "1969-12-31T23:00:00.000Z", "1970-01-01T00:00:00.000Z"},
		{tree.Hour, "Europe/Berlin", "2025-10-26T00:30:00Z", "2025-10-26T00:00:00.000Z", "2025-10-26T01:00:00.000Z"}, // comes twice
		{tree.Hour, "Australia/Lord_Howe", "2026-04-04T14:59:00Z", "2026-04-04T14:00:00.000Z", "2026-04-04T15:00:00.000Z"},
		{tree.Hour, "Australia/Lord_Howe", "2026-04-04T15:10:00Z", "2026-04-04T15:00:00.000Z", "2026-04-04T15:30:00.000Z"}, // the clocks change within the hour
		{tree.Week, "UTC", "2026-01-01T00:00:00Z", "2025-12-29T00:00:00.000Z", "2026-01-05T00:00:00.000Z"},
		{tree.Month, "America/Sao_Paulo", "2018-11-30T00:00:00Z", "2018-11-01T03:00:00.000Z", "2018-12-01T02:00:00.000Z"},
	} {
		from, to := Bucket(c.unit, instant(t, c.at), zone(t, c.zone))
		if text(from) != c.from || text(to) != c.to {
			t.Errorf("%v of %s in %s: [%s, %s), want [%s, %s)", c.unit, c.at, c.zone, text(from), text(to), c.from, c.to)
		}
	}
}

var fuzzZones = []string{"UTC", "America/Sao_Paulo", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Cairo"}

// FuzzDays checks the days of a zone: the day of an instant contains it, days neither overlap nor leave gaps,
// buckets contain their instant, and the table of Days agrees with DayOf.
func FuzzDays(f *testing.F) {
	f.Add(int64(1541300400000), uint8(1))
	f.Add(int64(1162089060000), uint8(4))
	f.Add(int64(1325239200000), uint8(5))
	f.Add(int64(-3786825600000), uint8(1))
	f.Fuzz(func(t *testing.T, ms int64, z uint8) {
		ms %= 253_402_300_800_000
		loc := zone(t, fuzzZones[int(z)%len(fuzzZones)])
		day := DayOf(ms, loc)
		if from, to := DayStart(day, loc), DayStart(day+1, loc); ms < from || ms >= to {
			t.Fatalf("%s: day %d of %s is [%s, %s)", loc, day, text(ms), text(from), text(to))
		}
		if days := NewDays(loc); days.Of(ms) != day || days.Of(ms-1e11) != DayOf(ms-1e11, loc) || days.Of(ms) != day || days.Of(ms+2e12) != DayOf(ms+2e12, loc) {
			t.Fatalf("%s: the table does not agree near %s", loc, text(ms))
		}
		for unit := tree.Hour; unit <= tree.Year; unit++ {
			from, to := Bucket(unit, ms, loc)
			if ms < from || ms >= to {
				t.Fatalf("%s: %v of %s is [%s, %s)", loc, unit, text(ms), text(from), text(to))
			}
			if before, next := Bucket(unit, to, loc); before != to || next <= before {
				t.Fatalf("%s: %v after %s begins at %s", loc, unit, text(to), text(before))
			}
		}
		for _, u := range []tree.Unit{tree.Week, tree.Month, tree.Quarter, tree.Year} {
			_, end := Resolve(tree.Window{Kind: tree.LastUnit, Unit: u}, ms, loc)
			from, to := Resolve(tree.Window{Kind: tree.This, Unit: u}, ms, loc)
			if end != from || ms < from || ms >= to {
				t.Fatalf("%s: this and last %v at %s do not meet", loc, u, text(ms))
			}
		}
	})
}
