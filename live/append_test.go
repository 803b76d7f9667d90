package live

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/engine"
)

// manyChanges returns an entry in which many segments change by the same profiles, more than fit in a group.
func manyChanges(r *rand.Rand, seq uint64, segments, profiles int) (changes []engine.Change) {
	n := 0
	for i := range segments {
		c := engine.Change{Seq: seq, N: n, Segment: fmt.Sprint("s", i), Version: 3, At: int64(1000 + i), Cause: engine.ByTime}
		for ordinal := range uint32(profiles) {
			switch r.IntN(4) {
			case 0:
				c.Exits = append(c.Exits, ordinal*7)
			case 1, 2:
				c.Enters = append(c.Enters, ordinal*7)
			}
		}
		n += c.Len()
		changes = append(changes, c)
	}
	return changes
}

// itemsOf returns the items that a subscriber of a segment must receive for some changes.
func itemsOf(changes []engine.Change, segment string) (items []Item) {
	for _, c := range changes {
		if c.Segment != segment {
			continue
		}
		for i, ordinal := range slices.Concat(c.Exits, c.Enters) {
			items = append(items, Item{Seq: c.Seq, N: c.N + i, Enter: i >= len(c.Exits), Profile: idOf(0, ordinal), At: c.At, Cause: c.Cause, Version: c.Version})
		}
	}
	return items
}

// TestGroups: changes that share profiles are delivered in full, however they are split into groups and
// blocks, and however few are read at a time.
func TestGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	f := newFakeShards(1)
	for _, size := range []struct{ segments, profiles int }{{1, 2000}, {2, 9000}, {40, 700}, {300, 30}, {700, 1}} {
		l := openTest(t, Config{Shards: 1, Source: f, BlockBytes: 4 << 10})
		begin := l.Now().String()
		var all []engine.Change
		for seq := range uint64(3) {
			changes := manyChanges(r, seq+1, size.segments, size.profiles)
			l.Append(0, seq+1, changes)
			all = append(all, changes...)
		}
		for i := range size.segments {
			segment := fmt.Sprint("s", i)
			s, err := l.Subscribe(context.Background(), Request{Segment: segment, From: FromCursor, Cursor: begin})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := drain(t, s, 1+r.IntN(300)), itemsOf(all, segment); !slices.Equal(got, want) {
				t.Fatalf("%d segments, %d profiles: %d changes of %s, want %d", size.segments, size.profiles, len(got), segment, len(want))
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGroupsAreFull appends changes with exactly as many profiles and pieces as fit in a group, one less,
// and one more.
func TestGroupsAreFull(t *testing.T) {
	f := newFakeShards(1)
	for _, segments := range []int{1, groupChanges/groupProfiles - 1, groupChanges / groupProfiles, groupChanges/groupProfiles + 1} {
		for profiles := uint32(groupProfiles - 1); profiles <= groupProfiles+1; profiles++ {
			for _, blockBytes := range []int{1, 4 << 10, 64 << 10} {
				l := openTest(t, Config{Shards: 1, Source: f, BlockBytes: blockBytes})
				begin := l.Now().String()
				var all []engine.Change
				for seq := uint64(1); seq <= 3; seq++ {
					var changes []engine.Change
					n := 0
					for i := range segments {
						c := engine.Change{Seq: seq, N: n, Segment: fmt.Sprint("s", i), Version: 3, At: int64(1000 + i), Cause: engine.ByEvent}
						for ordinal := range profiles {
							if seq == 2 {
								c.Exits = append(c.Exits, ordinal)
							} else {
								c.Enters = append(c.Enters, ordinal)
							}
						}
						n += c.Len()
						changes = append(changes, c)
					}
					l.Append(0, seq, changes)
					all = append(all, changes...)
				}
				for i := range segments {
					segment := fmt.Sprint("s", i)
					s, err := l.Subscribe(context.Background(), Request{Segment: segment, From: FromCursor, Cursor: begin})
					if err != nil {
						t.Fatal(err)
					}
					if got, want := drain(t, s, 300), itemsOf(all, segment); !slices.Equal(got, want) {
						t.Fatalf("%d segments, %d profiles, blocks of %d: %d changes of %s, want %d", segments, profiles, blockBytes, len(got), segment, len(want))
					}
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestDamagedBlocks: reading a block with a wrong byte does not panic.
func TestDamagedBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	l := openTest(t, Config{Shards: 1, Source: newFakeShards(1)})
	defer l.Close()
	l.Append(0, 1, manyChanges(r, 1, 5, 12))
	l.Append(0, 2, manyChanges(r, 2, 1, 2*bulkFrom))
	sound := l.shards[0].mu.blocks[0].data
	for i := range sound {
		data := slices.Clone(sound)
		data[i] ^= byte(1 + r.IntN(255))
		readBlock(data)
	}
}

// BenchmarkAppend appends an entry of 250 events that each move their profile in 16 of 1,000 segments.
func BenchmarkAppend(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	of := make([]map[uint32]bool, 1000)
	for range 250 {
		ordinal := uint32(r.IntN(100_000))
		for range 16 {
			i := r.IntN(len(of))
			if of[i] == nil {
				of[i] = map[uint32]bool{}
			}
			of[i][ordinal] = true
		}
	}
	var changes []engine.Change
	n := 0
	for i, ordinals := range of {
		c := engine.Change{N: n, Segment: fmt.Sprint("segment ", i), Version: 700, At: 1_800_000_000_000, Cause: engine.ByEvent, Enters: slices.Sorted(maps.Keys(ordinals))}
		if n += c.Len(); c.Len() > 0 {
			changes = append(changes, c)
		}
	}
	_, stores := newFakeStores(1)
	l := openTest(b, Config{Shards: 1, Source: newFakeShards(1), Stores: stores, DiskBytes: 1 << 20})
	defer l.Close()
	seq := uint64(0)
	for b.Loop() {
		seq++
		for i := range changes {
			changes[i].Seq = seq
		}
		l.Append(0, seq, changes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/change")
}
