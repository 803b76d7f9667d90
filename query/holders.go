package query

import (
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/query/lanes"
)

// mostListed is the number of positions up to which roaring stores a list of them, or runs, instead of
// words.
const mostListed = 4096

// Holders is a set of positions of a chunk: a view of a bitmap that is not changed while it is read.
// The zero Holders is empty.
//
// WriteDenseTo of a bitmap with words overwrites its destination; with a list or runs it adds to it.
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

// Shared returns the number of positions that are in both sets.
func (h Holders) Shared(with Holders) int {
	if h.bitmap == nil || with.bitmap == nil {
		return 0
	}
	return int(h.bitmap.AndCardinality(with.bitmap))
}

// Listed returns the number of positions if they are stored as a list or runs; 0 if the set is stored
// as words.
func (h Holders) Listed() int {
	if n := h.Count(); n <= mostListed {
		return n
	}
	return 0
}

// words reports whether the set, of n positions, is stored as the words of a chunk.
func (h Holders) words(n int) bool { return n > mostListed && !h.bitmap.HasRunCompression() }

// everyPosition is the full set. A full bitmap would be written position by position.
var everyPosition = func() (b Bits) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	return b
}()

// Fill sets out to exactly the positions of h and returns their number.
func (h Holders) Fill(out *Bits) int {
	n := h.Count()
	switch {
	case n == 0:
		clear(out[:])
		return 0
	case n == ChunkSize:
		*out = everyPosition
		return n
	case h.words(n):
		h.bitmap.WriteDenseTo(out[:])
		return n
	}
	clear(out[:])
	h.scatter(n, out)
	return n
}

// scattered is the length of a list from which adding four positions at a time is faster.
const scattered = 128

// positions is a buffer for a list.
type positions struct {
	buf  [mostListed]uint32
	list []uint32
}

var listPool = sync.Pool{New: func() any { return new(positions) }}

// scatter adds the n positions, stored as a list or runs, to b. Consecutive positions are mostly in one
// word, and each write would wait for the one before it. Taking positions from the four quarters of the
// list in turn avoids that wait.
func (h Holders) scatter(n int, b *Bits) {
	if n < scattered || n > mostListed || h.bitmap.HasRunCompression() {
		h.bitmap.WriteDenseTo(b[:])
		return
	}
	p := listPool.Get().(*positions)
	p.list = p.buf[:n]
	h.bitmap.ToExistingArray(&p.list)
	list, quarter := p.list, n/4
	p0, p1, p2, p3 := list[:quarter], list[quarter:2*quarter], list[2*quarter:3*quarter], list[3*quarter:4*quarter]
	for i, pos := range p0 {
		b.Set(uint16(pos))
		b.Set(uint16(p1[i]))
		b.Set(uint16(p2[i]))
		b.Set(uint16(p3[i]))
	}
	for _, pos := range list[4*quarter:] {
		b.Set(uint16(pos))
	}
	listPool.Put(p)
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
		h.scatter(n, b)
	}
}

// Among sets out to those of the n positions of cand, the words of a chunk, that are in h, and returns
// their number.
//
// REQUIRES: out is not cand.
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
