package match

import (
	"time"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// edgeOf returns the next instant after now at which the time `at` may cross an edge of the window,
// Forever if there is none.
func (s *scope) edgeOf(w tree.Window, at int64) int64 {
	switch w.Kind {
	case tree.InLast:
		return min(s.passes(w.Last, -1, at), s.sooner(calendar.Forever, at))
	case tree.MoreThanAgo:
		return s.passes(w.Last, -1, at)
	case tree.BetweenAgo:
		return min(s.passes(w.Last, -1, at), s.passes(w.Other, -1, at))
	case tree.InNext:
		return min(s.passes(w.Last, +1, at), s.sooner(calendar.Forever, at))
	case tree.Today, tree.Yesterday:
		_, next := calendar.Resolve(tree.Window{Kind: tree.Today}, s.now, s.zone)
		return s.sooner(calendar.Forever, next)
	case tree.This, tree.LastUnit:
		_, next := calendar.Resolve(tree.Window{Kind: tree.This, Unit: w.Unit}, s.now, s.zone)
		return s.sooner(calendar.Forever, next)
	}
	return calendar.Forever
}

// passes returns the next instant after now at which the moving edge now + sign × d may pass `at`. With
// a duration of fixed length the edge passes once. With months it follows the local clock: it moves
// evenly until the next local day or change of offset, when it must be computed again.
func (s *scope) passes(d tree.Duration, sign int, at int64) int64 {
	if _, fixed := d.Millis(); fixed {
		return s.sooner(calendar.Forever, calendar.Shift(at, d, -sign, s.zone))
	}
	edge := calendar.Shift(s.now, d, sign, s.zone)
	if edge == calendar.Never || edge == calendar.Forever {
		return calendar.Forever
	}
	until := s.sooner(calendar.Forever, calendar.Add(s.now, at-edge))
	until = s.sooner(until, calendar.DayStart(calendar.DayOf(s.now, s.zone)+1, s.zone))
	until = s.sooner(until, offsetEnd(s.now, s.zone))
	if end := offsetEnd(edge, s.zone); end != calendar.Forever {
		until = s.sooner(until, calendar.Add(s.now, end-edge))
	}
	// If the local time of the edge is skipped or repeated, the edge jumps at an instant that is not computed here.
	// Near such a change of clocks, the verdict is promised only to the next second.
	if gap := at - edge; -dayMillis <= gap && gap <= dayMillis && clocksChange(edge, s.zone) {
		until = s.sooner(until, s.now+1000-(s.now%1000+1000)%1000)
	}
	return until
}

const dayMillis = 86_400_000

// clocksChange reports whether a zone changes its offset to UTC within a day of ms.
func clocksChange(ms int64, zone *time.Location) bool {
	_, before := time.UnixMilli(ms - dayMillis).In(zone).Zone()
	_, after := time.UnixMilli(ms + dayMillis).In(zone).Zone()
	return before != after
}

// offsetEnd returns the instant until which a zone keeps its offset to UTC.
func offsetEnd(ms int64, zone *time.Location) int64 {
	_, end := time.UnixMilli(ms).In(zone).ZoneBounds()
	if end.IsZero() {
		return calendar.Forever
	}
	if next := end.UnixMilli(); next > ms {
		return next
	}
	return ms + 3_600_000
}
