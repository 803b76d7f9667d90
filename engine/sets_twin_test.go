package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// setTwin is a posSet beside one bool a position.
type setTwin struct {
	set *posSet
	has [query.ChunkSize]bool
	n   int
}

func (x *setTwin) mark(pos uint32, in bool) {
	if x.has[pos] != in {
		x.has[pos] = in
		x.n += map[bool]int{true: 1, false: -1}[in]
	}
}

func (x *setTwin) check() bool {
	var bits query.Bits
	if x.set.fill(&bits) != x.n || x.set.holders().N != x.n || len(slices.Collect(x.set.each)) != x.n {
		return false
	}
	for pos, in := range x.has {
		if bits.Has(uint16(pos)) != in || x.set.has(uint16(pos)) != in {
			return false
		}
	}
	return true
}

// draw returns up to n ordinals of positions that are in the set, or not.
func (x *setTwin) draw(rng *rand.Rand, n int, in bool) (ordinals []uint32) {
	for range n {
		if pos := rng.Uint32N(query.ChunkSize); x.has[pos] == in {
			ordinals = append(ordinals, pos)
		}
	}
	slices.Sort(ordinals)
	return slices.Compact(ordinals)
}

// TestSetsAroundTheirList changes sets in every way there is, up and down past the numbers of positions at
// which a list becomes bits, with a view now and then that must stay as it was.
func TestSetsAroundTheirList(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 7))
		most := []int{posSetList, valueSetList}[seed%2]
		e := &epochs{}
		x := &setTwin{}
		growing := true
		for step := range 400 {
			if x.n > most+200 || x.n < 10 {
				growing = x.n < 10
			}
			before, had := x.set, slices.Collect(x.set.each)
			frozen := rng.IntN(4) == 0
			if frozen {
				e.freeze()
			}
			in := growing == (rng.IntN(4) > 0)
			ordinals := x.draw(rng, 1+rng.IntN(most/8), !in)
			switch kind := rng.IntN(3); {
			case kind == 0 && most == posSetList:
				x.set = x.set.put(e, ordinals, in)
			case kind == 1 && in && !frozen && most == posSetList: // it wants an owned set
				var with query.Bits
				for _, ordinal := range ordinals {
					with.Set(uint16(ordinal))
				}
				x.set = x.set.union(e, &with)
			default:
				for _, ordinal := range ordinals {
					if in {
						x.set, _ = x.set.addUpTo(e, uint16(ordinal), most)
					} else {
						x.set, _ = x.set.remove(e, uint16(ordinal))
					}
				}
			}
			for _, ordinal := range ordinals {
				x.mark(ordinal, in)
			}
			if x.set != nil && x.set.bits != nil && x.n < most/2 && rng.IntN(3) == 0 {
				x.set = x.set.own(e).listed(e)
			}
			if frozen {
				if !slices.Equal(slices.Collect(before.each), had) {
					t.Fatalf("seed %d, step %d: a frozen set was written", seed, step)
				}
				e.release(e.current - 1)
			}
			if step%20 == 0 && !x.check() {
				t.Fatalf("seed %d, step %d: not the %d positions that were put in", seed, step, x.n)
			}
		}
		if !x.check() {
			t.Fatalf("seed %d: not the %d positions that were put in", seed, x.n)
		}
	}
}

// TestValueSetsFillAndDrain gives all profiles of a chunk values and takes them away again, so that each
// value's set is a list, bits and a list again, and that there are as many values as have sets, and one
// more.
func TestValueSetsFillAndDrain(t *testing.T) {
	for seed, values := range []int{1, 2, 3, 15, 17, maxValueSets - 1, maxValueSets, maxValueSets + 1} {
		rng := rand.New(rand.NewPCG(uint64(seed), 8))
		e := &epochs{}
		c := newAttributeColumn(0, tree.StringType)
		order := rng.Perm(query.ChunkSize)
		skewed := func() int64 { return int64(rng.IntN(rng.IntN(values) + 1)) }
		check := func(when string) {
			t.Helper()
			table := c.chunks[0]
			if crowded := values > maxValueSets; table.crowded != crowded || (table.sets == nil) != crowded {
				t.Fatalf("%d values, %s: crowded is %t", values, when, table.crowded)
			}
			if table.sets != nil && !table.sets.check(table) {
				t.Fatalf("%d values, %s: sets are not those of the column", values, when)
			}
		}
		for i, pos := range order {
			value := skewed()
			if i < values {
				value = int64(i) // each is there
			}
			c.set(e, uint32(pos), value)
		}
		check("full")
		for range query.ChunkSize {
			c.set(e, uint32(rng.IntN(query.ChunkSize)), skewed())
		}
		check("changed")
		for i, pos := range order {
			c.clear(e, uint32(pos))
			if i%(query.ChunkSize/8) == 0 {
				check("draining")
			}
		}
		if c.count != 0 {
			t.Fatalf("%d values: %d rows are left", values, c.count)
		}
	}
}
