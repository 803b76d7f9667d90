package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
)

// TestBlockWithoutBulks: a block stored by a build before bulks is read by subscriptions and for past
// memberships, and the log continues after it.
func TestBlockWithoutBulks(t *testing.T) {
	data, err := os.ReadFile("testdata/block-format-2")
	if err != nil {
		t.Fatal(err)
	}
	changes := manyChanges(rand.New(rand.NewPCG(9, 9)), 1, 2, 700) // the contents of the file
	kept, stores := newFakeStores(1)
	kept[0].blocks[Position{1, 0}], kept[0].state = data, []byte{stateWithoutBulks, 1, 1, 0, 0, 0}
	f := newFakeShards(1)
	cfg := Config{Shards: 1, Source: f, Stores: stores}
	l := openTest(t, cfg)
	begin := l.Now()
	begin.shards[0] = Position{1, 0}
	more := manyChanges(rand.New(rand.NewPCG(9, 10)), 2, 2, 7000)
	l.Append(0, 2, more)
	for range 2 {
		for _, segment := range []string{"s0", "s1"} {
			s, err := l.Subscribe(context.Background(), Request{Segment: segment, From: FromCursor, Cursor: begin.String()})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := drain(t, s, 100), itemsOf(slices.Concat(changes, more), segment); !slices.Equal(got, want) {
				t.Fatalf("%d changes of %s, want %d", len(got), segment, len(want))
			}
		}
		was, err := l.Past(context.Background(), 0, "s0", 999, &node.Membership{Seq: 2, At: 5000, Ordinals: roaring.New()})
		if err != nil || !was.Ordinals.Equals(roaring.BitmapOf(slices.Concat(changes[0].Exits, firstOf(more[0].Exits, changes[0]))...)) {
			t.Fatalf("%d members before: %v", was.Ordinals.GetCardinality(), err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openTest(t, cfg)
	}
	if kept[0].state[0] != stateFormat {
		t.Errorf("the state has format %d", kept[0].state[0])
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// firstOf returns the ordinals that are not in an earlier change.
func firstOf(ordinals []uint32, before engine.Change) []uint32 {
	return roaring.AndNot(roaring.BitmapOf(ordinals...), roaring.BitmapOf(slices.Concat(before.Exits, before.Enters)...)).ToArray()
}

// FuzzBlock: no reader of blocks panics, whatever the bytes.
func FuzzBlock(f *testing.F) {
	l := openTest(f, Config{Shards: 1, Source: newFakeShards(1)})
	defer l.Close()
	l.Append(0, 1, manyChanges(rand.New(rand.NewPCG(7, 8)), 1, 3, 12))
	l.Append(0, 2, manyChanges(rand.New(rand.NewPCG(7, 8)), 2, 1, bulkFrom*4))
	f.Add(l.shards[0].mu.blocks[0].data)
	f.Fuzz(func(t *testing.T, data []byte) { readBlock(data) })
}

// readBlock reads a block with every reader there is.
func readBlock(data []byte) {
	b, err := loadBlock(data)
	if err != nil {
		return
	}
	for sc := (scanner{data: data}); ; {
		h, ok, err := sc.next()
		if err != nil || !ok {
			break
		}
		if _, err = h.profiles(pieceOffset{}, func(int, bool, string) bool { return true }); err != nil {
			break
		}
	}
	for _, segment := range b.segments {
		u := undo{segment: segment, before: Position{1 << 40, 0}, is: roaring.New(), seen: roaring.New()}
		u.block(data)
		x := exitFinder{segment: segment, before: Position{1 << 40, 0}, open: roaring.BitmapOf(0, 7, 14, 700)}
		x.block(data)
	}
}

// BenchmarkBulk lets a million profiles, or a tenth of them, leave a segment at one instant: it appends the
// change, and computes the membership before it.
func BenchmarkBulk(b *testing.B) {
	for _, part := range []int{1, 10} {
		c := engine.Change{Seq: 1, Segment: "A", Version: 700, At: 1_800_000_000_000, Cause: engine.ByTime}
		for ordinal := 0; ordinal < 1_000_000; ordinal += part {
			c.Exits = append(c.Exits, uint32(ordinal))
		}
		f := &fakeIDs{newFakeShards(1), make([]string, 1_000_000)}
		for ordinal := range f.ids {
			f.ids[ordinal] = fmt.Sprintf("user-%07d", ordinal)
		}
		b.Run(fmt.Sprintf("append/%d", len(c.Exits)), func(b *testing.B) {
			l := openTest(b, Config{Shards: 1, Source: f, MemoryBytes: 64 << 20})
			for b.Loop() {
				c.Seq++
				l.Append(0, c.Seq, []engine.Change{c})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.Len()), "ns/change")
			l.Close()
		})
		b.Run(fmt.Sprintf("past/%d", len(c.Exits)), func(b *testing.B) {
			l := openTest(b, Config{Shards: 1, Source: f})
			c.Seq = 1
			l.Append(0, 1, []engine.Change{c})
			now := &node.Membership{Seq: 1, At: c.At + 1, Ordinals: roaring.New()}
			for b.Loop() {
				if m, err := l.Past(context.Background(), 0, "A", 1, now); err != nil || m.Ordinals.GetCardinality() != uint64(c.Len()) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(l.memory.Load())/float64(c.Len()), "B/change")
			l.Close()
		})
	}
}

// fakeIDs are fakeShards with precomputed ids.
type fakeIDs struct {
	*fakeShards
	ids []string
}

func (f *fakeIDs) IDs(_ int, ordinals []uint32, ids []string) []string {
	for _, o := range ordinals {
		ids = append(ids, f.ids[o])
	}
	return ids
}
