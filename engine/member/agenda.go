package member

import (
	"cmp"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval/calendar"
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
func (a *agenda) reset(k *counter) {
	if a.stretch == 0 {
		a.stretch = firstStretch
	}
	a.moments, a.head = a.moments[:0], 0
	a.horizon = k.t.now
	if k.lead == 0 && k.trail == noTrail {
		a.horizon = calendar.Forever // only what is stamped ahead: the agenda holds all of it
	}
	k.reached()
}

// reached follows a new horizon.
func (k *counter) reached() {
	k.soonest = calendar.Never
	if k.trail != noTrail {
		k.soonest = calendar.Add(k.agenda.horizon, 1-k.trail)
	}
}

// concerns tells whether an event of a time may have an edge up to the horizon.
func (a *agenda) concerns(k *counter, time int64) bool {
	return time > k.t.now || calendar.Add(time, k.lead) <= a.horizon || k.trail != noTrail && calendar.Add(time, k.trail) <= a.horizon
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
		i, _ := slices.BinarySearchFunc(a.moments[a.head:], m.at+1, func(m moment, at int64) int { return cmp.Compare(m.at, at) })
		a.moments = slices.Insert(a.moments, a.head+i, m)
		a.enqueue(k)
	}
}

// enqueue makes sure that the next instant is in the tracker's queue.
func (a *agenda) enqueue(k *counter) {
	next := a.horizon
	if a.head < len(a.moments) {
		next = a.moments[a.head].at
	}
	if next == calendar.Forever || a.queued != 0 && a.queued <= next {
		return
	}
	a.queued = next
	k.t.queue.push(item{at: next, what: dueAgenda, id: k.id})
}

// come takes the edges of an instant, and looks ahead when the horizon is reached.
func (k *counter) come(at int64) {
	a := &k.agenda
	if a.queued != at {
		return
	}
	a.queued = 0
	for ; a.head < len(a.moments) && a.moments[a.head].at <= at; a.head++ {
		if m := a.moments[a.head]; k.t.host.Exists(m.ordinal) {
			k.pass(m)
		}
	}
	if a.horizon <= at {
		a.look(k)
	}
	a.enqueue(k)
}

// pass lets an edge pass an event.
func (k *counter) pass(m moment) {
	if k.then != nil {
		time := m.at - k.lead
		if m.kind == trails {
			time = m.at - k.trail
		}
		m.weight, _ = k.weight(m.ordinal, time, nil, 0)
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

// look fills the agenda up to a new horizon. How far it goes follows from how much there was.
func (a *agenda) look(k *counter) {
	src := k.t.host.Source()
	after := a.horizon
	upTo := max(after+min(a.stretch, k.reach()), k.t.upTo)
	a.moments, a.head = a.moments[:0], 0
	for chunk := range k.chunks(src) {
		a.scan(k, src, chunk, after, upTo)
	}
	a.sort()
	a.horizon = upTo
	k.reached()
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
func (a *agenda) scan(k *counter, src query.Source, chunk int, after, upTo int64) {
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
func (a *agenda) resume(k *counter, src query.Source, chunk int) {
	a.horizon = max(a.horizon, k.t.now)
	k.reached()
	a.moments = append(a.moments[:0:0], a.moments[a.head:]...)
	a.head = 0
	a.scan(k, src, chunk, k.t.now, a.horizon)
	a.sort()
	a.enqueue(k)
}
