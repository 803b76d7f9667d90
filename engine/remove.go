package engine

import (
	"math"
	"slices"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// Remove implements identity.Store. It removes the facts of a target, and attaches its ids to the
// owner if that lives in this shard too.
func (h identityStore) Remove(target identity.Ref) {
	ordinal, ok := h.named(target)
	if !ok {
		return
	}
	refs := h.root.refs(ordinal)
	h.recordDeparture(ordinal)
	h.removeProfile(ordinal)
	if to, ok := h.ordinal(h.Home(target).To); ok {
		for _, ref := range refs {
			h.attach(ref, to)
		}
	}
}

// removeProfile removes everything about a profile from the state. Its ordinal is not reused.
// REQUIRES: the root is owned.
func (s *Shard) removeProfile(ordinal uint32) {
	chunk, pos := int(ordinal>>query.ChunkBits), uint16(ordinal)
	for i := columnsOfEveryShard; i < len(s.root.columns); i++ {
		if old, ok := s.storedAttribute(s.root.columns[i], ordinal); ok {
			id := uint32(i-columnsOfEveryShard) + query.FirstAttribute
			s.root.hash = s.root.hash.sub(attributeFact(ordinal, id, old.hash(s.root.columns[i].t)))
			s.column(i).clear(&s.epochs, ordinal)
		}
	}
	for event := range s.root.events {
		if table := s.root.events[event]; chunk < len(table.chunks) && table.chunks[chunk].has(pos) {
			s.removeEvents(uint32(event), ordinal)
		}
	}
	s.column(columnFirstSeen).clear(&s.epochs, ordinal)
	s.column(columnLastSeen).clear(&s.epochs, ordinal)
	s.unlist(ordinal)
	shadowed := s.shadowedBy(ordinal)
	s.removed.add(s.root, ordinal)
	s.detach(ordinal)
	for _, other := range shadowed {
		s.relist(other)
	}
	s.root.profiles[chunk], _ = s.root.profiles[chunk].remove(&s.epochs, pos)
	s.removals++
	if s.live != nil {
		s.live.tracker.Gone(ordinal)
	}
}

func (s *Shard) removeEvents(event, ordinal uint32) {
	removed := int64(0)
	s.root.eachEvent(event, ordinal, func(b *query.Block, row int) {
		s.root.hash = s.root.hash.sub(eventFact(ordinal, event, b.Time(row), propertiesHash(b, row)))
		removed++
	})
	table := s.root.events[event].own(&s.epochs)
	s.root.events[event] = table
	table.rows -= removed
	table.series(&s.epochs, int(ordinal>>query.ChunkBits)).remove(&s.epochs, uint16(ordinal))
}

// propertiesHash hashes the properties of a row as appendEvent does.
func propertiesHash(b *query.Block, row int) (properties uint64) {
	for id, v := range b.Cols {
		if v == nil {
			continue
		}
		raw, ok := v.Raw(row)
		if !ok {
			continue
		}
		x := stored{raw: raw}
		switch v.Type {
		case tree.NumberType:
			n := v.Value(row)
			x.raw, x.scale = n.Int, n.Scale
		case tree.StringType, tree.ListType:
			x.xxh = xxh3.Hash(v.Dict.(*dictionary).bytes(uint32(raw)))
		}
		properties += propertyHash(uint32(id), x.hash(v.Type))
	}
	return properties
}

// remove removes the rows of one profile. It rebuilds the leaves and tails that have some. REQUIRES:
// s is owned.
func (s *series) remove(e *epochs, pos uint16) {
	var leaves []*leaf
	for _, l := range s.leaves {
		if _, has := slices.BinarySearch(l.block.Pos, pos); !has {
			leaves = append(leaves, l)
			continue
		}
		b := newLeafBuilder([]*query.Block{&l.block})
		order := b.byTime(func(row uint32) bool { return b.pos[row] != pos })
		leaves = append(leaves, b.build(order, tailLeast, l.future)...)
	}
	s.leaves = leaves
	s.main, s.late = s.main.without(pos), s.late.without(pos)
	s.ever, _ = s.ever.remove(e, pos)
	s.totals = nil // counts may have stopped at 255; the next Maintain adds up again
	s.measure()
}

// measure sets what is derived from the rows: their number and the bounds of their times.
func (s *series) measure() {
	s.rows, s.min, s.max = 0, math.MaxInt64, math.MinInt64
	s.setLeafMax()
	for _, l := range s.leaves {
		s.rows += l.block.Rows
		s.min, s.max = min(s.min, l.block.Min), max(s.max, l.block.Max)
	}
	for _, t := range []*tail{s.main, s.late} {
		if t != nil {
			s.rows += t.n
			s.min, s.max = min(s.min, t.min), max(s.max, t.max)
		}
	}
}

func (s *series) setLeafMax() {
	s.leafMax = math.MinInt64
	for _, l := range s.leaves {
		if !l.future {
			s.leafMax = max(s.leafMax, l.block.Max)
		}
	}
}

// without returns a tail of the rows that are not at pos; nil if there are none.
func (t *tail) without(pos uint16) *tail {
	if t == nil || !slices.Contains(t.pos[:t.n], pos) {
		return t
	}
	b := t.block()
	rows := make([]uint32, 0, t.n)
	for row := range t.n {
		if b.Pos[row] != pos {
			rows = append(rows, uint32(row))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return t.pick(b, rows)
}
