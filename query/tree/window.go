package tree

import "time"

// Unit is a unit of durations, calendar windows and buckets.
type Unit uint8

// The units. In durations a day is 24 hours and a week 7 × 24 hours; months, quarters and years are calendar
// units.
const (
	NoUnit Unit = iota
	Second
	Minute
	Hour
	Day
	Week
	Month
	Quarter
	Year
)

var unitNames = [...]string{"", "second", "minute", "hour", "day", "week", "month", "quarter", "year"}

// String returns the singular name of u.
func (u Unit) String() string { return unitNames[u] }

// Duration is a whole number of units, `30 days` or `90d`.
type Duration struct {
	N    int64
	Unit Unit
}

var unitMillis = [...]int64{0, 1000, 60_000, 3_600_000, 86_400_000, 7 * 86_400_000}

// Millis returns the length of d. ok is false for months, quarters and years, which have no fixed length.
func (d Duration) Millis() (ms int64, ok bool) {
	if int(d.Unit) >= len(unitMillis) {
		return 0, false
	}
	return d.N * unitMillis[d.Unit], true
}

// When is a date (the whole day in the statement's zone) or an instant.
type When struct {
	Date    bool
	Y, M, D int   // of a date
	Millis  int64 // of an instant, Unix milliseconds
}

// ParseWhen reads a date, such as 2026-01-31, or an instant as ParseInstant does.
func ParseWhen(text string) (When, bool) {
	if len(text) == len(time.DateOnly) {
		d, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return When{}, false
		}
		return When{Date: true, Y: d.Year(), M: int(d.Month()), D: d.Day()}, true
	}
	ms, ok := ParseInstant(text)
	return When{Millis: ms}, ok
}

// ParseInstant reads an RFC 3339 time with seconds and offset, truncated to milliseconds. It refuses times
// outside the years 0 to 9999 in UTC, which have no canonical form.
func ParseInstant(text string) (ms int64, ok bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, false
	}
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return 0, false
	}
	return t.UnixMilli(), true
}

// WindowKind is the form of a window.
type WindowKind uint8

// The windows. N and M stand for Window.Last and Window.Other, U for Window.Unit, X and Y for From and To.
const (
	Ever        WindowKind = iota
	InLast                 // in last N: (now − N, now]
	MoreThanAgo            // more than N ago: (−∞, now − N]
	BetweenAgo             // between N and M ago: (now − larger, now − smaller]
	InNext                 // in next N: (now, now + N], time attributes only
	Today
	Yesterday
	This     // this U
	LastUnit // last U
	On       // on X, a date
	Between  // between X and Y: both days included; an end given as a time is excluded
	Since    // since X: [X, ∞)
	Before   // before X: (−∞, X)
)

// Window is a span of time, relative to the now and time zone of a statement. The zero Window is ever.
type Window struct {
	Kind     WindowKind
	Last     Duration
	Other    Duration
	Unit     Unit
	From, To When
	At       Span
}

// Anniversary is the day window of `birthday is anniversary …`: Kind is Today, Yesterday, On, This
// (Unit Week or Month), InNext or InLast (Last in whole days).
type Anniversary struct {
	X      Expr
	Window Window
	At     Span
}
