package member

import (
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// counter adds up each profile's events of a step in a window. It is updated at both edges: an event is
// added when the leading edge reaches it (usually on arrival) and subtracted when the trailing edge does.
// Thresholds share a counter. An event adds 1; for a sum, its amount; for a sequence, 1 if the second step
// followed (or did not follow).
type counter struct {
	progress
	t      *Tracker
	id     uint32
	key    string
	step   *step
	window tree.Window
	zone   *time.Location
	amount *amount // for sums, else nil
	then   *then   // for sequences, else nil

	from, to int64 // only events in this range of time count; to is excluded
	lead     int64 // an event counts from its time + lead
	trail    int64 // until its time + trail; noTrail: for ever

	at         uint32              // its place in rows
	spill      map[uint32]uint32   // counts of 255 and more
	sums       map[uint32]tree.Sum // sums that do not fit in four bytes
	limits     []*leaf             // the thresholds
	edges      []edge              // the counts at which thresholds flip
	crosses    uint64              // bit n: a threshold flips at n; bit 63: at 63 or more
	soonest    int64               // events at or after it have no trailing edge up to the horizon
	again      map[uint32]struct{} // profiles to be recounted in this settling
	schedule   schedule
	boundaryAt int64 // for calendar windows: the boundary queued
}

// edge is a threshold that flips between the counts n-1 and n.
type edge struct {
	n    int64
	leaf *leaf
}

const (
	noTrail      = -1
	countSpilled = 255
)

// countable reports whether events in a window can be counted at its edges.
func countable(w tree.Window) bool {
	for _, d := range []tree.Duration{w.Last, w.Other} {
		if _, fixed := d.Millis(); !fixed {
			return false
		}
	}
	return w.Kind != tree.InNext
}

// size returns how many bytes of a profile's row the counter needs.
func (k *counter) size() int {
	if k.amount != nil {
		return 4
	}
	return 1
}

// setBounds sets the bounds that the window has at now.
func (k *counter) setBounds() {
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
	if k.then != nil && k.then.absent { // whether a step counts is known only after the gap
		k.lead = max(k.lead, k.then.gap)
	}
	if k.trail != noTrail && k.trail <= k.lead { // out of the window before it is known
		k.from, k.to = 0, 0
	}
	if k.then != nil {
		k.then.passed.reset(k.t.now)
	}
	horizon := k.t.now
	if k.lead == 0 && k.trail == noTrail {
		horizon = calendar.Forever // only events in the future have moments: the schedule holds them all
	}
	k.schedule.reset(horizon)
	k.reached()
}

// value returns a profile's count.
func (k *counter) value(ordinal uint32) int64 {
	row := k.t.rows.row(ordinal)
	if int(k.at) >= len(row) {
		return 0
	}
	if n := row[k.at]; n < countSpilled {
		return int64(n)
	}
	return int64(k.spill[ordinal])
}

func (k *counter) store(ordinal uint32, n int64) {
	row := k.t.rows.own(ordinal)
	if row[k.at] == countSpilled {
		delete(k.spill, ordinal)
	}
	row[k.at] = uint8(min(n, countSpilled))
	if n >= countSpilled {
		if k.spill == nil {
			k.spill = map[uint32]uint32{}
		}
		k.spill[ordinal] = uint32(n)
	}
}

// change adds delta to a profile's count and marks the thresholds it crosses.
func (k *counter) change(ordinal uint32, delta int64) {
	row := k.t.rows.own(ordinal)
	was := int64(row[k.at])
	if was == countSpilled {
		was = int64(k.spill[ordinal])
	}
	is := was + delta
	if is < 0 { // possible for a sequence: it is recounted before thresholds are read
		k.scheduleRecount(ordinal)
		return
	}
	if was < countSpilled && is < countSpilled {
		row[k.at] = uint8(is)
	} else {
		k.store(ordinal, is)
	}
	k.crossed(ordinal, was, is)
}

func (k *counter) crossed(ordinal uint32, was, is int64) {
	low, high := min(was, is), max(was, is)
	for _, e := range k.edges {
		if low < e.n && e.n <= high && e.leaf.admits(was) != e.leaf.admits(is) {
			k.t.flip(e.leaf, ordinal)
		}
	}
}

// limit returns the threshold lo <= n <= hi, adding it if needed; hi < 0 means no upper bound.
func (k *counter) limit(lo, hi int64) *leaf {
	x := newCountLeaf(k, lo, hi)
	for _, l := range k.limits {
		if l.lo == x.lo && l.hi == x.hi {
			return l
		}
	}
	k.limits = append(k.limits, x)
	k.cross(x.lo, x)
	if hi >= 0 {
		k.cross(x.hi+1, x)
	}
	return x
}

func (k *counter) cross(n int64, l *leaf) {
	k.edges = append(k.edges, edge{n, l})
	k.crosses |= 1 << min(n, 63)
}

// arrive handles a new event that satisfies the step.
func (k *counter) arrive(ordinal uint32, time int64, b *query.Block, row int) {
	if !k.ready(ordinal) || time < k.from || time >= k.to {
		return
	}
	if time >= k.soonest && time <= k.t.now && k.lead == 0 && k.amount == nil && k.then == nil {
		if known := k.t.rows.own(ordinal); known[k.at] < countSpilled-1 { // the common case
			n := known[k.at] + 1
			known[k.at] = n
			if k.crosses>>min(n, 63)&1 != 0 {
				k.crossed(ordinal, int64(n)-1, int64(n))
			}
			return
		}
	}
	inside := k.inWindow(time)
	if !inside && !k.concerns(time) {
		return
	}
	w, ok := k.weight(ordinal, time, b, row)
	if inside {
		if k.then != nil {
			k.then.passed.add(calendar.Add(time, k.lead), ordinal)
		}
		if ok {
			k.add(ordinal, w)
		} else { // immediately, so that the cause of a change does not depend on the scale
			k.setSum(ordinal, k.sumOf(ordinal).Add(k.amount.sum(b, row)))
		}
	}
	k.addEdges(ordinal, time, w, ok, k.t.now, k.schedule.horizon, true)
}

// inWindow reports whether an event at a time is in the window now.
func (k *counter) inWindow(time int64) bool {
	return calendar.Add(time, k.lead) <= k.t.now && (k.trail == noTrail || calendar.Add(time, k.trail) > k.t.now)
}

// weight returns what an event of a profile adds now; ok is false where the profile must be recounted
// instead.
func (k *counter) weight(ordinal uint32, time int64, b *query.Block, row int) (w int64, ok bool) {
	switch {
	case k.amount != nil:
		return k.amount.of(b, row)
	case k.then != nil:
		if k.then.follows(k.t, ordinal, time) != k.then.absent {
			return 1, true
		}
		return 0, true
	}
	return 1, true
}

// add adds a weight to a profile's count or sum.
func (k *counter) add(ordinal uint32, w int64) {
	switch {
	case w == 0:
	case k.amount != nil:
		k.addSum(ordinal, w)
	default:
		k.change(ordinal, w)
	}
}

// scheduleRecount schedules a recount of a profile before memberships are settled.
func (k *counter) scheduleRecount(ordinal uint32) {
	if k.again == nil {
		k.again = map[uint32]struct{}{}
	}
	if len(k.again) == 0 {
		k.t.recounts = append(k.t.recounts, k)
	}
	k.again[ordinal] = struct{}{}
}

// recount recounts a profile.
func (k *counter) recount(ordinal uint32) {
	n, sum := k.counted(ordinal)
	if k.amount != nil {
		k.setSum(ordinal, sum)
		return
	}
	if was := k.value(ordinal); was != n {
		k.store(ordinal, n)
		k.crossed(ordinal, was, n)
	}
}

// counted returns a profile's count, or sum, computed from its events.
func (k *counter) counted(ordinal uint32) (n int64, sum tree.Sum) {
	from, to := k.countedRange()
	found := k.t.host.Rows(ordinal, k.step.event, from, to, k.t.found[:0])
	k.t.found = found
	for _, r := range found {
		if k.step.where != nil && !k.step.test.Holds(r.Block, r.Row) {
			continue
		}
		if k.amount != nil {
			sum = sum.Add(k.amount.sum(r.Block, r.Row))
			continue
		}
		w, _ := k.weight(ordinal, r.At, r.Block, r.Row)
		n += w
	}
	return n, sum
}

// countedRange returns the range of time whose events count now, both ends included.
func (k *counter) countedRange() (from, to int64) {
	from, to = k.from, min(k.to-1, calendar.Add(k.t.now, -k.lead))
	if k.trail != noTrail {
		from = max(from, calendar.Add(k.t.now, 1-k.trail))
	}
	return from, to
}

// build implements part.
func (k *counter) build(chunk int) {
	src := k.t.host.Source()
	k.countChunk(src, chunk)
	k.resume(src, chunk)
}

func (k *counter) units(chunk int) int {
	if k.then == nil {
		return 1
	}
	return k.then.chain().units(k.t.schema, k.t.host.Source(), chunk)
}

// countChunk recounts a whole chunk by set evaluation.
func (k *counter) countChunk(src query.Source, chunk int) {
	k.t.rows.zero(chunk, k.at, k.size())
	forget(k.spill, chunk)
	forget(k.sums, chunk)
	if k.then != nil {
		k.then.await(k, src, chunk)
		k.then.count(k, src, chunk)
		return
	}
	m := &tree.Measure{Fn: tree.CountFn, Event: k.step.name, Where: k.step.where, Window: k.window}
	if k.amount != nil {
		m.Fn, m.Arg = tree.SumFn, k.amount.arg
	}
	env := &eval.Env{Schema: k.t.schema, Now: k.t.now, Zone: k.zone}
	x, err := eval.CompileExpr(env, m)
	if err != nil { // it has been compiled with the same names before
		panic("compile counter " + k.key + " again: " + err.Error())
	}
	var all query.Bits
	var n eval.Vector
	src.Profiles(chunk, &all)
	x.On(src).Chunk(chunk, &all, &n)
	for pos := range all.All {
		if !n.Present(int(pos)) {
			continue
		}
		ordinal := uint32(chunk)<<query.ChunkBits | uint32(pos)
		if k.amount != nil {
			k.loadSum(ordinal, n.Nums[pos])
		} else if c := n.Nums[pos].Coef; c > 0 {
			k.store(ordinal, c)
		}
	}
}

// forget removes the ordinals of a chunk.
func forget[V any](from map[uint32]V, chunk int) {
	for ordinal := range from {
		if int(ordinal>>query.ChunkBits) == chunk {
			delete(from, ordinal)
		}
	}
}

// atBoundary recounts all profiles after the window of a calendar has moved.
func (k *counter) atBoundary() {
	k.setBounds()
	src := k.t.host.Source()
	for chunk := range k.chunks(src) {
		k.countChunk(src, chunk)
		k.scan(src, chunk, k.t.now, k.schedule.horizon)
		for _, l := range k.limits {
			k.t.markUsers(l, chunk)
		}
	}
	k.schedule.sort()
	k.schedule.enqueue(k.t, k.id)
	k.awaitBoundary()
}

func (k *counter) awaitBoundary() {
	if k.boundaryAt = boundary(calendarOf(k.window), k.t.now, k.zone); k.boundaryAt != calendar.Forever {
		k.t.queue.push(item{at: k.boundaryAt, what: dueBoundary, id: k.id})
	}
}

// calendarOf returns the window if it moves with a calendar, else nothing.
func calendarOf(w tree.Window) []tree.Window {
	if w.Kind >= tree.Today && w.Kind <= tree.LastUnit {
		return []tree.Window{w}
	}
	return nil
}

// gone removes what is kept outside rows for a profile; its row is cleared already.
func (k *counter) gone(ordinal uint32) {
	delete(k.spill, ordinal)
	delete(k.sums, ordinal)
}
