package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// seeded returns a random source, and its seed for failure messages.
func seeded() (*rand.Rand, uint64) {
	seed := uint64(time.Now().UnixNano())
	return rand.New(rand.NewPCG(seed, 1)), seed
}

// TestCellBounds compares the bounds and the number of values of cells of every width with what is
// found cell by cell.
func TestCellBounds(t *testing.T) {
	r, seed := seeded()
	const rows = 100
	for round := range 2000 {
		c := cells{width: []uint8{0, 1, 2, 4, 8}[r.IntN(5)], base: r.Int64N(1000) - 500}
		c.words = missingOf(c.width, rows)
		for range r.IntN(rows) * r.IntN(2) {
			if c.width == 0 {
				break
			}
			raw := c.base + 1 + r.Int64N(1<<min(8*uint(c.width), 40)-1)*int64(r.IntN(2))
			if c.width == 8 {
				raw = []int64{raw, math.MaxInt64, query.VecMissing + 1, 0, -1}[r.IntN(5)]
			}
			c.set(r.IntN(rows), raw, rows)
		}
		c.lo, c.hi = 7, 7 // unchanged if there is no value
		lo, hi, n, last := int64(7), int64(7), 0, 0
		for row := range rows {
			if raw, ok := c.raw(row); ok {
				if n == 0 {
					lo, hi = raw, raw
				}
				lo, hi = min(lo, raw), max(hi, raw)
				n, last = n+1, row
			}
		}
		any := c.bound(rows)
		gotN, gotLast := c.present(rows)
		if any != (n > 0) || c.lo != lo || c.hi != hi || gotN != n || gotLast != last {
			t.Fatalf("seed %d, round %d, width %d: %d to %d, %d values, last %d; want %d to %d, %d values, last %d",
				seed, round, c.width, c.lo, c.hi, gotN, gotLast, lo, hi, n, last)
		}
	}
}

func missingOf(width uint8, rows int) []uint64 {
	c := cells{width: width}
	c.alloc(rows)
	return c.words
}

// TestIndexFill builds an index with fill, adds to it, and finds every value.
func TestIndexFill(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8192, 8193, 60_000} {
		filled := newDictionary(tree.StringType)
		var hashes []uint64
		for i := range n {
			text := fmt.Sprint("value ", i)
			hashes = append(hashes, xxh3.HashString(text))
			filled.append(text)
		}
		equal := func(a, b uint32) bool { return filled.text(a) == filled.text(b) }
		if filled.index.fill(hashes, equal) {
			t.Fatalf("two of %d different values are reported as equal", n)
		}
		for i := n; i < n+20_000; i++ {
			text := fmt.Sprint("value ", i)
			if code, ok := filled.find(text, xxh3.HashString(text)); ok {
				t.Fatalf("%q has code %d before it is added to %d", text, code, n)
			}
			filled.add(text, xxh3.HashString(text))
		}
		for i := range n + 20_000 {
			if code, ok := filled.Find(tree.Str(fmt.Sprint("value ", i))); !ok || int(code) != i {
				t.Fatalf("value %d, filled with %d, is found as %d, %t", i, n, code, ok)
			}
		}
		if n > 1 {
			again := newDictionary(tree.StringType)
			for i := range n {
				again.append(fmt.Sprint("value ", max(i, 1)-1))
				hashes[i] = xxh3.Hash(again.bytes(uint32(i)))
			}
			if !again.index.fill(hashes, func(a, b uint32) bool { return again.text(a) == again.text(b) }) {
				t.Errorf("two of %d values are equal, but fill does not report it", n)
			}
		}
	}
}

// TestInOrder checks that rows out of order are found, however their times are stored.
func TestInOrder(t *testing.T) {
	for _, c := range []struct {
		pos   []uint16
		times []int64
		want  bool
	}{
		{[]uint16{1, 1, 2}, []int64{5, 5, 0}, true},
		{[]uint16{1, 1, 2}, []int64{5, 4, 9}, false},
		{[]uint16{3, 2}, []int64{1, 9}, false},
		{[]uint16{0}, []int64{0}, true},
		{[]uint16{65534, 65535}, []int64{1<<32 - 1, 0}, true},
	} {
		b := &query.Block{Rows: len(c.pos), Pos: c.pos, Times: c.times}
		if got := inOrder(b); got != c.want {
			t.Errorf("%v at %v in order: %t", c.pos, c.times, got)
		}
		for _, at := range c.times {
			b.Off = append(b.Off, uint32(at))
		}
		if got := inOrder(b); got != c.want {
			t.Errorf("%v at offsets %v in order: %t", c.pos, c.times, got)
		}
		for base := range int64(2) {
			b.Base = base - 1
			boundTimes(b)
			if b.Min != b.Base+slices.Min(c.times) || b.Max != b.Base+slices.Max(c.times) {
				t.Errorf("offsets %v from %d are between %d and %d", c.times, b.Base, b.Min, b.Max)
			}
		}
	}
}
