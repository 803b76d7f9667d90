package member

import (
	"cmp"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
)

// moment is an edge passing an event of a profile at an instant.
type moment struct {
	at      int64
	weight  int64 // of sums
	ordinal uint32
	kind    momentKind
}

type momentKind uint8

const (
	leads    momentKind = iota // the event begins to count
	trails                     // it counts no more
	recounts                   // either, but what it adds is not known: the profile is counted anew
)

// agenda is the moments of a counter up to a horizon in the order of time; beyond it they are found
// by scanning the series when the horizon is reached.
type agenda struct {
	moments []moment
	head    int   // what is over
	horizon int64 // the agenda is complete up to and with it
	stretch int64 // how far the next look ahead goes
	queued  int64 // the instant that is in the tracker's queue; 0: none
}

const (
	firstStretch = 60_000
	leastStretch = 1000
	mostStretch  = 86_400_000
	agendaLittle = 4 << 10 // moments below which the next look goes farther
	agendaMuch   = 64 << 10
)

// reset empties the agenda: what it knew is about another window.
func (a *agenda) reset(horizon int64) {
	if a.stretch == 0 {
		a.stretch = firstStretch
	}
	a.moments, a.head, a.horizon = a.moments[:0], 0, horizon
}

// reached follows a new horizon.
func (k *counter) reached() {
	k.soonest = calendar.Never
	if k.trail != noTrail {
		k.soonest = calendar.Add(k.agenda.horizon, 1-k.trail)
	}
}

// concerns tells whether an event of a time may have an edge up to the horizon.
func (k *counter) concerns(time int64) bool {
	horizon := k.agenda.horizon
	return time > k.t.now || calendar.Add(time, k.lead) <= horizon || k.trail != noTrail && calendar.Add(time, k.trail) <= horizon
}

// foresee puts the edges of an event that lie in (after, upTo] on the agenda, in their place if the
// agenda is sorted. known tells whether weight is what the event adds.
func (k *counter) foresee(ordinal uint32, time, weight int64, known bool, after, upTo int64, sorted bool) {
	a := &k.agenda
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

// insert puts a moment in its place.
func (a *agenda) insert(m moment) {
	i, _ := slices.BinarySearchFunc(a.moments[a.head:], m.at+1, func(m moment, at int64) int { return cmp.Compare(m.at, at) })
	a.moments = slices.Insert(a.moments, a.head+i, m)
}

// enqueue makes sure that the next instant is in the tracker's queue, for the part with the id.
func (a *agenda) enqueue(t *Tracker, id uint32) {
	next := a.horizon
	if a.head < len(a.moments) {
		next = a.moments[a.head].at
	}
	if next == calendar.Forever || a.queued != 0 && a.queued <= next {
		return
	}
	a.queued = next
	t.queue.push(item{at: next, what: dueAgenda, id: id})
}

// come takes the edges of an instant, and looks ahead when the horizon is reached.
func (k *counter) come(at int64) {
	if k.agenda.pass(k.t, at, k.pass) {
		k.look()
	}
	k.agenda.enqueue(k.t, k.id)
}

// pass yields the moments of an instant that was queued, and tells whether the horizon is reached.
func (a *agenda) pass(t *Tracker, at int64, yield func(moment)) (reached bool) {
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

// pass lets an edge pass an event.
func (k *counter) pass(m moment) {
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
		k.countAgain(m.ordinal)
	}
}

// look fills the agenda up to a new horizon.
func (k *counter) look() {
	src := k.t.host.Source()
	after, upTo := k.agenda.begin(k.t, k.id, k.reach())
	for chunk := range k.chunks(src) {
		k.scan(src, chunk, after, upTo)
	}
	k.agenda.looked(upTo)
	k.reached()
}

// begin empties the agenda for a look ahead that goes no farther than reach. Parts that were built together
// go differently far, by up to a quarter: else all of them would look at one instant, again and again.
func (a *agenda) begin(t *Tracker, id uint32, reach int64) (after, upTo int64) {
	const ways = 64
	a.moments, a.head = a.moments[:0], 0
	stretch := min(a.stretch, reach)
	stretch -= stretch / 4 * int64(id%ways) / ways
	return a.horizon, max(a.horizon+stretch, t.upTo)
}

// looked ends a look ahead. How far the next one goes follows from how much there was.
func (a *agenda) looked(upTo int64) {
	a.sort()
	a.horizon = upTo
	switch n := len(a.moments); {
	case n < agendaLittle:
		a.stretch = min(2*a.stretch, mostStretch)
	case n > agendaMuch:
		a.stretch = max(a.stretch/2, leastStretch)
	}
}

// reach bounds a look ahead to a quarter of the window: what arrives then goes beyond the horizon and
// not on the agenda.
func (k *counter) reach() int64 {
	least := k.trail
	if k.lead > 0 && (least == noTrail || k.lead < least) {
		least = k.lead
	}
	return max(least/4, 1)
}

func (a *agenda) sort() {
	slices.SortFunc(a.moments, func(a, b moment) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Or(cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.kind, b.kind))
	})
}

// scan puts the edges of a chunk's events that lie in (after, upTo] on the agenda, unsorted.
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
				k.foresee(uint32(chunk)<<query.ChunkBits|uint32(b.Pos[row]), at, w, known, after, upTo, false)
			}
		}
	}
}

// resume adds a chunk that was counted to the agenda.
func (k *counter) resume(src query.Source, chunk int) {
	upTo := k.agenda.reopen(k.t.now)
	if k.then != nil {
		k.then.passed.reset(k.t.now)
	}
	k.reached()
	k.scan(src, chunk, k.t.now, upTo)
	k.agenda.sort()
	k.agenda.enqueue(k.t, k.id)
}

// reopen makes room for more moments up to the horizon, which it returns.
func (a *agenda) reopen(now int64) (upTo int64) {
	a.horizon = max(a.horizon, now)
	a.moments = append(a.moments[:0:0], a.moments[a.head:]...)
	a.head = 0
	return a.horizon
}
