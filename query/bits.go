package query

import (
	"math/bits"

	"github.com/musterdb/muster/query/lanes"
)

// ChunkBits is the number of low bits of an ordinal that give its position in its chunk.
const ChunkBits = 16

// ChunkSize is the number of ordinals of a chunk, the unit of evaluation.
const ChunkSize = 1 << ChunkBits

// Bits is a set of positions of one chunk: 1,024 words that stay in cache.
type Bits [ChunkSize / 64]uint64

// Set adds position i.
func (b *Bits) Set(i uint16) { b[i>>6] |= 1 << (i & 63) }

// Clear removes position i.
func (b *Bits) Clear(i uint16) { b[i>>6] &^= 1 << (i & 63) }

// Has reports whether position i is in b.
func (b *Bits) Has(i uint16) bool { return b[i>>6]>>(i&63)&1 != 0 }

// And keeps the positions that are also in c.
func (b *Bits) And(c *Bits) {
	for i := range b {
		b[i] &= c[i]
	}
}

// AndNot removes the positions of c.
func (b *Bits) AndNot(c *Bits) {
	for i := range b {
		b[i] &^= c[i]
	}
}

// Or adds the positions of c.
func (b *Bits) Or(c *Bits) {
	for i := range b {
		b[i] |= c[i]
	}
}

// Any reports whether b has a position.
func (b *Bits) Any() bool {
	for i := range b {
		if b[i] != 0 {
			return true
		}
	}
	return false
}

// Count returns the number of positions.
func (b *Bits) Count() int { return lanes.Count(b[:]) }

// All yields the positions in ascending order.
func (b *Bits) All(yield func(uint16) bool) {
	for i := range b {
		for w := b[i]; w != 0; w &= w - 1 {
			if !yield(uint16(i<<6 | bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}
