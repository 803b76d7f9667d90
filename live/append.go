package live

import (
	"slices"

	"github.com/musterdb/muster/engine"
)

// segmentEntry is what a shard's log keeps about a segment, so that appending a change needs one lookup.
type segmentEntry struct {
	name    string
	block   uint64 // number + 1 of the block in which code is valid; 0: none
	code    int
	changed bool // since the last checkpoint
	hours   *segmentHours
}

// grouping makes groups and pieces from the changes of an entry. Its memory is reused.
type grouping struct {
	places   []uint32                  // ordinals of the profiles of the group, by number
	slots    [4 * groupProfiles]uint16 // hash table of ordinals: index in places + 1
	numbers  []uint32                  // in the group, of the profiles of all pieces
	pieces   []pending
	ids      []string
	segments []*segmentEntry // of the entry's changes
	scratch  []byte
}

// pending is a piece of a group that is not complete yet.
type pending struct {
	change   int
	n, exits int
	from, to int // in numbers
}

// full reports whether the group takes no more profiles.
func (g *grouping) full() bool {
	return len(g.places) == groupProfiles || len(g.numbers) >= groupChanges
}

// number returns the number of a profile in the group, adding it if needed.
func (g *grouping) number(ordinal uint32) uint32 {
	for i := ordinal * 0x9e3779b1 >> 16; ; i++ {
		slot := &g.slots[i%uint32(len(g.slots))]
		if *slot == 0 {
			g.places = append(g.places, ordinal)
			*slot = uint16(len(g.places))
			return uint32(len(g.places) - 1)
		}
		if n := uint32(*slot) - 1; g.places[n] == ordinal {
			return n
		}
	}
}

func (g *grouping) clear() {
	clear(g.slots[:])
	clear(g.ids)
	g.places, g.numbers, g.pieces, g.ids = g.places[:0], g.numbers[:0], g.pieces[:0], g.ids[:0]
}

func (s *shardLog) appendLocked(seq uint64, changes []engine.Change) (grown int64, sealed bool) {
	marks := s.mu.marks
	s.mu.marks = marks[:0]
	if seq <= s.mu.head {
		return 0, false
	}
	s.mu.head = seq
	if s.mu.appended != nil {
		close(s.mu.appended)
		s.mu.appended = nil
	}
	before := s.mu.held
	for i := range marks {
		b, full := s.openLocked()
		sealed = sealed || full
		m := &marks[i]
		s.growLocked(b, func() {
			s.mu.group.scratch = b.open(seq, m.at, nil, nil, s.mu.group.scratch)
			s.putLocked(b, s.segmentLocked(m.segment), seq, m.at, &m.piece)
		})
	}
	if len(changes) > 0 {
		sealed = s.appendChangesLocked(seq, changes) || sealed
	}
	return s.mu.held - before, sealed
}

func (s *shardLog) appendChangesLocked(seq uint64, changes []engine.Change) (sealed bool) {
	g := &s.mu.group
	g.segments = g.segments[:0]
	for i := range changes {
		c := &changes[i]
		g.segments = append(g.segments, s.segmentLocked(c.Segment))
		n, from := 0, len(g.numbers)
		end := func(to int) {
			if to > n {
				g.pieces = append(g.pieces, pending{i, c.N + n, max(min(len(c.Exits), to)-n, 0), from, len(g.numbers)})
			}
		}
		at := 0
		for enters, side := range [...][]uint32{c.Exits, c.Enters} {
			if len(side) >= bulkFrom {
				end(at)
				sealed = s.putGroupLocked(seq, changes) || sealed
				sealed = s.putBulkLocked(seq, c, g.segments[i], c.N+at, side, enters == 1) || sealed
				at += len(side)
				n, from = at, 0
				continue
			}
			for _, ordinal := range side {
				if g.full() {
					end(at)
					sealed = s.putGroupLocked(seq, changes) || sealed
					n, from = at, 0
				}
				g.numbers = append(g.numbers, g.number(ordinal))
				at++
			}
		}
		end(at)
	}
	sealed = s.putGroupLocked(seq, changes) || sealed
	s.log.hours.addAll(changes, g.segments)
	clear(g.segments)
	return sealed
}

// putGroupLocked appends the finished group to a block.
func (s *shardLog) putGroupLocked(seq uint64, changes []engine.Change) (sealed bool) {
	g := &s.mu.group
	if len(g.pieces) == 0 {
		return false
	}
	b, sealed := s.openLocked()
	at := changes[g.pieces[0].change].At
	g.ids = s.log.cfg.Source.IDs(s.number, g.places, g.ids)
	s.growLocked(b, func() {
		g.scratch = b.open(seq, at, g.places, g.ids, g.scratch)
		for _, x := range g.pieces {
			c := &changes[x.change]
			s.putLocked(b, g.segments[x.change], seq, at,
				&piece{n: x.n, version: c.Version, at: c.At, cause: c.Cause, exits: x.exits, profiles: g.numbers[x.from:x.to]})
		}
	})
	g.clear()
	return sealed
}

// putLocked appends a piece to the latest group.
func (s *shardLog) putLocked(b *block, k *segmentEntry, seq uint64, at int64, p *piece) {
	number := s.mu.base + uint64(len(s.mu.blocks)) // b is the last one
	met := k.block == number
	if !met {
		k.code = len(b.segments)
		if k.block == 0 { // new, or dropped by changedLocked since
			if code := slices.Index(b.segments, k.name); code >= 0 {
				k.code, met = code, true
			}
		}
		if !met {
			b.segments = append(b.segments, k.name)
		}
		k.block = number
	}
	s.mu.group.scratch = b.add(k.code, met, seq, at, p, s.mu.group.scratch)
	s.changeLocked(k)
}

func (s *shardLog) growLocked(b *block, add func()) {
	before := len(b.data)
	add()
	grown := int64(len(b.data) - before)
	s.mu.held += grown
	s.mu.fresh += grown
}

func (s *shardLog) segmentLocked(segment string) *segmentEntry {
	k := s.mu.segments[segment]
	if k == nil {
		k = &segmentEntry{name: segment}
		s.mu.segments[segment] = k
	}
	return k
}

// changeLocked marks a segment for the next checkpoint.
func (s *shardLog) changeLocked(k *segmentEntry) {
	if !k.changed && s.points.store != nil {
		k.changed = true
		s.mu.changed++
	}
}

// changedLocked returns the segments that have changed since its last call, and drops the others from memory.
func (s *shardLog) changedLocked() []string {
	var names []string
	for name, k := range s.mu.segments {
		if !k.changed {
			delete(s.mu.segments, name)
			continue
		}
		names = append(names, name)
		k.changed = false
	}
	s.mu.changed, s.mu.fresh = 0, 0
	slices.Sort(names)
	return names
}
