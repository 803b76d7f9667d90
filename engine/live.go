package engine

import (
	"slices"

	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
)

// buildBudget is the number of chunks of conditions that one entry computes for segments being built.
// They take a few milliseconds.
const buildBudget = 16

// live keeps the memberships of a shard's saved segments current. It is derived from the state, and
// nil if there are no segments.
type live struct {
	s          *Shard
	tracker    *member.Tracker
	slots      map[string]int // of segments, by name
	needs      map[int]member.Needs
	dependents map[string]map[string]struct{} // by segment, the segments that depend on it
	failing    map[string]struct{}            // segments that failed; some may have recovered since
	periodic   []int                          // slots of segments that are or were refreshed periodically, ascending
	stores     []*memberStore                 // by slot
	view       View                           // of the shard's own root; it freezes nothing
	one        profileSource
	dropped    []int             // slots to free once the entry's changes have been collected
	refresh    []int             // slots to refresh in this entry
	overflows  []member.Property // properties that overflowed in this entry
}

// startLive creates s.live. REQUIRES: s.live is nil.
func (s *Shard) startLive() *live {
	l := &live{
		s: s, slots: map[string]int{}, needs: map[int]member.Needs{},
		dependents: map[string]map[string]struct{}{}, failing: map[string]struct{}{},
	}
	l.view.shard, l.one.live = s, l
	l.tracker = member.New(l, s.root.catalog.Schema(), s.root.time)
	s.live = l
	return l
}

var _ member.Host = (*live)(nil)

// Source implements member.Host.
func (l *live) Source() query.Source {
	l.view.root = l.s.root
	return &l.view
}

// Profile implements member.Host.
func (l *live) Profile(ordinal uint32) query.Source {
	l.one.root, l.one.ordinal = l.s.root, ordinal
	return &l.one
}

// Exists implements member.Host.
func (l *live) Exists(ordinal uint32) bool { return l.s.root.exists(ordinal) }

func (r *root) exists(ordinal uint32) bool {
	chunk := int(ordinal >> query.ChunkBits)
	return chunk < len(r.profiles) && r.profiles[chunk].has(uint16(ordinal))
}

// Members implements member.Host.
func (l *live) Members(slot int) member.Members {
	for len(l.stores) <= slot {
		l.stores = append(l.stores, &memberStore{s: l.s, slot: len(l.stores)})
	}
	return l.stores[slot]
}

// advanceLive moves live segments to the shard's new time, before the entry's facts are applied.
func (s *Shard) advanceLive(cause Cause) {
	l := s.live
	if l == nil {
		return
	}
	l.advance(s.root.time)
	l.tracker.SetCause(cause)
}

// advance moves time to now. Each periodic segment is refreshed at the last of its instants that have
// passed.
func (l *live) advance(now int64) {
	for {
		at, slot := now, -1
		for _, i := range l.periodic {
			if x := l.s.root.segments[i]; x != nil && x.refreshes() && x.next <= at {
				if next := x.last(now); next < at || slot < 0 {
					at, slot = next, i
				}
			}
		}
		l.tracker.Advance(at)
		if slot < 0 {
			return
		}
		l.tracker.SetCause(ByTime)
		l.refreshSlot(slot, nil, l.tracker.Now())
		l.tracker.Settle()
	}
}

// due returns the first instant at which time alone changes something, calendar.Forever if l is nil;
// see Shard.Due.
func (l *live) due() int64 {
	if l == nil {
		return calendar.Forever
	}
	at := l.tracker.Due()
	for _, i := range l.periodic {
		if x := l.s.root.segments[i]; x != nil && x.refreshes() {
			at = min(at, x.next)
		}
	}
	return at
}

// addPeriodic records that the segment in a slot is refreshed periodically.
func (l *live) addPeriodic(slot int) {
	l.periodic = slices.DeleteFunc(l.periodic, func(i int) bool {
		x := l.s.root.segments[i]
		return i == slot || x == nil || x.period == 0
	})
	i, _ := slices.BinarySearch(l.periodic, slot)
	l.periodic = slices.Insert(l.periodic, i, slot)
}

// finishLive settles what the entry did and sets result.Changes, which include the changes made by time.
func (s *Shard) finishLive(result *Result) {
	l := s.live
	if l == nil {
		return
	}
	if len(l.overflows) > 0 {
		l.failOverflowed()
	}
	l.tracker.Settle()
	for _, slot := range l.refresh {
		if x := l.s.root.segments[slot]; x != nil && x.state == SegmentLive && x.held {
			l.tracker.SetCause(ByDefinition)
			l.refreshSlot(slot, nil, l.tracker.Now())
		}
	}
	l.refresh = l.refresh[:0]
	for _, slot := range l.tracker.Work(buildBudget) {
		l.activated(slot)
	}
	l.tracker.Settle()
	n := 0
	flips := l.tracker.Flips()
	if len(flips) > 0 {
		result.Changes = make([]Change, 0, len(flips))
	}
	for _, flip := range flips {
		x := s.root.segments[flip.Slot]
		change := Change{
			Seq: s.root.seq, N: n, Segment: x.name, Version: x.version, At: flip.At, Cause: flip.Cause,
			Exits: flip.Exits, Enters: flip.Enters,
		}
		n += change.Len()
		result.Changes = append(result.Changes, change)
	}
	for _, slot := range l.dropped {
		l.tracker.Forget(slot)
		l.setNeeds(slot, member.Needs{})
		delete(l.needs, slot)
		s.root.segments[slot], s.root.slots = nil, &slotIndex{}
	}
	l.dropped = l.dropped[:0]
	s.saveBuilds()
	if len(l.slots) == 0 {
		s.live = nil
	}
}

// saveBuilds copies the progress of builds into the root, for views and snapshots.
func (s *Shard) saveBuilds() {
	building := s.live.tracker.Building()
	if len(building) == 0 && len(s.root.builds) == 0 {
		return
	}
	builds := make([]build, len(building))
	for i, b := range building {
		builds[i] = build{slots: b.Slots, part: b.Part, chunk: b.Chunk, parts: b.Parts()}
	}
	s.root.builds = builds
}

func (l *live) activated(slot int) {
	x := l.s.segment(slot)
	if x.state == SegmentBuilding {
		x.state = SegmentLive
	}
	if text, ok := l.s.root.catalog.SegmentText(x.name); ok {
		x.version = text.Version
	}
}

// memberStore lets the tracker read and write the membership in one slot.
type memberStore struct {
	s    *Shard
	slot int
}

// Has implements member.Members.
func (m *memberStore) Has(ordinal uint32) bool { return m.s.root.segments[m.slot].has(ordinal) }

// Fill implements member.Members.
func (m *memberStore) Fill(chunk int, out *query.Bits) { m.s.root.segments[m.slot].fill(chunk, out) }

// Put implements member.Members.
func (m *memberStore) Put(ordinals []uint32, in bool) {
	if len(ordinals) == 0 {
		return
	}
	x := m.s.segment(m.slot)
	for from := 0; from < len(ordinals); {
		chunk := int(ordinals[from] >> query.ChunkBits)
		to := from
		for to < len(ordinals) && int(ordinals[to]>>query.ChunkBits) == chunk {
			to++
		}
		for len(x.members) <= chunk {
			x.members = append(x.members, nil)
		}
		x.members[chunk] = x.members[chunk].put(&m.s.epochs, ordinals[from:to], in)
		from = to
	}
	sum := factSum{}
	for _, ordinal := range ordinals {
		sum = sum.add(fact(factMember, uint64(ordinal), x.hash, 0))
	}
	if in {
		x.count += int64(len(ordinals))
		m.s.root.hash = m.s.root.hash.add(sum)
		return
	}
	x.count -= int64(len(ordinals))
	m.s.root.hash = m.s.root.hash.sub(sum)
}
