package engine

import (
	"slices"

	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
)

// buildBudget is how many chunks of conditions one entry computes for segments that are being built:
// a few milliseconds.
const buildBudget = 16

// live is what a shard with saved segments has besides its state: what keeps their memberships
// current. It is derived from the state, and absent where there are no segments.
type live struct {
	s       *Shard
	tracker *member.Tracker
	slots   map[string]int // of segments, by name
	needs   map[int]member.Needs
	askers  map[string]map[string]struct{} // of a segment, those that stand on it
	failing map[string]struct{}            // segments that failed, and may have recovered since
	periods []int                          // slots that time refreshes, or did once; ascending
	stores  []*memberStore                 // by slot
	view    View                           // of the shard's own root, never frozen
	one     profileSource
	dropped []int             // slots to be freed when the entry's changes are told
	refresh []int             // slots to be refreshed in this entry
	over    []member.Property // that overflowed in this entry
}

// startLive makes what keeps segments current. REQUIRES: there is none.
func (s *Shard) startLive() *live {
	l := &live{
		s: s, slots: map[string]int{}, needs: map[int]member.Needs{},
		askers: map[string]map[string]struct{}{}, failing: map[string]struct{}{},
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

// advanceLive moves live segments to the shard's new time, before the entry's facts come.
func (s *Shard) advanceLive(cause Cause) {
	l := s.live
	if l == nil {
		return
	}
	l.advance(s.root.time)
	l.tracker.Because(cause)
}

// advance lets time pass. Segments that are refreshed are so at their instants; of several that an
// entry passes the last counts.
func (l *live) advance(now int64) {
	for {
		at, slot := now, -1
		for _, i := range l.periods {
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
		l.tracker.Because(ByTime)
		l.refreshSlot(slot, nil, l.tracker.Now())
		l.tracker.Settle()
	}
}

// due returns the first instant at which time alone changes something; see Shard.Due. No segments, nothing.
func (l *live) due() int64 {
	if l == nil {
		return calendar.Forever
	}
	at := l.tracker.Due()
	for _, i := range l.periods {
		if x := l.s.root.segments[i]; x != nil && x.refreshes() {
			at = min(at, x.next)
		}
	}
	return at
}

// repeats notes that time refreshes the segment in a slot.
func (l *live) repeats(slot int) {
	l.periods = slices.DeleteFunc(l.periods, func(i int) bool {
		x := l.s.root.segments[i]
		return i == slot || x == nil || x.period == 0
	})
	i, _ := slices.BinarySearch(l.periods, slot)
	l.periods = slices.Insert(l.periods, i, slot)
}

// finishLive settles what the entry did and returns the changes, those of time included.
func (s *Shard) finishLive(result *Result) {
	l := s.live
	if l == nil {
		return
	}
	if len(l.over) > 0 {
		l.failOverflowed()
	}
	l.tracker.Settle()
	for _, slot := range l.refresh {
		if x := l.s.root.segments[slot]; x != nil && x.state == SegmentLive && x.held {
			l.tracker.Because(ByDefinition)
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
		l.need(slot, member.Needs{})
		delete(l.needs, slot)
		s.root.segments[slot], s.root.slots = nil, &slotIndex{}
	}
	l.dropped = l.dropped[:0]
	s.saveBuilds()
	if len(l.slots) == 0 {
		s.live = nil
	}
}

// saveBuilds writes the progress of builds where views and snapshots see it.
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

// memberStore is the membership in one slot as the tracker reads and writes it.
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
