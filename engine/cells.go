package engine

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// cells is a column of raw integers with space for a fixed number of rows, in the narrowest of four
// widths that holds them. Attribute pages, tails and leaves all use this encoding. At widths 1, 2 and
// 4 a cell is 0 where the value is missing, else raw - base; at width 8 it is the raw value itself or
// query.VecMissing. Width 0 means that no row has a value.
//
// Changing the width, base or scale allocates new memory and never touches the old one, so a reader
// with an older copy of the struct continues to read what it had.
type cells struct {
	words  []uint64
	scales []int8 // a scale per row, for numbers without a common one; then the width is 8
	base   int64
	lo, hi int64 // bounds of all values set since the memory was made
	width  uint8
	scale  int8
	same   bool // every row holds base (leaves only): no memory at all
}

func view8(words []uint64, rows int) []uint8 {
	return unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(words))), rows)
}

func view16(words []uint64, rows int) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(words))), rows)
}

func view32(words []uint64, rows int) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(words))), rows)
}

func view64(words []uint64, rows int) []int64 {
	return unsafe.Slice((*int64)(unsafe.Pointer(unsafe.SliceData(words))), rows)
}

func wordsFor(rows int, width uint8) int { return (rows*int(width) + 7) / 8 }

// rowCapacity is the number of rows the memory has space for.
func (c *cells) rowCapacity() int {
	if c.width == 0 {
		return 0
	}
	return len(c.words) * 8 / int(c.width)
}

// raw returns the integer of a row; ok is false where it is missing.
func (c *cells) raw(row int) (raw int64, ok bool) {
	if c.same {
		return c.base, true
	}
	var cell uint32
	switch c.width {
	case 0:
		return 0, false
	case 1:
		cell = uint32(view8(c.words, row+1)[row])
	case 2:
		cell = uint32(view16(c.words, row+1)[row])
	case 4:
		cell = view32(c.words, row+1)[row]
	default:
		raw = view64(c.words, row+1)[row]
		return raw, raw != query.VecMissing
	}
	return c.base + int64(cell), cell != 0
}

// number returns the number of a row, canonical.
func (c *cells) number(row int) (n tree.Number, ok bool) {
	raw, ok := c.raw(row)
	if !ok {
		return n, false
	}
	if c.scales != nil {
		return tree.Number{Coef: raw, Scale: c.scales[row]}, true
	}
	return tree.Decimal(raw, c.scale), true
}

// fits reports whether raw can be written at the current width and base.
func (c *cells) fits(raw int64) bool {
	switch c.width {
	case 0:
		return false
	case 8:
		return true
	}
	return raw > c.base && uint64(raw)-uint64(c.base) < 1<<(8*c.width)
}

// set writes raw at a row. If it must allocate memory, it allocates capacity rows.
//
// REQUIRES: raw is not query.VecMissing; the memory belongs to the writer.
func (c *cells) set(row int, raw int64, capacity int) {
	if !c.fits(raw) {
		c.widen(raw, capacity)
	}
	c.lo, c.hi = min(c.lo, raw), max(c.hi, raw)
	switch c.width {
	case 1:
		view8(c.words, row+1)[row] = uint8(raw - c.base)
	case 2:
		view16(c.words, row+1)[row] = uint16(raw - c.base)
	case 4:
		view32(c.words, row+1)[row] = uint32(raw - c.base)
	default:
		view64(c.words, row+1)[row] = raw
	}
}

// setNumber writes a number at a row, at the common scale if that can represent it.
func (c *cells) setNumber(row int, n tree.Number, capacity int) {
	if c.scales == nil {
		if coef, ok := c.atScale(n, capacity); ok {
			c.set(row, coef, capacity)
			return
		}
		c.dropScale(capacity)
	}
	c.lo, c.hi = math.MinInt64, math.MaxInt64
	view64(c.words, row+1)[row] = n.Coef
	c.scales[row] = n.Scale
}

// atScale returns the coefficient of n at the common scale, raising that scale if need be.
func (c *cells) atScale(n tree.Number, capacity int) (coef int64, ok bool) {
	switch {
	case n.IsFloat():
		return 0, false
	case c.width == 0 || n.Scale == c.scale:
		c.scale = n.Scale
		return n.Coef, true
	case n.Scale < c.scale:
		return times(n.Coef, tree.Pow10(c.scale-n.Scale))
	}
	factor := tree.Pow10(n.Scale - c.scale)
	if _, ok := times(c.lo, factor); !ok {
		return 0, false
	}
	if _, ok := times(c.hi, factor); !ok {
		return 0, false
	}
	raised := cells{scale: n.Scale}
	for row := range c.rowCapacity() {
		if raw, ok := c.raw(row); ok {
			raised.set(row, raw*factor, capacity)
		}
	}
	*c = raised
	return n.Coef, true
}

// times multiplies; ok is false where the product does not fit or would look missing.
func times(a, factor int64) (product int64, ok bool) {
	magnitude := uint64(a)
	if a < 0 {
		magnitude = -magnitude
	}
	hi, lo := bits.Mul64(magnitude, uint64(factor))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	return a * factor, true
}

// dropScale gives every row its own scale.
func (c *cells) dropScale(capacity int) {
	own := cells{words: missingWords(capacity), scales: make([]int8, capacity), width: 8}
	raws := view64(own.words, capacity)
	for row := range c.rowCapacity() {
		if n, ok := c.number(row); ok {
			raws[row], own.scales[row] = n.Coef, n.Scale
		}
	}
	*c = own
}

func missingWords(capacity int) []uint64 {
	words := make([]uint64, capacity)
	for i := range words {
		words[i] = 1 << 63 // the bits of query.VecMissing
	}
	return words
}

// widen moves the values to memory that can also hold raw.
func (c *cells) widen(raw int64, capacity int) {
	lo, hi, rows := raw, raw, c.rowCapacity()
	for row := range rows {
		if old, ok := c.raw(row); ok {
			lo, hi = min(lo, old), max(hi, old)
		}
	}
	wide := cells{scale: c.scale, lo: lo, hi: hi, width: widthFor(lo, hi), base: lo - 1}
	if c.width != 0 && raw == lo && wide.width < 8 {
		// The values are falling: leave the spare range below them.
		if base := hi - (1<<(8*wide.width) - 1); base < lo {
			wide.base = base
		}
	}
	wide.alloc(capacity)
	for row := range rows {
		if old, ok := c.raw(row); ok {
			wide.set(row, old, capacity)
		}
	}
	*c = wide
}

func (c *cells) alloc(capacity int) {
	if c.width == 8 {
		c.words = missingWords(capacity)
	} else {
		c.words = make([]uint64, wordsFor(capacity, c.width))
	}
}

// widthFor returns the narrowest width for values from lo to hi and the cell that means missing.
func widthFor(lo, hi int64) uint8 {
	switch span := uint64(hi) - uint64(lo); {
	case span < 1<<8-1:
		return 1
	case span < 1<<16-1:
		return 2
	case span < 1<<32-1:
		return 4
	}
	return 8
}

// clear makes a row missing.
func (c *cells) clear(row int) {
	switch c.width {
	case 0:
	case 1:
		view8(c.words, row+1)[row] = 0
	case 2:
		view16(c.words, row+1)[row] = 0
	case 4:
		view32(c.words, row+1)[row] = 0
	default:
		view64(c.words, row+1)[row] = query.VecMissing
		if c.scales != nil {
			c.scales[row] = 0
		}
	}
}

// grow moves the values to memory for capacity rows.
func (c *cells) grow(capacity int) {
	if c.width == 0 {
		return
	}
	old := c.words
	c.alloc(capacity)
	copy(c.words, old)
	if c.scales != nil {
		scales := make([]int8, capacity)
		copy(scales, c.scales)
		c.scales = scales
	}
}

// clone copies the memory.
func (c *cells) clone() cells {
	copied := *c
	copied.words = append([]uint64(nil), c.words...)
	if c.scales != nil {
		copied.scales = append([]int8(nil), c.scales...)
	}
	return copied
}

// vec returns the first rows in the form that the query language reads.
func (c *cells) vec(t tree.Type, dict query.Dict, rows int) query.Vec {
	v := query.Vec{Type: t, Rows: rows, Dict: dict, Base: c.base, Scale: c.scale, Bounded: c.scales == nil, Lo: c.lo, Hi: c.hi}
	if c.same {
		v.Const = true
		return v
	}
	switch c.width {
	case 0:
		return query.Vec{Type: t, Dict: dict}
	case 1:
		v.U8 = view8(c.words, rows)
	case 2:
		v.U16 = view16(c.words, rows)
	case 4:
		v.U32 = view32(c.words, rows)
	default:
		v.Base, v.I64 = 0, view64(c.words, rows)
		if c.scales != nil {
			v.Scales = c.scales[:rows]
		}
	}
	return v
}

func (c *cells) memory() int64 { return int64(8*cap(c.words) + cap(c.scales)) }
