package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestValueSets writes columns at random and compares the sets with the column, also those of a view
// that was taken in between.
func TestValueSets(t *testing.T) {
	const seed = 11
	for _, values := range []int{2, 20, maxValueSets, maxValueSets + 1} {
		rng := rand.New(rand.NewPCG(seed, uint64(values)))
		e := &epochs{}
		c := newAttributeColumn(0, tree.StringType)
		for range 60_000 {
			pos := uint32(rng.IntN(7000))
			if rng.IntN(3) == 0 {
				c.clear(e, pos)
				continue
			}
			// Half of the values are the first, so that there are lists and bits.
			c.set(e, pos, int64(rng.IntN(values)*rng.IntN(2)))
			if rng.IntN(5000) == 0 {
				before, kept := valuesOf(c), c
				e.freeze()
				c = c.own(e)
				for range 2000 {
					if pos := uint32(rng.IntN(7000)); rng.IntN(2) == 0 {
						c.clear(e, pos)
					} else {
						c.set(e, pos, int64(rng.IntN(values)))
					}
				}
				if !slices.Equal(valuesOf(kept), before) || kept.chunks[0].sets != nil && !kept.chunks[0].sets.check(kept.chunks[0]) {
					t.Fatalf("seed %d, %d values: a frozen column was written", seed, values)
				}
			}
		}
		table := c.chunks[0]
		if crowded := values > maxValueSets; table.crowded != crowded || (table.sets == nil) != crowded {
			t.Fatalf("%d values: crowded is %t", values, table.crowded)
		}
		if table.sets != nil && !table.sets.check(table) {
			t.Fatalf("seed %d, %d values: the sets do not match the column", seed, values)
		}
	}
}

func valuesOf(c *column) (raws []int64) {
	for pos := range uint32(7000) {
		raw, ok := c.raw(pos)
		if !ok {
			raw = query.VecMissing
		}
		raws = append(raws, raw)
	}
	return raws
}

// TestValueSetsSmall checks that a value's set becomes a list again, and is removed, when profiles
// lose the value.
func TestValueSetsSmall(t *testing.T) {
	e := &epochs{}
	c := newAttributeColumn(0, tree.BoolType)
	for pos := range uint32(query.ChunkSize) {
		c.set(e, pos, 1)
	}
	if h := c.chunks[0].sets.Holders(1); h.Listed() != 0 || h.Count() != query.ChunkSize {
		t.Fatalf("all: %d, %d of them listed", h.Count(), h.Listed())
	}
	for pos := range uint32(query.ChunkSize - 3) {
		c.clear(e, pos)
	}
	if set := c.chunks[0].sets.sets[0]; set.holders().Listed() != 3 || !slices.Equal(slices.Collect(set.each), []uint16{65533, 65534, 65535}) {
		t.Fatalf("three: %v", slices.Collect(set.each))
	}
	for pos := range uint32(query.ChunkSize) {
		c.clear(e, pos)
	}
	if sets := c.chunks[0].sets; len(sets.Codes()) != 0 || sets.Holders(1).Count() != 0 {
		t.Fatalf("none: %v", sets.Codes())
	}
	if got := c.chunks[0].sets.memory(); got > 200 {
		t.Fatalf("none take %d bytes", got)
	}
}
