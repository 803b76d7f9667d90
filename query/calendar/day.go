package calendar

import (
	"math"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// Never and Forever are the limits of time: every instant is at or after Never and before Forever.
const (
	Never   int64 = math.MinInt64
	Forever int64 = math.MaxInt64
)

const (
	hourMillis = 3_600_000
	dayMillis  = 24 * hourMillis
)

// Day returns the civil day of a date, the number of days since 1970-01-01.
func Day(y, m, d int) int64 {
	return floorDiv(time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Unix(), 86_400)
}

// Date returns the date of a civil day.
func Date(day int64) (y, m, d int) {
	year, month, dom := time.Unix(day*86_400, 0).UTC().Date()
	return year, int(month), dom
}

// DayStart returns the first instant of a civil day in a zone: the first at which local clocks show the date
// or a later one. If the clocks skip midnight, the day begins later. If they skip the whole date, the day is
// empty.
func DayStart(day int64, zone *time.Location) int64 {
	midnight := day * dayMillis // local midnight, read as UTC
	if zone == time.UTC {
		return midnight
	}
	// No zone has ever been 16 hours ahead of UTC, so the search begins before the date begins anywhere.
	at := midnight - 16*hourMillis
	for {
		t := time.UnixMilli(at).In(zone)
		_, offset := t.Zone()
		_, end := t.ZoneBounds()
		first := max(at, midnight-int64(offset)*1000)
		if end.IsZero() {
			return first
		}
		// For future years, in which zones follow a rule, the bounds can end where they begin.
		next := end.UnixMilli()
		if next <= at {
			next = at + hourMillis
		}
		if first < next {
			return first
		}
		at = next
	}
}

// DayOf returns the civil day that contains the instant ms. It differs from the date on local clocks only where
// they are set back over midnight, because a day does not come twice.
func DayOf(ms int64, zone *time.Location) int64 {
	day := localDay(ms, zone)
	for zone != time.UTC && ms >= DayStart(day+1, zone) {
		day++
	}
	return day
}

// localDay returns the date on local clocks at ms.
func localDay(ms int64, zone *time.Location) int64 {
	if zone == time.UTC {
		return floorDiv(ms, dayMillis)
	}
	return floorDiv(ms+offsetAt(ms, zone), dayMillis)
}

// UnitStart returns the first day of the day, week (from Monday), month, quarter or year that contains day.
func UnitStart(unit tree.Unit, day int64) int64 {
	switch unit {
	case tree.Week:
		return day - floorMod(day+3, 7) // 1970-01-01 was a Thursday
	case tree.Month:
		y, m, _ := Date(day)
		return Day(y, m, 1)
	case tree.Quarter:
		y, m, _ := Date(day)
		return Day(y, m-(m-1)%3, 1)
	case tree.Year:
		y, _, _ := Date(day)
		return Day(y, 1, 1)
	}
	return day
}

// unitStep returns the first day of the unit that is n units after the one that begins at start.
func unitStep(unit tree.Unit, start, n int64) int64 {
	y, m, _ := Date(start)
	switch unit {
	case tree.Week:
		return start + 7*n
	case tree.Month:
		return Day(y, m+int(n), 1)
	case tree.Quarter:
		return Day(y, m+3*int(n), 1)
	case tree.Year:
		return Day(y+int(n), 1, 1)
	}
	return start + n
}

// Bucket returns the range [from, to) of the hour, day, week, month, quarter or year that contains ms. Hours are
// those of local clocks, and end early if the clocks change within them.
func Bucket(unit tree.Unit, ms int64, zone *time.Location) (from, to int64) {
	if unit == tree.Hour {
		offset := offsetAt(ms, zone)
		from = floorDiv(ms+offset, hourMillis)*hourMillis - offset
		to = from + hourMillis
		start, end := time.UnixMilli(ms).In(zone).ZoneBounds()
		if s := start.UnixMilli(); !start.IsZero() && offsetAt(s-1, zone) != offset {
			from = max(from, s)
		}
		if e := end.UnixMilli(); !end.IsZero() && offsetAt(e, zone) != offset {
			to = min(to, e)
		}
		return from, to
	}
	start := UnitStart(unit, DayOf(ms, zone))
	return DayStart(start, zone), DayStart(unitStep(unit, start, 1), zone)
}

// offsetAt returns by how many milliseconds zone is ahead of UTC at ms.
func offsetAt(ms int64, zone *time.Location) int64 {
	_, seconds := time.UnixMilli(ms).In(zone).Zone()
	return int64(seconds) * 1000
}

// Days computes the days of many instants in one zone, faster than DayOf. It is not safe for concurrent use.
type Days struct {
	zone   *time.Location
	base   int64 // the day of starts[0]
	starts []int64
}

// daysLimit bounds the table of Days. For instants outside the table, Of calls DayOf.
const daysLimit = 1 << 16

// NewDays returns Days for a zone.
func NewDays(zone *time.Location) *Days { return &Days{zone: zone} }

// Of returns DayOf(ms, zone).
func (d *Days) Of(ms int64) int64 {
	guess := floorDiv(ms, dayMillis)
	if d.zone == time.UTC {
		return guess
	}
	if len(d.starts) == 0 {
		d.base = guess - 400
		d.extend(guess + 400)
	}
	if guess-2 < d.base || guess+3 >= d.base+int64(len(d.starts)) {
		if !d.cover(guess) {
			return DayOf(ms, d.zone)
		}
	}
	i := guess - d.base
	for ms < d.starts[i] {
		i--
	}
	for ms >= d.starts[i+1] {
		i++
	}
	return d.base + i
}

// extend appends the starts of the days up to last.
func (d *Days) extend(last int64) {
	for day := d.base + int64(len(d.starts)); day <= last; day++ {
		d.starts = append(d.starts, DayStart(day, d.zone))
	}
}

// cover grows the table to include the days around day. It returns false if that would exceed the limit.
func (d *Days) cover(day int64) bool {
	last := d.base + int64(len(d.starts)) - 1
	if max(last, day)-min(d.base, day) > daysLimit-1000 {
		return false
	}
	if day+3 > last {
		d.extend(day + 400)
	}
	if day-2 < d.base {
		old := d.starts
		from := d.base
		d.base, d.starts = day-400, nil
		d.extend(from - 1)
		d.starts = append(d.starts, old...)
	}
	return true
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 { return a - floorDiv(a, b)*b }
