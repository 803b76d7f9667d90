package query

import (
	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/query/lanes"
)

// mostListed is the number of positions up to which roaring keeps a list of them, or runs, and no words.
const mostListed = 4096

// Holders is a set of positions of a chunk: a view of a bitmap that is not changed while it is read. The
// zero Holders is empty.
//
// A bitmap that holds words overwrites what it is written to; one that holds a list or runs adds to it.
type Holders struct{ bitmap *roaring.Bitmap }

// HoldersOf returns a view of a bitmap of positions below ChunkSize.
func HoldersOf(b *roaring.Bitmap) Holders { return Holders{b} }

// Holders returns a copy of b as a bitmap.
func (b *Bits) Holders() Holders { return Holders{roaring.FromDense(b[:], true)} }

// Count returns the number of positions.
func (h Holders) Count() int {
	if h.bitmap == nil {
		return 0
	}
	return int(h.bitmap.GetCardinality())
}

// Listed returns how many positions are held one by one: none where the set is held as words.
func (h Holders) Listed() int {
	if n := h.Count(); n <= mostListed {
		return n
	}
	return 0
}

// words reports whether the set is held as the words of a chunk.
func (h Holders) words(n int) bool { return n > mostListed && !h.bitmap.HasRunCompression() }

// everyPosition is the words of a full set, which a bitmap would write one by one.
var everyPosition = func() (b Bits) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	return b
}()

// Fill sets out to exactly the positions of h and returns how many they are.
func (h Holders) Fill(out *Bits) int {
	n := h.Count()
	switch {
	case n == 0:
		clear(out[:])
		return 0
	case n == ChunkSize:
		*out = everyPosition
		return n
	case !h.words(n):
		clear(out[:])
	}
	h.bitmap.WriteDenseTo(out[:])
	return n
}

// AddTo adds h to b.
func (h Holders) AddTo(b *Bits) {
	n := h.Count()
	switch {
	case n == 0:
	case n == ChunkSize:
		*b = everyPosition
	case h.words(n):
		var words Bits
		h.bitmap.WriteDenseTo(words[:])
		lanes.Or(words[:], b[:], b[:])
	default:
		h.bitmap.WriteDenseTo(b[:])
	}
}

// Among sets out to those of the n positions of cand, words of a chunk, that are in h, and returns how many
// they are. REQUIRES: out is not cand.
func (h Holders) Among(cand []uint64, n int, out []uint64) int {
	has := h.Count()
	if has == ChunkSize {
		copy(out, cand)
		return n
	}
	h.Fill((*Bits)(out))
	if n == ChunkSize || has == 0 {
		return has
	}
	return lanes.And(cand, out, out)
}
