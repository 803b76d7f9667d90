package engine

import (
	"math"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
)

func readCells(r *wire.Reader, rows int) cells {
	c := cells{width: r.Byte()}
	switch c.width {
	case 0:
		return c
	case 1, 2, 4, 8:
	default:
		r.Fail("width")
		return cells{}
	}
	if r.Byte() == 1 {
		c.words = wordsOf(r.Take(8 * rows))
		c.scales = make([]int8, rows)
		copy(bytesOf(c.scales), r.Take(rows))
	} else {
		c.scale, c.base = int8(r.Byte()), r.Varint()
		c.words = wordsOf(r.Take(rows * int(c.width)))
	}
	if r.Err() != nil || c.scales != nil && c.width != 8 {
		r.Fail("cells")
		return cells{}
	}
	return c
}

// check reports whether cells hold values of type t whose codes are below codes, and sets their
// bounds.
func (c *cells) check(t tree.Type, codes, rows int) bool {
	if c.width == 0 && !c.same {
		return true
	}
	if t != tree.NumberType && (c.scales != nil || c.scale != 0) || c.scale < 0 || c.scale > tree.MaxScale {
		return false
	}
	for _, s := range c.scales {
		if s != tree.FloatScale && (s < 0 || s > tree.MaxScale) {
			return false
		}
	}
	if !c.bound(rows) {
		return true // no row has a value
	}
	switch {
	case c.lo == query.VecMissing:
		return false
	case c.width < 8 && !c.same && (c.lo <= c.base || uint64(c.hi)-uint64(c.base) >= 1<<(8*c.width)):
		return false
	case t == tree.BoolType:
		return c.lo >= 0 && c.hi <= 1
	case t == tree.StringType || t == tree.ListType:
		return c.lo >= 0 && c.hi < int64(codes)
	}
	return true
}

// bound sets the bounds of the values. It returns false if there are none.
func (c *cells) bound(rows int) (any bool) {
	switch {
	case c.same:
		c.lo, c.hi = c.base, c.base
		return true
	case c.width == 0:
		return false
	case c.width == 8:
		lo, hi := int64(math.MaxInt64), int64(query.VecMissing)
		for _, raw := range view64(c.words, rows) {
			hi = max(hi, raw)
			lo = min(lo, raw-1) // a missing value wraps around
		}
		if hi == query.VecMissing {
			return false
		}
		c.lo, c.hi = lo+1, hi
		return true
	}
	var lo, hi uint32
	switch c.width {
	case 1:
		lo, hi = boundsOf(view8(c.words, rows))
	case 2:
		lo, hi = boundsOf(view16(c.words, rows))
	default:
		lo, hi = boundsOf(view32(c.words, rows))
	}
	if hi == 0 {
		return false
	}
	c.lo, c.hi = c.base+int64(lo), c.base+int64(hi)
	return true
}

// boundsOf returns the least and the greatest cell that is not missing. greatest is 0 if all are
// missing.
func boundsOf[T uint8 | uint16 | uint32](cells []T) (least, greatest uint32) {
	lo, hi := ^T(0), T(0)
	for _, cell := range cells {
		lo, hi = min(lo, cell-1), max(hi, cell) // a missing cell wraps around
	}
	return uint32(lo + 1), uint32(hi)
}

// present returns the number of rows that have a value, and the last such row.
func (c *cells) present(rows int) (n, last int) {
	switch {
	case c.same:
		return rows, rows - 1
	case c.width == 0:
		return 0, 0
	case c.width == 1:
		return presentIn(view8(c.words, rows), 0)
	case c.width == 2:
		return presentIn(view16(c.words, rows), 0)
	case c.width == 4:
		return presentIn(view32(c.words, rows), 0)
	}
	return presentIn(view64(c.words, rows), query.VecMissing)
}

func presentIn[T uint8 | uint16 | uint32 | int64](cells []T, missing T) (n, last int) {
	for row, cell := range cells {
		if cell != missing {
			n, last = n+1, row
		}
	}
	return n, last
}

// indexPage adds the rows of a page to the sets of profiles by value. REQUIRES: pages come in the
// order of their rows.
func (x *restorer) indexPage(t *pageTable, dict *dictionary, p *page, first uint16) {
	for row := range query.PageRows {
		raw, ok := p.raw(row)
		if !ok || t.crowded {
			continue
		}
		if t.sets == nil {
			t.sets = &valueSets{epoch: x.s.epochs.current, dict: dict}
		}
		i, known := x.place(t.sets, uint32(raw))
		switch {
		case known:
		case len(t.sets.codes) == maxValueSets:
			t.sets, t.crowded = nil, true
			continue
		default:
			t.sets.codes = slices.Insert(t.sets.codes, i, uint32(raw))
			t.sets.sets = slices.Insert(t.sets.sets, i, &set{epoch: x.s.epochs.current})
		}
		t.sets.sets[i].bitmap.Add(uint32(first) + uint32(row))
	}
}

// place returns the index of a code in sets, or where it belongs. It first tries the index where the
// code was last, which is mostly right.
func (x *restorer) place(sets *valueSets, code uint32) (i int, known bool) {
	if int(code) < len(x.places) {
		if i := int(x.places[code]); i < len(sets.codes) && sets.codes[i] == code {
			return i, true
		}
	}
	if i, known = slices.BinarySearch(sets.codes, code); known && code < 1<<16 {
		for len(x.places) <= int(code) {
			x.places = append(x.places, 0)
		}
		x.places[code] = uint16(i)
	}
	return i, known
}
