package engine

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// edges are spans of values around those at which cells become wider.
var edges = []uint64{
	0, 1, 253, 254, 255, 256, 1<<16 - 3, 1<<16 - 2, 1<<16 - 1, 1 << 16,
	1<<32 - 3, 1<<32 - 2, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, math.MaxUint64 - 2, math.MaxUint64 - 1,
}

// TestCellsAtTheirWidths writes values whose span is exactly what a width can hold, or a little less
// or more, in rising, falling and random order, from every end of the integers. Cells also grow by
// rows.
func TestCellsAtTheirWidths(t *testing.T) {
	const rows = 72
	for _, span := range edges {
		for _, least := range []int64{math.MinInt64 + 1, math.MinInt64 + 300, -1 << 32, -256, -1, 0, 1, 1 << 31, math.MaxInt64 - 255, math.MaxInt64} {
			if uint64(math.MaxInt64)-uint64(least) < span {
				continue // there is no value that far above
			}
			rng := rand.New(rand.NewPCG(span, uint64(least)))
			for order := range 4 {
				cellsOfSpan(t, rng, least, span, order, rows)
			}
		}
	}
}

func cellsOfSpan(t *testing.T, rng *rand.Rand, least int64, span uint64, order, rows int) {
	t.Helper()
	var c cells
	capacity := rows
	if order == 3 { // as in a tail
		capacity = tailFirstCapacity
	}
	twin := map[int]int64{}
	for row := range rows {
		if row == capacity {
			capacity *= 2
			c.grow(capacity)
		}
		share := uint64(row)
		switch order {
		case 1:
			share = uint64(rows - 1 - row)
		case 2, 3:
			share = uint64(rng.IntN(rows))
		}
		raw := least + int64(span/uint64(rows-1)*share)
		if share == uint64(rows-1) {
			raw = least + int64(span)
		}
		if rng.IntN(5) == 0 {
			c.clear(row)
			continue
		}
		c.set(row, raw, capacity)
		twin[row] = raw
	}
	again := c.clone()
	again.lo, again.hi = 0, 0
	if !again.check(tree.NumberType, 0, rows) {
		t.Fatalf("from %d, span %d, order %d: cells do not pass their check", least, span, order)
	}
	v := c.vec(tree.NumberType, nil, rows)
	for row := range rows {
		want, has := twin[row]
		if raw, ok := c.raw(row); ok != has || ok && raw != want {
			t.Fatalf("from %d, span %d, order %d, row %d of width %d: %d, %t; want %d, %t", least, span, order, row, c.width, raw, ok, want, has)
		}
		if raw, ok := v.Raw(row); v.Rows > 0 && (ok != has || ok && raw != want) {
			t.Fatalf("from %d, span %d, order %d, row %d of width %d: the vector has %d, %t; want %d, %t", least, span, order, row, c.width, raw, ok, want, has)
		}
		if has && (want < c.lo || want > c.hi || want < again.lo || want > again.hi) {
			t.Fatalf("from %d, span %d, order %d: %d is out of bounds", least, span, order, want)
		}
	}
}

// TestLeafCellsAtTheirWidths is the same for the columns of leaves, which see all values before they
// choose an encoding.
func TestLeafCellsAtTheirWidths(t *testing.T) {
	for _, span := range edges {
		for _, missing := range []bool{false, true} {
			least := int64(math.MinInt64 + 1)
			raws := []int64{least, least + int64(span/2), least + int64(span), least}
			rows := []uint32{0, 1, 2, 3}
			if missing {
				raws[3] = query.VecMissing
			}
			column := &leafColumn{t: tree.NumberType, raws: raws}
			c := column.encode(rows)
			if c.words == nil && c.width > 0 {
				c.words = make([]uint64, wordsFor(len(rows), c.width))
				column.fill(&c, rows)
			}
			for row, want := range raws {
				if raw, ok := c.raw(row); ok != (want != query.VecMissing) || ok && raw != want {
					t.Fatalf("span %d, row %d of width %d: %d, %t; want %d", span, row, c.width, raw, ok, want)
				}
			}
		}
	}
}
