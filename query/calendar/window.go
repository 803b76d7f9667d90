package calendar

import (
	"math/bits"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// Resolve returns the range [from, to) of a window at now. A window such as (now − D, now], which is open on the
// left in the language, becomes [now − D + 1 ms, now + 1 ms), the same set of milliseconds. An unbounded side
// is Never or Forever. For events, the caller must cut the range at now.
func Resolve(w tree.Window, now int64, zone *time.Location) (from, to int64) {
	switch w.Kind {
	case tree.InLast:
		return after(Shift(now, w.Last, -1, zone)), after(now)
	case tree.MoreThanAgo:
		return Never, after(Shift(now, w.Last, -1, zone))
	case tree.BetweenAgo:
		a, b := Shift(now, w.Last, -1, zone), Shift(now, w.Other, -1, zone)
		return after(min(a, b)), after(max(a, b))
	case tree.InNext:
		return after(now), after(Shift(now, w.Last, +1, zone))
	case tree.Since:
		from, _ = Span(w.From, zone)
		return from, Forever
	case tree.Before:
		to, _ = Span(w.From, zone)
		return Never, to
	case tree.Between:
		from, _ = Span(w.From, zone)
		to, next := Span(w.To, zone)
		if w.To.Date {
			to = next
		}
		return from, max(from, to)
	case tree.On:
		return Span(w.From, zone)
	case tree.Today, tree.Yesterday, tree.This, tree.LastUnit:
		first, last := days(w, now, zone)
		return DayStart(first, zone), DayStart(last+1, zone)
	}
	return Never, Forever
}

// days returns the first and the last day of a window of whole days around now.
func days(w tree.Window, now int64, zone *time.Location) (first, last int64) {
	today := DayOf(now, zone)
	switch w.Kind {
	case tree.Yesterday:
		return today - 1, today - 1
	case tree.This:
		first = UnitStart(w.Unit, today)
		return first, unitStep(w.Unit, first, 1) - 1
	case tree.LastUnit:
		first = UnitStart(w.Unit, today)
		return unitStep(w.Unit, first, -1), first - 1
	}
	return today, today
}

// Span returns the range of a date, which is its whole day, or of an instant, which is one millisecond.
func Span(w tree.When, zone *time.Location) (from, to int64) {
	if !w.Date {
		return w.Millis, after(w.Millis)
	}
	day := Day(w.Y, w.M, w.D)
	return DayStart(day, zone), DayStart(day+1, zone)
}

// Shift returns now + sign × d. Seconds to weeks have a fixed length. Months, quarters and years go by the
// calendar, to the same local time, or to the last day of a shorter month. The result saturates at Never and
// Forever.
func Shift(now int64, d tree.Duration, sign int, zone *time.Location) int64 {
	if months, ok := monthsOf(d); ok {
		return shiftMonths(now, int64(sign)*months, zone)
	}
	one, _ := tree.Duration{N: 1, Unit: d.Unit}.Millis()
	hi, lo := bits.Mul64(uint64(d.N), uint64(one))
	if hi != 0 || lo > 1<<62 {
		lo = 1 << 62
	}
	return Add(now, int64(sign)*int64(lo))
}

// monthsLimit bounds a shift by months. A shift of that many or more gives Never or Forever.
const monthsLimit = 12 * 100_000

func monthsOf(d tree.Duration) (months int64, ok bool) {
	n := min(d.N, monthsLimit)
	switch d.Unit {
	case tree.Month:
		return n, true
	case tree.Quarter:
		return 3 * n, true
	case tree.Year:
		return 12 * n, true
	}
	return 0, false
}

func shiftMonths(now, months int64, zone *time.Location) int64 {
	if months >= monthsLimit {
		return Forever
	}
	if months <= -monthsLimit {
		return Never
	}
	t := time.UnixMilli(now).In(zone)
	y, m, d := t.Date()
	first := time.Date(y, m+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	d = min(d, first.AddDate(0, 1, -1).Day())
	y, m, _ = first.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone).UnixMilli()
}

// Add returns a + b, or Never or Forever where that would overflow.
func Add(a, b int64) int64 {
	s := a + b
	switch {
	case b > 0 && s < a:
		return Forever
	case b < 0 && s > a:
		return Never
	}
	return s
}

// after returns the next millisecond. It returns Never and Forever unchanged.
func after(ms int64) int64 {
	if ms == Never || ms == Forever {
		return ms
	}
	return ms + 1
}
