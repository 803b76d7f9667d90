package querytest

import (
	"math"
	"sync"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// date is a calendar date without a time zone.
type date struct{ y, m, d int }

func (d date) utc() time.Time { return time.Date(d.y, time.Month(d.m), d.d, 0, 0, 0, 0, time.UTC) }

func (d date) plus(days int) date { return dateOf(d.utc().AddDate(0, 0, days)) }

func (d date) before(e date) bool { return d.utc().Before(e.utc()) }

func (d date) text() string { return d.utc().Format(time.DateOnly) }

func dateOf(t time.Time) date { return date{t.Year(), int(t.Month()), t.Day()} }

// span is the instants from first to last, both included.
type span struct{ first, last int64 }

func (s span) holds(ms int64) bool { return s.first <= ms && ms <= s.last }

// dayStarts caches the results of dayStart for all oracles. They depend only on zone and date.
var dayStarts sync.Map

// dayStart returns the first instant whose local date is d, or the first of a later date if the clocks skipped
// the whole day. It steps by quarters of an hour and then by seconds.
func (o *Oracle) dayStart(d date) int64 {
	type key struct {
		zone string
		day  date
	}
	if ms, known := dayStarts.Load(key{o.Zone.String(), d}); known {
		return ms.(int64)
	}
	reached := func(t time.Time) bool { return !dateOf(t.In(o.Zone)).before(d) }
	t := d.utc().Add(-30 * time.Hour)
	for !reached(t.Add(15 * time.Minute)) {
		t = t.Add(15 * time.Minute)
	}
	for !reached(t) {
		t = t.Add(time.Second)
	}
	dayStarts.Store(key{o.Zone.String(), d}, t.UnixMilli())
	return t.UnixMilli()
}

// day returns the day of an instant. A day lasts from its dayStart to that of the next day.
func (o *Oracle) day(ms int64) date {
	d := dateOf(time.UnixMilli(ms).In(o.Zone))
	for o.dayStart(d.plus(1)) <= ms { // clocks went back over midnight
		d = d.plus(1)
	}
	return d
}

func (o *Oracle) instant(w tree.When) int64 {
	if w.Date {
		return o.dayStart(date{w.Y, w.M, w.D})
	}
	return w.Millis
}

// back returns the instant that is d before now.
func (o *Oracle) back(d tree.Duration) int64 {
	months := map[tree.Unit]int{tree.Month: 1, tree.Quarter: 3, tree.Year: 12}[d.Unit]
	if months == 0 {
		ms, _ := d.Millis()
		return o.Now - ms
	}
	return o.shift(-int(d.N) * months)
}

// shift returns now moved by whole months, at the same local time. In a shorter month it uses the last day.
func (o *Oracle) shift(months int) int64 {
	t := time.UnixMilli(o.Now).In(o.Zone)
	first := time.Date(t.Year(), t.Month()+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return time.Date(first.Year(), first.Month(), min(t.Day(), last), t.Hour(), t.Minute(), t.Second(),
		t.Nanosecond(), o.Zone).UnixMilli()
}

// window returns the instants of w, which may be after now.
func (o *Oracle) window(w tree.Window) span {
	always := span{math.MinInt64, math.MaxInt64}
	switch w.Kind {
	case tree.Ever:
		return always
	case tree.InLast:
		return span{o.back(w.Last) + 1, o.Now}
	case tree.MoreThanAgo:
		return span{always.first, o.back(w.Last)}
	case tree.BetweenAgo:
		a, b := o.back(w.Last), o.back(w.Other)
		return span{min(a, b) + 1, max(a, b)}
	case tree.InNext:
		return span{o.Now + 1, o.back(tree.Duration{N: -w.Last.N, Unit: w.Last.Unit})}
	case tree.Between:
		end := o.instant(w.To) - 1
		if w.To.Date {
			end = o.dayStart(date{w.To.Y, w.To.M, w.To.D}.plus(1)) - 1
		}
		return span{o.instant(w.From), end}
	case tree.Since:
		return span{o.instant(w.From), always.last}
	case tree.Before:
		return span{always.first, o.instant(w.From) - 1}
	}
	from, to := o.days(w)
	return span{o.dayStart(from), o.dayStart(to) - 1}
}

// days returns the first day of a calendar window and the first day after it.
func (o *Oracle) days(w tree.Window) (from, to date) {
	today := o.day(o.Now)
	switch w.Kind {
	case tree.Today:
		return today, today.plus(1)
	case tree.Yesterday:
		return today.plus(-1), today
	case tree.On:
		d := date{w.From.Y, w.From.M, w.From.D}
		return d, d.plus(1)
	case tree.This:
		from = floor(today, w.Unit)
		return from, following(from, w.Unit)
	}
	to = floor(today, w.Unit)
	return floor(to.plus(-1), w.Unit), to
}

// floor returns the first day of d's week, month, quarter or year.
func floor(d date, unit tree.Unit) date {
	switch unit {
	case tree.Week:
		for d.utc().Weekday() != time.Monday {
			d = d.plus(-1)
		}
	case tree.Month:
		d.d = 1
	case tree.Quarter:
		d.d = 1
		for d.m%3 != 1 {
			d.m--
		}
	case tree.Year:
		d.d, d.m = 1, 1
	}
	return d
}

// following returns the first day of the unit after the one that begins with d.
func following(d date, unit tree.Unit) date {
	next := d.plus(1)
	for floor(next, unit) == d {
		next = next.plus(1)
	}
	return next
}

// anniversary reports whether the month and day of v are those of one of the days of w.
func (o *Oracle) anniversary(w tree.Window, v int64) bool {
	born := dateOf(time.UnixMilli(v).In(o.Zone)) // as the clocks showed it
	if time.UnixMilli(v).UTC().Truncate(24*time.Hour).UnixMilli() == v {
		born = dateOf(time.UnixMilli(v).UTC())
	}
	today := o.day(o.Now)
	n := int(w.Last.N)
	if w.Last.Unit == tree.Week {
		n *= 7
	}
	var from, to date
	switch w.Kind {
	case tree.InNext:
		from, to = today.plus(1), today.plus(n+1)
	case tree.InLast:
		from, to = today.plus(1-n), today.plus(1)
	default:
		from, to = o.days(w)
	}
	for d := from; d.before(to); d = d.plus(1) {
		leap := time.Date(d.y, 2, 29, 0, 0, 0, 0, time.UTC).Day() == 29
		if d.m == born.m && d.d == born.d || born.m == 2 && born.d == 29 && !leap && d.m == 2 && d.d == 28 {
			return true
		}
	}
	return false
}
