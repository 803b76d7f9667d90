package member

import (
	"cmp"
	"slices"
	"strings"

	"github.com/musterdb/muster/query"
)

// pair is a profile whose membership of a segment has to be looked at.
type pair struct {
	segment *segment
	ordinal uint32
	number  uint32 // in the order in which they were marked
	cause   Cause
}

// chunkPair is a chunk in which a segment's membership has to be looked at.
type chunkPair struct {
	segment *segment
	chunk   int
	cause   Cause
}

// mark notes that a condition of some segments changed for a profile.
func (t *Tracker) mark(segments []*segment, ordinal uint32) {
	for _, s := range segments {
		t.dirty = append(t.dirty, pair{s, ordinal, uint32(len(t.dirty)), t.cause})
	}
}

// markChunk notes that a condition of some segments may have changed for many.
func (t *Tracker) markChunk(segments []*segment, chunk int) {
	for _, s := range segments {
		t.chunks = append(t.chunks, chunkPair{s, chunk, t.cause})
	}
}

// Settle makes memberships follow what has happened at now.
func (t *Tracker) Settle() {
	t.look()
	for len(t.chunks) > 0 || len(t.dirty) > 0 {
		t.settleChunks()
		t.settlePairs()
	}
}

// Flips returns what changed since it was asked last, in the order of instants, then of segments'
// names. It is good until the next entry.
func (t *Tracker) Flips() []Flip {
	flips := t.flips
	t.flips = nil
	return flips
}

func (t *Tracker) settleChunks() {
	chunks := t.chunks
	t.chunks = nil
	slices.SortStableFunc(chunks, func(a, b chunkPair) int {
		return cmp.Or(strings.Compare(a.segment.name, b.segment.name), cmp.Compare(a.cause, b.cause), cmp.Compare(a.chunk, b.chunk))
	})
	chunks = slices.Compact(chunks)
	for from := 0; from < len(chunks); {
		flip := Flip{Slot: chunks[from].segment.slot, At: t.now, Cause: chunks[from].cause}
		to := from
		for ; to < len(chunks) && chunks[to].segment == chunks[from].segment && chunks[to].cause == flip.Cause; to++ {
			t.settleChunk(chunks[to].segment, chunks[to].chunk, &flip)
		}
		t.flipped(chunks[from].segment, flip)
		from = to
	}
}

// settleChunk compares a chunk of a membership with the segment's program.
func (t *Tracker) settleChunk(s *segment, chunk int, flip *Flip) {
	var all, is query.Bits
	t.host.Source().Profiles(chunk, &all)
	if s.program != nil {
		s.program.fill(chunk, &all, &is)
	}
	t.replaceChunk(s, chunk, &is, flip)
}

// replaceChunk makes a chunk of a membership equal to is.
func (t *Tracker) replaceChunk(s *segment, chunk int, is *query.Bits, flip *Flip) {
	members := t.host.Members(s.slot)
	var was query.Bits
	members.Fill(chunk, &was)
	base := uint32(chunk) << query.ChunkBits
	exits, enters := was, *is
	exits.AndNot(is)
	enters.AndNot(&was)
	for pos := range exits.All {
		members.Put(base|uint32(pos), false)
		flip.Exits = append(flip.Exits, base|uint32(pos))
	}
	for pos := range enters.All {
		members.Put(base|uint32(pos), true)
		flip.Enters = append(flip.Enters, base|uint32(pos))
	}
}

func (t *Tracker) settlePairs() {
	dirty := t.dirty
	t.dirty = t.spare[:0]
	slices.SortFunc(dirty, func(a, b pair) int {
		switch {
		case a.segment.slot != b.segment.slot:
			return a.segment.slot - b.segment.slot
		case a.ordinal != b.ordinal:
			return cmp.Compare(a.ordinal, b.ordinal)
		}
		return cmp.Compare(a.number, b.number)
	})
	first := len(t.flips)
	byCause := [ByImport + 1]Flip{}
	for i := range dirty {
		x := &dirty[i]
		last := i+1 == len(dirty) || dirty[i+1].segment != x.segment
		if last || dirty[i+1].ordinal != x.ordinal { // of several causes the latest stands
			members := t.host.Members(x.segment.slot)
			is := x.segment.program != nil && t.host.Exists(x.ordinal) && x.segment.program.holds(x.ordinal)
			if x.segment.held {
				is = members.Has(x.ordinal) && t.host.Exists(x.ordinal)
			}
			if members.Has(x.ordinal) != is {
				members.Put(x.ordinal, is)
				flip := &byCause[x.cause]
				if is {
					flip.Enters = append(flip.Enters, x.ordinal)
				} else {
					flip.Exits = append(flip.Exits, x.ordinal)
				}
			}
		}
		if !last {
			continue
		}
		for cause := range byCause {
			flip := byCause[cause]
			flip.Slot, flip.At, flip.Cause = x.segment.slot, t.now, Cause(cause)
			t.flipped(x.segment, flip)
			byCause[cause] = Flip{}
		}
	}
	slices.SortStableFunc(t.flips[first:], func(a, b Flip) int {
		return cmp.Or(strings.Compare(t.segments[a.Slot].name, t.segments[b.Slot].name), cmp.Compare(a.Cause, b.Cause))
	})
	t.spare = dirty[:0]
}

// flipped keeps a flip and marks the segments that stand on the membership.
func (t *Tracker) flipped(s *segment, flip Flip) {
	if len(flip.Exits)+len(flip.Enters) == 0 {
		return
	}
	t.flips = append(t.flips, flip)
	cause := t.cause
	t.cause = flip.Cause
	for _, ordinals := range [][]uint32{flip.Exits, flip.Enters} {
		for _, ordinal := range ordinals {
			t.mark(t.standing[s.slot], ordinal)
		}
	}
	t.cause = cause
}
