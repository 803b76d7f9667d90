package engine

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// setTwin is a set with one bool per position.
type setTwin struct {
	set *set
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
	if x.set.fill(&bits) != x.n || x.set.count() != x.n || len(slices.Collect(x.set.each)) != x.n || x.set.validate() != nil {
		return false
	}
	for pos, in := range x.has {
		if bits.Has(uint16(pos)) != in || x.set.has(uint16(pos)) != in {
			return false
		}
	}
	return true
}

// draw returns up to n ordinals of positions that are in the set if in, else that are not.
func (x *setTwin) draw(rng *rand.Rand, n int, in bool) (ordinals []uint32) {
	for range n {
		if pos := rng.Uint32N(query.ChunkSize); x.has[pos] == in {
			ordinals = append(ordinals, pos)
		}
	}
	slices.Sort(ordinals)
	return slices.Compact(ordinals)
}

// TestSets changes sets in every way, up and down past the number of positions at which a list
// becomes words, and between almost full and full, where they are runs. Sets of a view must not
// change.
func TestSets(t *testing.T) {
	for seed := range uint64(9) {
		rng := rand.New(rand.NewPCG(seed, 7))
		least, most := 10, 1200
		switch seed % 3 {
		case 1:
			most = 5000
		case 2:
			least, most = query.ChunkSize-700, query.ChunkSize
		}
		e := &epochs{}
		x := &setTwin{}
		if least > most/2 {
			all := make([]uint32, query.ChunkSize)
			for pos := range all {
				all[pos] = uint32(pos)
				x.mark(uint32(pos), true)
			}
			x.set = x.set.put(e, all, true)
		}
		growing := false
		for step := range 400 {
			if x.n >= most || x.n <= least {
				growing = x.n <= least
			}
			in := growing == (rng.IntN(4) > 0)
			ordinals := x.draw(rng, 1+rng.IntN(max(40, most/8)), !in)
			if !x.change(rng, e, ordinals, in) {
				t.Fatalf("seed %d, step %d: a frozen set was written", seed, step)
			}
			if step%20 == 0 && !x.check() {
				t.Fatalf("seed %d, step %d: the set does not have the %d positions that were added", seed, step, x.n)
			}
		}
		if !x.check() {
			t.Fatalf("seed %d: the set does not have the %d positions that were added", seed, x.n)
		}
	}
}

// change adds or removes ordinals, one by one or together. It returns false if that wrote a set that
// a view has.
func (x *setTwin) change(rng *rand.Rand, e *epochs, ordinals []uint32, in bool) bool {
	before, had := x.set, slices.Collect(x.set.each)
	frozen := rng.IntN(4) == 0
	if frozen {
		e.freeze()
	}
	var with query.Bits
	switch kind := rng.IntN(3); {
	case kind == 0:
		x.set = x.set.put(e, ordinals, in)
	case kind == 1 && in:
		for _, ordinal := range ordinals {
			with.Set(uint16(ordinal))
		}
		x.set = x.set.union(e, &with)
	default:
		for _, ordinal := range ordinals {
			if in {
				x.set, _ = x.set.add(e, uint16(ordinal))
			} else {
				x.set, _ = x.set.remove(e, uint16(ordinal))
			}
		}
	}
	with = query.Bits{}
	for _, ordinal := range ordinals {
		x.mark(ordinal, in)
	}
	if !frozen {
		return true
	}
	e.release(e.current - 1)
	return slices.Equal(slices.Collect(before.each), had)
}

// TestSetMemory compares the result of memory with the heap that sets use.
func TestSetMemory(t *testing.T) {
	for _, n := range []int{1, 20, 256, 1000, 4000, 5000, 40_000, query.ChunkSize} {
		rng := rand.New(rand.NewPCG(uint64(n), 9))
		var e epochs
		order := rng.Perm(query.ChunkSize)[:n]
		sets := make([]*set, max(8, 20_000/n))
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		reported := int64(0)
		for i := range sets {
			for _, pos := range order {
				sets[i], _ = sets[i].add(&e, uint16(pos))
			}
			reported += sets[i].memory()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(sets)
		runtime.KeepAlive(order)
		held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		reported, held = reported/int64(len(sets)), held/int64(len(sets))
		t.Logf("%d positions: reported %d bytes, held %d", n, reported, held)
		if off := max(reported-held, held-reported); off > held/4+80 {
			t.Errorf("%d positions: reported %d bytes, held %d", n, reported, held)
		}
	}
}

// TestValueSetsFillAndDrain gives all profiles of a chunk values and removes them again, so that each
// value's set is a list, bits and a list again, with up to the largest number of values that have
// sets and one more.
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
				t.Fatalf("%d values, %s: the sets do not match the column", values, when)
			}
		}
		for i, pos := range order {
			value := skewed()
			if i < values {
				value = int64(i) // so that every value occurs
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

// TestCheckSets checks that Check finds a position beyond the chunk, and one without a profile.
func TestCheckSets(t *testing.T) {
	s := newTestShard(t)
	mustApply(t, s, s.View().Seq()+1, EncodeMessages(1, testStart, []Message{
		{Kind: Track, UserID: "ada", MessageID: "1", Time: testStart, ReceivedAt: testStart, Event: 0},
	}))
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for _, set := range []*set{s.root.profiles[0], s.root.events[0].chunks[0].ever} {
		for _, pos := range []uint32{77, query.ChunkSize + 5} {
			set.bitmap.Add(pos)
			if s.Check() == nil {
				t.Errorf("Check does not find position %d, which has no profile", pos)
			}
			set.bitmap.Remove(pos)
		}
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
}
