package engine

import (
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/query"
)

// set is a set of positions of one chunk: a bitmap that belongs to an epoch, like every node of the
// state. A nil set is empty. Only the writer may call the methods that return a set: they return p
// itself if it may be written, else a changed copy. Copy-on-write of the bitmap stays off: it writes
// to the bitmap that is copied, which other goroutines may be reading.
type set struct {
	epoch  uint64
	bitmap roaring.Bitmap
}

// holders returns the set in the form that the query language reads.
func (p *set) holders() query.Holders {
	if p == nil {
		return query.Holders{}
	}
	return query.HoldersOf(&p.bitmap)
}

func (p *set) count() int { return p.holders().Count() }

func (p *set) has(pos uint16) bool { return p != nil && p.bitmap.Contains(uint32(pos)) }

// fill sets out to the positions of p and returns their number.
func (p *set) fill(out *query.Bits) int { return p.holders().Fill(out) }

// each calls yield for every position, ascending.
func (p *set) each(yield func(uint16) bool) {
	if p == nil {
		return
	}
	for pos := range roaring.Values(&p.bitmap) {
		if !yield(uint16(pos)) {
			return
		}
	}
}

// last returns the last position, 0 if there is none.
func (p *set) last() uint32 {
	if p.count() == 0 {
		return 0
	}
	return p.bitmap.Maximum()
}

// within reports whether q has all positions of p.
func (p *set) within(q *set) bool {
	return p.count() == 0 || q != nil && p.bitmap.AndCardinality(&q.bitmap) == p.bitmap.GetCardinality()
}

// own returns p, or a copy if p is frozen, or a new set if p is nil.
func (p *set) own(e *epochs) *set {
	switch {
	case p == nil:
		return &set{epoch: e.current}
	case e.isFrozen(p.epoch):
		return p.clone(e.current)
	}
	return p
}

func (p *set) clone(epoch uint64) *set { return &set{epoch: epoch, bitmap: *p.bitmap.Clone()} }

// add returns the set with pos; added is false if pos was in it.
func (p *set) add(e *epochs, pos uint16) (with *set, added bool) {
	if p.has(pos) {
		return p, false
	}
	p = p.own(e)
	p.bitmap.Add(uint32(pos))
	return p, true
}

// remove returns the set without pos; removed is false if pos was not in it.
func (p *set) remove(e *epochs, pos uint16) (without *set, removed bool) {
	if !p.has(pos) {
		return p, false
	}
	p = p.own(e)
	p.bitmap.Remove(uint32(pos))
	return p, true
}

// fewPositions is the number of positions up to which a list is changed one by one, not by one
// operation on sets.
const fewPositions = 16

// put returns the set with, or without, the positions of ordinals. REQUIRES: they ascend and are of
// one chunk.
func (p *set) put(e *epochs, ordinals []uint32, in bool) *set {
	p = p.own(e)
	if list := p.holders().Listed() == p.count(); list && len(ordinals) > fewPositions {
		var some roaring.Bitmap
		for _, ordinal := range ordinals {
			some.Add(ordinal % query.ChunkSize)
		}
		// Changed in place, a list would get twice the capacity it needs.
		if in {
			p.bitmap = *roaring.Or(&p.bitmap, &some)
		} else {
			p.bitmap = *roaring.AndNot(&p.bitmap, &some)
		}
		return p
	}
	for _, ordinal := range ordinals {
		if in {
			p.bitmap.Add(ordinal % query.ChunkSize)
		} else {
			p.bitmap.Remove(ordinal % query.ChunkSize)
		}
	}
	return p
}

// union returns the set with the positions of bits added. It changes bits to the union.
func (p *set) union(e *epochs, bits *query.Bits) *set {
	p.holders().AddTo(bits)
	return &set{epoch: e.current, bitmap: *roaring.FromDense(bits[:], true)}
}

// validate returns what is wrong with a set that was read or is being checked.
func (p *set) validate() error {
	if p.count() == 0 {
		return nil
	}
	if err := p.bitmap.Validate(); err != nil {
		return fmt.Errorf("set of positions: %w", err)
	}
	if p.last() >= query.ChunkSize {
		return violated("position %d in a set of one chunk", p.last())
	}
	return nil
}

// setOverhead is the bytes of a set besides its positions: the struct, and of its bitmap the arrays
// of keys, containers and flags and the header of one container.
const setOverhead = 96 + 8 + 16 + 8 + 24

// memory returns the bytes of the set. The bitmap does not count the spare capacity of lists, about a
// quarter.
func (p *set) memory() int64 {
	if p == nil {
		return 0
	}
	return setOverhead + int64(p.bitmap.GetSizeInBytes()) + int64(p.holders().Listed()/2)
}
