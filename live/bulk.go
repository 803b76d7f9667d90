package live

import (
	"encoding/binary"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query/wire"
)

// At least bulkFrom profiles that enter or leave one segment together, as at midnight, are a bulk: a
// separate group whose ordinals are a set, with one piece that contains all of them and needs no numbers.
// That many profiles would fill a group anyway and share it with no other segment. A bulk is undone by set
// operations.
const (
	bulkFrom = groupProfiles
	bulkMost = 2048 // more are split into several
)

// openBulk opens a bulk of profiles, ascending by ordinal. scratch is reused.
func (b *block) openBulk(seq uint64, at int64, ordinals []uint32, ids []string, scratch []byte) []byte {
	s := append(scratch[:0], 0, 0)
	s = binary.AppendUvarint(s, seq)
	s = binary.AppendVarint(s, at)
	s = binary.AppendUvarint(s, uint64(len(ordinals)))
	s = wire.AppendSet(s, roaring.BitmapOf(ordinals...))
	lengths := make([]byte, 0, 2*len(ids))
	for _, id := range ids {
		lengths = binary.AppendUvarint(lengths, uint64(len(id)))
	}
	s = wire.AppendBytes(s, lengths)
	for _, id := range ids {
		s = append(s, id...)
	}
	b.data = wire.AppendBytes(b.data, s)
	b.size = len(b.data)
	return s
}

// putBulkLocked appends the profiles that exit or enter in a change, numbered from n.
func (s *shardLog) putBulkLocked(seq uint64, c *engine.Change, k *segmentEntry, n int, ordinals []uint32, enter bool) (sealed bool) {
	g := &s.mu.group
	parts := (len(ordinals) + bulkMost - 1) / bulkMost
	most := (len(ordinals) + parts - 1) / parts
	for len(ordinals) > 0 {
		some := ordinals[:min(most, len(ordinals))]
		ordinals = ordinals[len(some):]
		p := piece{n: n, version: c.Version, at: c.At, cause: c.Cause, bulk: len(some)}
		if !enter {
			p.exits = len(some)
		}
		n += len(some)
		b, full := s.openLocked()
		sealed = sealed || full
		g.ids = s.log.cfg.Source.IDs(s.number, some, g.ids[:0])
		s.growLocked(b, func() {
			g.scratch = b.openBulk(seq, c.At, some, g.ids, g.scratch)
			s.putLocked(b, k, seq, c.At, &p)
		})
		clear(g.ids)
	}
	g.ids = g.ids[:0]
	return sealed
}

// readBulk reads a bulk after the 0 that it has in place of seq.
func (g *group) readBulk(r *wire.Reader) {
	g.bulk = true
	g.seq, g.at, g.n = r.Uvarint(), r.Varint(), r.Count(1)
	g.set = *r
	r.Bytes()
	g.lengths = r.Bytes()
	g.ids = r.Take(r.Len())
}

// ordinals returns the ordinals of a bulk; the profile with the lowest has number 0, and so on. The set has
// no run containers, because the library unites those element by element.
func (g *group) ordinals() (*roaring.Bitmap, error) {
	r := g.set
	s := r.Set()
	if r.Err() == nil && s.GetCardinality() != uint64(g.n) {
		r.Fail("ordinals of a bulk")
	}
	if r.Err() == nil && s.HasRunCompression() {
		s = roaring.BitmapOf(s.ToArray()...)
	}
	return s, r.Err()
}

// bulkEnd returns the end of a profile's id. The first call computes all ends; undoing a bulk needs no ids.
func (g *group) bulkEnd(number int) uint32 {
	if len(g.ends) == 0 {
		r := wire.NewReader(g.lengths)
		end := uint64(0)
		for range g.n {
			end = min(end+uint64(r.Uint32()), uint64(len(g.ids))+1) // above the limit: the id is damaged
			g.ends = append(g.ends, uint32(end))
		}
		if r.Done() != nil {
			g.ends[g.n-1] = uint32(len(g.ids)) + 1
		}
	}
	return g.ends[number]
}
