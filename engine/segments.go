package engine

import (
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/query"
	"github.com/zeebo/xxh3"
)

// SegmentState is the state of a segment.
type SegmentState uint8

// The states. A waiting segment has a rank whose first cut has not arrived. A failed segment has no
// members until it is replaced or can be evaluated.
const (
	SegmentBuilding SegmentState = iota + 1
	SegmentLive
	SegmentWaiting
	SegmentFailed
)

var segmentStates = [...]string{"", "building", "live", "waiting", "failed"}

// String returns the state's name on the wire.
func (s SegmentState) String() string { return segmentStates[s] }

// segment is one saved segment with its membership, copied on write like all of the state. While it
// is being built, the membership is that of the previous definition.
type segment struct {
	epoch   uint64
	name    string
	hash    uint64 // of the name
	version uint64 // catalog version that made the definition of the membership
	state   SegmentState
	reason  string // why a failed segment failed
	held    bool   // only refreshes change the membership
	period  int64  // of refreshes, ms; 0 if commands refresh the segment
	next    int64  // time of the next refresh, if period is not 0
	at      int64  // time of the last refresh, 0 before the first
	members []*set
	count   int64
}

// build is a set of segments that become live together, and the part and chunk to compute next.
type build struct {
	slots              []int
	part, chunk, parts int
}

func (x *segment) has(ordinal uint32) bool {
	chunk := int(ordinal >> query.ChunkBits)
	return x != nil && chunk < len(x.members) && x.members[chunk].has(uint16(ordinal))
}

func (x *segment) fill(chunk int, out *query.Bits) {
	if x == nil || chunk >= len(x.members) {
		*out = query.Bits{}
		return
	}
	x.members[chunk].fill(out)
}

// refreshes reports whether time refreshes the segment.
func (x *segment) refreshes() bool { return x.held && x.period > 0 && x.state == SegmentLive }

// last returns the last instant of refresh that is not after now. The first is next.
func (x *segment) last(now int64) int64 { return x.next + (now-x.next)/x.period*x.period }

func (x *segment) own(e *epochs) *segment {
	if !e.isFrozen(x.epoch) {
		return x
	}
	copied := *x
	copied.epoch = e.current
	copied.members = slices.Clone(x.members)
	return &copied
}

// segment returns a slot's segment for writing. REQUIRES: the root is owned.
func (s *Shard) segment(slot int) *segment {
	x := s.root.segments[slot].own(&s.epochs)
	s.root.segments[slot] = x
	return x
}

func memberFact(name string, ordinal uint32) factSum {
	return fact(factMember, uint64(ordinal), xxh3.HashString(name), 0)
}

// Segment is the membership of one saved segment in a view.
type Segment struct {
	Name    string
	State   SegmentState
	Reason  string // why it failed
	Version uint64 // catalog version that made the definition of the members
	Count   int64
	// Held means that only refreshes change the membership. The last was at RefreshedAt (Unix ms, 0:
	// none yet).
	Held        bool
	RefreshedAt int64
	// While the segment is being built, Done of Total conditions are computed.
	Done, Total int

	x *segment
}

// Has reports whether a profile is a member.
func (m *Segment) Has(ordinal uint32) bool { return m.x.has(ordinal) }

// Fill sets out to the members in a chunk.
func (m *Segment) Fill(chunk int, out *query.Bits) { m.x.fill(chunk, out) }

// Ordinals returns the members of all chunks.
func (m *Segment) Ordinals() *roaring.Bitmap { return ordinalsOf(len(m.x.members), m.Fill) }

// ordinalsOf returns the ordinals of all chunks.
func ordinalsOf(chunks int, fill func(chunk int, out *query.Bits)) *roaring.Bitmap {
	all := roaring.New()
	var bits query.Bits
	for chunk := range chunks {
		fill(chunk, &bits)
		all.Or(roaring.AddOffset64(roaring.FromDense(bits[:], false), int64(chunk)<<query.ChunkBits))
	}
	return all
}

func (r *root) segmentInfo(slot int) Segment {
	x := r.segments[slot]
	m := Segment{
		Name: x.name, State: x.state, Reason: x.reason, Version: x.version, Count: x.count,
		Held: x.held, RefreshedAt: x.at, x: x,
	}
	for _, b := range r.builds {
		if slices.Contains(b.slots, slot) {
			m.Done, m.Total = b.part, b.parts
		}
	}
	return m
}

// Segments returns the memberships of all saved segments, in ascending order of name.
func (v *View) Segments() []Segment {
	var all []Segment
	for slot, x := range v.root.segments {
		if x != nil {
			all = append(all, v.root.segmentInfo(slot))
		}
	}
	slices.SortFunc(all, func(a, b Segment) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}

// slotIndex finds slots by name. Versions of a root that have the same segments share one. The first
// look-up builds it.
type slotIndex struct {
	once  sync.Once
	slots map[string]int
}

func (r *root) slotOf(name string) (slot int, ok bool) {
	r.slots.once.Do(func() {
		r.slots.slots = make(map[string]int, len(r.segments))
		for slot, x := range r.segments {
			if x != nil {
				r.slots.slots[x.name] = slot
			}
		}
	})
	slot, ok = r.slots.slots[name]
	return slot, ok
}

// Members returns the membership of a saved segment; ok is false if no segment has the name.
func (v *View) Members(name string) (m Segment, ok bool) {
	slot, ok := v.root.slotOf(name)
	if !ok {
		return Segment{}, false
	}
	return v.root.segmentInfo(slot), true
}

// SegmentsOf returns the names of the segments a profile is a member of, and of the segments that are
// being built, whose members are not known yet. Both are in ascending order.
func (v *View) SegmentsOf(ordinal uint32) (in, building []string) {
	for _, x := range v.root.segments {
		switch {
		case x == nil:
		case x.state == SegmentBuilding:
			building = append(building, x.name)
		case x.has(ordinal):
			in = append(in, x.name)
		}
	}
	slices.Sort(in)
	slices.Sort(building)
	return in, building
}

// Segment returns the current membership of a saved segment, without its members, which only a view
// has.
func (s *Shard) Segment(name string) (m Segment, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, ok := s.root.slotOf(name)
	if !ok {
		return m, false
	}
	m = s.root.segmentInfo(slot)
	m.x = nil
	return m, true
}
