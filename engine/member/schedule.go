package member

import (
	"cmp"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
)

// moment is the instant at which an edge of a window reaches an event of a profile.
type moment struct {
	at      int64
	weight  int64 // what the event adds to a sum
	ordinal uint32
	kind    momentKind
}

type momentKind uint8

const (
	leads    momentKind = iota // the event begins to count
	trails                     // the event stops counting
	recounts                   // either, but its amount is not a coefficient: the profile is recounted
)

// schedule holds the moments of a counter or condition up to a horizon, in order of time. Later moments are
// found by scanning the series when the horizon is reached.
type schedule struct {
	moments []moment
	head    int   // moments before this index are over
	horizon int64 // the schedule is complete up to this instant, inclusive
	span    int64 // how far the next look ahead goes, ms
	queued  int64 // the instant in the tracker's queue; 0: none
}

const (
	firstSpan   = 60_000
	minSpan     = 1000
	maxSpan     = 86_400_000
	fewMoments  = 4 << 10 // with fewer moments, the next look goes farther
	manyMoments = 64 << 10
)

// reset empties the schedule after the window has changed.
func (a *schedule) reset(horizon int64) {
	if a.span == 0 {
		a.span = firstSpan
	}
	a.moments, a.head, a.horizon = a.moments[:0], 0, horizon
}

// reached updates soonest after the horizon has moved.
func (k *counter) reached() {
	k.soonest = calendar.Never
	if k.trail != noTrail {
		k.soonest = calendar.Add(k.schedule.horizon, 1-k.trail)
	}
}

// concerns reports whether an event at a time may have an edge up to the horizon.
func (k *counter) concerns(time int64) bool {
	horizon := k.schedule.horizon
	return time > k.t.now || calendar.Add(time, k.lead) <= horizon || k.trail != noTrail && calendar.Add(time, k.trail) <= horizon
}

// addEdges adds the edges of an event in (after, upTo] to the schedule, in order if sorted is set. known
// reports whether weight is what the event adds.
func (k *counter) addEdges(ordinal uint32, time, weight int64, known bool, after, upTo int64, sorted bool) {
	a := &k.schedule
	for kind, m := range [...]moment{{at: calendar.Add(time, k.lead)}, {at: calendar.Add(time, k.trail)}} {
		if kind == int(trails) && k.trail == noTrail || m.at <= after || m.at > upTo {
			continue
		}
		m.ordinal, m.kind, m.weight = ordinal, momentKind(kind), weight
		if !known {
			m.kind = recounts
		}
		if !sorted {
			a.moments = append(a.moments, m)
			continue
		}
		a.insert(m)
		a.enqueue(k.t, k.id)
	}
}

// insert adds a moment in order.
func (a *schedule) insert(m moment) {
	i, _ := slices.BinarySearchFunc(a.moments[a.head:], m.at+1, func(m moment, at int64) int { return cmp.Compare(m.at, at) })
	a.moments = slices.Insert(a.moments, a.head+i, m)
}

// enqueue makes sure that the schedule's next instant is in the tracker's queue, under the id of the part.
func (a *schedule) enqueue(t *Tracker, id uint32) {
	next := a.horizon
	if a.head < len(a.moments) {
		next = a.moments[a.head].at
	}
	if next == calendar.Forever || a.queued != 0 && a.queued <= next {
		return
	}
	a.queued = next
	t.queue.push(item{at: next, what: dueSchedule, id: id})
}

// takeDue handles the edges due at an instant, and looks ahead when the horizon is reached.
func (k *counter) takeDue(at int64) {
	if k.schedule.popDue(k.t, at, k.takeEdge) {
		k.lookAhead()
	}
	k.schedule.enqueue(k.t, k.id)
}

// popDue yields the moments due at a queued instant, and reports whether the horizon is reached.
func (a *schedule) popDue(t *Tracker, at int64, yield func(moment)) (reached bool) {
	if a.queued != at {
		return false
	}
	a.queued = 0
	for ; a.head < len(a.moments) && a.moments[a.head].at <= at; a.head++ {
		if m := a.moments[a.head]; t.host.Exists(m.ordinal) {
			yield(m)
		}
	}
	return a.horizon <= at
}

// takeEdge handles one edge that reaches an event.
func (k *counter) takeEdge(m moment) {
	if k.then != nil {
		time := m.at - k.lead
		if m.kind == trails {
			time = m.at - k.trail
		}
		m.weight, _ = k.weight(m.ordinal, time, nil, 0)
		if m.kind == leads {
			k.then.passed.add(m.at, m.ordinal)
		}
	}
	switch m.kind {
	case leads:
		k.add(m.ordinal, m.weight)
	case trails:
		k.add(m.ordinal, -m.weight)
	default:
		k.scheduleRecount(m.ordinal)
	}
}

// lookAhead fills the schedule up to a new horizon.
func (k *counter) lookAhead() {
	src := k.t.host.Source()
	after, upTo := k.schedule.begin(k.t, k.id, k.reach())
	for chunk := range k.chunks(src) {
		k.scan(src, chunk, after, upTo)
	}
	k.schedule.endLookAhead(upTo)
	k.reached()
}

// begin empties the schedule for a look ahead of at most reach ms. Parts that were built together look
// ahead by different spans, up to a quarter apart, so that they do not all scan at the same instant.
func (a *schedule) begin(t *Tracker, id uint32, reach int64) (after, upTo int64) {
	const ways = 64
	a.moments, a.head = a.moments[:0], 0
	span := min(a.span, reach)
	span -= span / 4 * int64(id%ways) / ways
	return a.horizon, max(a.horizon+span, t.upTo)
}

// endLookAhead ends a look ahead. The number of moments found decides how far the next one goes.
func (a *schedule) endLookAhead(upTo int64) {
	a.sort()
	a.horizon = upTo
	switch n := len(a.moments); {
	case n < fewMoments:
		a.span = min(2*a.span, maxSpan)
	case n > manyMoments:
		a.span = max(a.span/2, minSpan)
	}
}

// reach limits a look ahead to a quarter of the window, so that the edges of an event that arrives now are
// usually beyond the horizon and need no insertion.
func (k *counter) reach() int64 {
	least := k.trail
	if k.lead > 0 && (least == noTrail || k.lead < least) {
		least = k.lead
	}
	return max(least/4, 1)
}

func (a *schedule) sort() {
	slices.SortFunc(a.moments, func(a, b moment) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Or(cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.kind, b.kind))
	})
}

// scan adds the edges of a chunk's events in (after, upTo] to the schedule, unsorted.
func (k *counter) scan(src query.Source, chunk int, after, upTo int64) {
	passes := func(lo, hi, edge int64) bool {
		return edge != noTrail && calendar.Add(hi, edge) > after && calendar.Add(lo, edge) <= upTo
	}
	for _, b := range src.Series(k.step.event, chunk).Blocks {
		if !passes(b.Min, b.Max, k.lead) && !passes(b.Min, b.Max, k.trail) {
			continue
		}
		test := k.step.on(b)
		for row := range b.Rows {
			at := b.Time(row)
			if (passes(at, at, k.lead) || passes(at, at, k.trail)) && k.from <= at && at < k.to && test.holds(row) {
				w, known := int64(1), true
				if k.amount != nil {
					w, known = k.amount.of(b, row)
				}
				k.addEdges(uint32(chunk)<<query.ChunkBits|uint32(b.Pos[row]), at, w, known, after, upTo, false)
			}
		}
	}
}

// resume adds a chunk that has just been counted to the schedule.
func (k *counter) resume(src query.Source, chunk int) {
	upTo := k.schedule.reopen(k.t.now)
	if k.then != nil {
		k.then.passed.reset(k.t.now)
	}
	k.reached()
	k.scan(src, chunk, k.t.now, upTo)
	k.schedule.sort()
	k.schedule.enqueue(k.t, k.id)
}

// reopen copies the remaining moments so that more can be appended, and returns the horizon to scan up to.
func (a *schedule) reopen(now int64) (upTo int64) {
	a.horizon = max(a.horizon, now)
	a.moments = append(a.moments[:0:0], a.moments[a.head:]...)
	a.head = 0
	return a.horizon
}
