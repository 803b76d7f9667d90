package member

import (
	"math/bits"

	"github.com/musterdb/muster/query"
)

const (
	pageRows      = query.PageRows
	pagesPerChunk = query.ChunkSize / pageRows
)

// rows holds the values of the parts, profile by profile: a byte for a count, four bytes for a sum, a bit
// for a condition. The values of one profile are together because they are read together: an event updates
// the counters of one profile, and the programs that use them read the other parts of the same profile.
// Pages exist only where something was set. Each page keeps the width it was created with; it is replaced
// by a wider one when a column beyond it is written.
type rows struct {
	width int // bytes in use, freed ones included
	pages []*rowPage
	free  map[int][]uint32 // released places, by size in bytes
	bits  []uint32         // free bits
}

// rowPage is the rows of 512 profiles.
type rowPage struct {
	width int
	data  []byte
}

// place allocates size bytes of every row and returns the first. Their contents are undefined.
func (r *rows) place(size int) uint32 {
	if list := r.free[size]; len(list) > 0 {
		at := list[len(list)-1]
		r.free[size] = list[:len(list)-1]
		return at
	}
	at := uint32(r.width)
	r.width += size
	return at
}

func (r *rows) release(at uint32, size int) {
	if r.free == nil {
		r.free = map[int][]uint32{}
	}
	r.free[size] = append(r.free[size], at)
}

// placeBit allocates a bit of every row.
func (r *rows) placeBit() uint32 {
	if len(r.bits) == 0 {
		at := 8 * r.place(1)
		for i := range uint32(8) {
			r.bits = append(r.bits, at+7-i)
		}
	}
	bit := r.bits[len(r.bits)-1]
	r.bits = r.bits[:len(r.bits)-1]
	return bit
}

// row returns the row of a profile for reading; values beyond its end are zero.
func (r *rows) row(ordinal uint32) []byte {
	i := int(ordinal / pageRows)
	if i >= len(r.pages) || r.pages[i] == nil {
		return nil
	}
	p := r.pages[i]
	at := int(ordinal%pageRows) * p.width
	return p.data[at : at+p.width : at+p.width]
}

// own returns the row of a profile for writing at any place.
func (r *rows) own(ordinal uint32) []byte {
	p := r.ownPage(int(ordinal / pageRows))
	at := int(ordinal%pageRows) * p.width
	return p.data[at : at+p.width : at+p.width]
}

func (r *rows) page(i int) *rowPage {
	if i >= len(r.pages) {
		return nil
	}
	return r.pages[i]
}

func (r *rows) ownPage(i int) *rowPage {
	for len(r.pages) <= i {
		r.pages = append(r.pages, nil)
	}
	p := r.pages[i]
	if p != nil && p.width >= r.width {
		return p
	}
	width := r.width
	if width > 8 { // spare width for the next columns
		width = (width + width/16 + 7) &^ 7
	}
	wider := &rowPage{width: width, data: make([]byte, pageRows*width)}
	if p != nil {
		for row := range pageRows {
			copy(wider.data[row*width:], p.data[row*p.width:(row+1)*p.width])
		}
	}
	r.pages[i] = wider
	return wider
}

// zero clears size bytes starting at at for all profiles of a chunk.
func (r *rows) zero(chunk int, at uint32, size int) {
	for i := chunk * pagesPerChunk; i < (chunk+1)*pagesPerChunk; i++ {
		p := r.page(i)
		if p == nil || int(at)+size > p.width {
			continue
		}
		for from := int(at); from < len(p.data); from += p.width {
			clear(p.data[from : from+size])
		}
	}
}

func (r *rows) bit(row []byte, bit uint32) bool {
	return int(bit/8) < len(row) && row[bit/8]>>(bit%8)&1 != 0
}

func (r *rows) setBit(ordinal, bit uint32, is bool) {
	if is {
		r.own(ordinal)[bit/8] |= 1 << (bit % 8)
	} else if row := r.row(ordinal); int(bit/8) < len(row) {
		row[bit/8] &^= 1 << (bit % 8)
	}
}

// fillBit sets out to those positions of a chunk in of where a bit is set.
func (r *rows) fillBit(chunk int, bit uint32, of, out *query.Bits) {
	for i := range pagesPerChunk {
		from, to := i*pageRows/64, (i+1)*pageRows/64
		words := out[from:to]
		p := r.page(chunk*pagesPerChunk + i)
		if p == nil || int(bit/8) >= p.width {
			clear(words)
			continue
		}
		for w, left := range of[from:to] {
			begin := w*64*p.width + int(bit/8)
			var word uint64
			for ; left != 0; left &= left - 1 {
				b := bits.TrailingZeros64(left)
				word |= uint64(p.data[begin+b*p.width]>>(bit%8)&1) << b
			}
			words[w] = word
		}
	}
}

// loadBit sets a bit of all rows of a chunk to the values in in.
func (r *rows) loadBit(chunk int, bit uint32, in *query.Bits) {
	for i := range pagesPerChunk {
		words := in[i*pageRows/64 : (i+1)*pageRows/64]
		some := uint64(0)
		for _, word := range words {
			some |= word
		}
		p := r.page(chunk*pagesPerChunk + i)
		if some == 0 && (p == nil || int(bit/8) >= p.width) {
			continue
		}
		p = r.ownPage(chunk*pagesPerChunk + i)
		at, mask := int(bit/8), byte(1)<<(bit%8)
		for _, word := range words {
			for b := range 64 {
				p.data[at] = p.data[at]&^mask | byte(word>>b&1)<<(bit%8)
				at += p.width
			}
		}
	}
}

func (r *rows) memory() (bytes int64) {
	for _, p := range r.pages {
		if p != nil {
			bytes += int64(len(p.data)) + 40
		}
	}
	return bytes + int64(8*cap(r.pages))
}
