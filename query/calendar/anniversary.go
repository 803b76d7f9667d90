package calendar

import (
	"time"

	"github.com/musterdb/muster/query/tree"
)

// Anniversaries is the set of months and days whose anniversary is in a window of days.
type Anniversaries struct {
	zone *time.Location
	on   [13][32]bool
}

// NewAnniversaries returns the anniversaries in a window at now. In whole days, `in next N days` is tomorrow to
// today + N, and `in last N days` is today − N + 1 to today.
func NewAnniversaries(w tree.Window, now int64, zone *time.Location) *Anniversaries {
	a := &Anniversaries{zone: zone}
	first, last := anniversaryDays(w, now, zone)
	last = min(last, first+4*366) // four years contain every date
	for day := first; day <= last; day++ {
		y, m, d := Date(day)
		a.on[m][d] = true
		if m == 2 && d == 28 && !leap(y) {
			a.on[2][29] = true
		}
	}
	return a
}

// anniversaryDays returns the first and the last day of the window of an anniversary.
func anniversaryDays(w tree.Window, now int64, zone *time.Location) (first, last int64) {
	n := min(w.Last.N, 4*366)
	if w.Last.Unit == tree.Week {
		n = min(7*n, 4*366)
	}
	switch w.Kind {
	case tree.InNext:
		today := DayOf(now, zone)
		return today + 1, today + n
	case tree.InLast:
		today := DayOf(now, zone)
		return today - n + 1, today
	case tree.On:
		day := Day(w.From.Y, w.From.M, w.From.D)
		return day, day
	}
	return days(w, now, zone)
}

// Has reports whether the anniversary of ms is in the window. An instant of exactly midnight UTC is a date and
// keeps its month and day in every zone.
func (a *Anniversaries) Has(ms int64) bool {
	day := floorDiv(ms, dayMillis)
	if day*dayMillis != ms {
		day = localDay(ms, a.zone)
	}
	_, m, d := Date(day)
	return a.on[m][d]
}

func leap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }
