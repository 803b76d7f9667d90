package member

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/eval/calendar"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/tree"
)

// step is an event with a `where (…)`: what is asked of an arriving event once, for all counters.
type step struct {
	key      string
	event    uint32
	name     string
	where    tree.Pred
	test     *match.Step
	counters []*counter
}

// moment is an edge passing an event: at an instant a profile's count changes by delta.
type moment struct {
	at      int64
	ordinal uint32
	delta   int8
}

// counter counts each profile's events of a step in a window, at both edges: an event adds when the
// leading edge reaches it (on arrival, mostly) and is taken away when the trailing edge does. The
// agenda has the edges up to the horizon in the order of time; beyond it they are found by scanning
// the series when the horizon is reached. Thresholds share it.
type counter struct {
	progress
	t      *Tracker
	id     uint32
	key    string
	step   *step
	window tree.Window
	zone   *time.Location

	from, to int64 // only events of these times count; to is excluded
	lead     int64 // an event counts from its time + lead on
	trail    int64 // and until its time + trail; noTrail: for ever
	counts   paged[uint8]
	spill    map[uint32]uint32 // counts from 255 on
	limits   []*threshold

	agenda  []moment
	head    int   // what of it is over
	horizon int64 // the agenda is complete up to and with it
	stretch int64 // how far the next look ahead goes
	queued  int64 // the instant of the agenda that is queued; 0: none
	turn    int64 // of calendar windows: the boundary queued
}

const (
	noTrail      = -1
	firstStretch = 60_000
	leastStretch = 1000
	mostStretch  = 86_400_000
	agendaLittle = 4 << 10 // moments below which the next look goes farther
	agendaMuch   = 64 << 10
)

// countable tells whether a window on events can be counted at its edges.
func countable(w tree.Window) bool {
	for _, d := range []tree.Duration{w.Last, w.Other} {
		if _, fixed := d.Millis(); !fixed {
			return false
		}
	}
	return w.Kind != tree.InNext
}

func newCounter(t *Tracker, id uint32, key string, s *step, w tree.Window, zone *time.Location) *counter {
	k := &counter{t: t, id: id, key: key, step: s, window: w, zone: zone, spill: map[uint32]uint32{}, stretch: firstStretch}
	k.aim()
	return k
}

// aim sets what the window means at now.
func (k *counter) aim() {
	k.from, k.to, k.lead, k.trail = calendar.Never, calendar.Forever, 0, noTrail
	last, _ := k.window.Last.Millis()
	other, _ := k.window.Other.Millis()
	switch k.window.Kind {
	case tree.InLast:
		k.trail = last
	case tree.MoreThanAgo:
		k.lead = last
	case tree.BetweenAgo:
		k.lead, k.trail = min(last, other), max(last, other)
	default:
		k.from, k.to = calendar.Resolve(k.window, k.t.now, k.zone)
	}
	k.horizon = k.t.now
	if k.lead == 0 && k.trail == noTrail {
		k.horizon = calendar.Forever // only what is stamped ahead: the agenda holds all of it
	}
	k.agenda, k.head = k.agenda[:0], 0
}

func (k *counter) value(ordinal uint32) uint32 {
	n := k.counts.get(ordinal)
	if n == 255 {
		return k.spill[ordinal]
	}
	return uint32(n)
}

func (k *counter) store(ordinal, n uint32) {
	if n < 255 {
		if k.counts.get(ordinal) == 255 {
			delete(k.spill, ordinal)
		}
		k.counts.put(ordinal, uint8(n))
		return
	}
	k.counts.put(ordinal, 255)
	k.spill[ordinal] = n
}

// change adds delta to a profile's count and marks the segments whose threshold it crosses.
func (k *counter) change(ordinal uint32, delta int) {
	was := k.value(ordinal)
	is := uint32(int(was) + delta)
	k.store(ordinal, is)
	for _, l := range k.limits {
		if l.admits(was) != l.admits(is) {
			k.t.mark(l.users, ordinal)
		}
	}
}

// arrive takes an event that satisfies the step.
func (k *counter) arrive(ordinal uint32, time int64) {
	if !k.ready(ordinal) || time < k.from || time >= k.to {
		return
	}
	if k.inWindow(time) {
		k.change(ordinal, +1)
	}
	k.foresee(ordinal, time, k.t.now, k.horizon, true)
}

// inWindow tells whether an event of a time is in the window now.
func (k *counter) inWindow(time int64) bool {
	return calendar.Add(time, k.lead) <= k.t.now && (k.trail == noTrail || calendar.Add(time, k.trail) > k.t.now)
}

// foresee puts the edges of an event that lie in (after, upTo] on the agenda, in their place if the
// agenda is sorted.
func (k *counter) foresee(ordinal uint32, time, after, upTo int64, sorted bool) {
	for _, m := range [...]moment{{calendar.Add(time, k.lead), ordinal, +1}, {calendar.Add(time, k.trail), ordinal, -1}} {
		if m.delta < 0 && k.trail == noTrail || m.at <= after || m.at > upTo {
			continue
		}
		if !sorted {
			k.agenda = append(k.agenda, m)
			continue
		}
		i, _ := slices.BinarySearchFunc(k.agenda[k.head:], m.at+1, func(m moment, at int64) int { return cmp.Compare(m.at, at) })
		k.agenda = slices.Insert(k.agenda, k.head+i, m)
		k.enqueue()
	}
}

// enqueue makes sure that the agenda's next instant is queued.
func (k *counter) enqueue() {
	next := k.horizon
	if k.head < len(k.agenda) {
		next = k.agenda[k.head].at
	}
	if next == calendar.Forever || k.queued != 0 && k.queued <= next {
		return
	}
	k.queued = next
	k.t.queue.push(item{at: next, what: dueAgenda, id: k.id})
}

// come takes the edges of an instant, and looks ahead when the horizon is reached.
func (k *counter) come(at int64) {
	if k.queued != at {
		return
	}
	k.queued = 0
	for ; k.head < len(k.agenda) && k.agenda[k.head].at <= at; k.head++ {
		if m := k.agenda[k.head]; k.t.host.Exists(m.ordinal) {
			k.change(m.ordinal, int(m.delta))
		}
	}
	if k.horizon <= at {
		k.look()
	}
	k.enqueue()
}

// look fills the agenda up to a new horizon. How far it goes follows from how much there was.
func (k *counter) look() {
	src := k.t.host.Source()
	after := k.horizon
	upTo := max(after+min(k.stretch, k.reach()), k.t.upTo)
	k.agenda, k.head = k.agenda[:0], 0
	for chunk := range k.chunks(src) {
		k.scan(src, chunk, after, upTo)
	}
	k.sort()
	k.horizon = upTo
	switch n := len(k.agenda); {
	case n < agendaLittle:
		k.stretch = min(2*k.stretch, mostStretch)
	case n > agendaMuch:
		k.stretch = max(k.stretch/2, leastStretch)
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

func (k *counter) sort() {
	slices.SortFunc(k.agenda, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.delta, b.delta))
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
		for row := range b.Rows {
			at := b.Time(row)
			if (passes(at, at, k.lead) || passes(at, at, k.trail)) && k.from <= at && at < k.to && k.step.test.Holds(b, row) {
				k.foresee(uint32(chunk)<<query.ChunkBits|uint32(b.Pos[row]), at, after, upTo, false)
			}
		}
	}
}

// build implements part.
func (k *counter) build(chunk int) {
	src := k.t.host.Source()
	k.horizon = max(k.horizon, k.t.now)
	k.countChunk(src, chunk)
	k.agenda = append(k.agenda[:0:0], k.agenda[k.head:]...)
	k.head = 0
	k.scan(src, chunk, k.t.now, k.horizon)
	k.sort()
	k.enqueue()
}

// countChunk counts a chunk anew, as a set.
func (k *counter) countChunk(src query.Source, chunk int) {
	env := &eval.Env{Schema: k.t.schema, Now: k.t.now, Zone: k.zone}
	x, err := eval.CompileExpr(env, &tree.Measure{Fn: tree.CountFn, Event: k.step.name, Where: k.step.where, Window: k.window})
	if err != nil { // it was compiled before with the same names
		panic(fmt.Errorf("compile counter %q again: %w", k.key, err))
	}
	for ordinal := range k.spill {
		if int(ordinal>>query.ChunkBits) == chunk {
			delete(k.spill, ordinal)
		}
	}
	k.counts.drop(chunk)
	var all query.Bits
	var n eval.Vector
	src.Profiles(chunk, &all)
	x.On(src).Chunk(chunk, &all, &n)
	for pos := range all.All {
		if n.Present(int(pos)) && n.Nums[pos].Coef > 0 {
			k.store(uint32(chunk)<<query.ChunkBits|uint32(pos), uint32(n.Nums[pos].Coef))
		}
	}
}

// turns counts everybody anew: the window of a calendar moved.
func (k *counter) turns() {
	k.aim()
	src := k.t.host.Source()
	for chunk := range k.chunks(src) {
		k.countChunk(src, chunk)
		k.scan(src, chunk, k.t.now, k.horizon)
		for _, l := range k.limits {
			k.t.markChunk(l.users, chunk)
		}
	}
	k.sort()
	k.enqueue()
	k.awaitTurn()
}

func (k *counter) awaitTurn() {
	if k.turn = boundary(calendarOf(k.window), k.t.now, k.zone); k.turn != calendar.Forever {
		k.t.queue.push(item{at: k.turn, what: dueBoundary, id: k.id})
	}
}

// calendarOf returns the window if it moves with a calendar.
func calendarOf(w tree.Window) []tree.Window {
	if w.Kind >= tree.Today && w.Kind <= tree.LastUnit {
		return []tree.Window{w}
	}
	return nil
}

// threshold is a comparison with a counter: lo <= n <= hi, hi < 0 for no bound.
type threshold struct {
	of     *counter
	lo, hi int64
	users  []*segment
}

var _ leaf = (*threshold)(nil)

func (l *threshold) admits(n uint32) bool { return int64(n) >= l.lo && (l.hi < 0 || int64(n) <= l.hi) }

func (l *threshold) holds(ordinal uint32) bool { return l.admits(l.of.value(ordinal)) }
func (l *threshold) empty() bool               { return l.admits(0) }

func (l *threshold) fill(chunk int, all, out *query.Bits) {
	if l.admits(0) {
		*out = *all
	} else {
		*out = query.Bits{}
	}
	if chunk >= len(l.of.counts.chunks) || l.of.counts.chunks[chunk] == nil {
		return
	}
	for i, page := range l.of.counts.chunks[chunk] {
		if page == nil {
			continue
		}
		for row := range page {
			if page[row] == 0 {
				continue
			}
			pos := uint16(i*pageRows + row)
			if l.holds(uint32(chunk)<<query.ChunkBits | uint32(pos)) {
				out.Set(pos)
			} else {
				out.Clear(pos)
			}
		}
	}
	out.And(all)
}
