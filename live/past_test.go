package live

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/wire"
)

// TestPast: at random instants of a random history, while logs are closed, crash and replay, only part of
// the log fits in memory and checkpoints are made, Past returns the membership of the instant.
func TestPast(t *testing.T) {
	for seed := range 8 {
		t.Run(seedName(seed), func(t *testing.T) { randomPast(t, uint64(seed)) })
	}
}

func randomPast(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	const shards = 2
	f := newFakeShards(shards, "A", "B")
	_, stores := newFakeStores(shards)
	_, checkpoints := newFakeStores(shards)
	cfg := Config{Shards: shards, Source: f, Stores: stores, Checkpoints: checkpoints, BlockBytes: 4 << 10, MemoryBytes: 160 << 10,
		DiskBytes: 1 << 30, Age: 1 << 60, CheckpointBytes: 6 << 10, CheckpointEvery: 1 << 50}
	l := openTest(t, cfg)
	started := f.time
	kept, bulks := 0, [2]int{}
	for range 300 {
		shard := r.IntN(shards)
		most := 1 + r.IntN(300)*r.IntN(2)
		if r.IntN(15) == 0 {
			most = 9000
		}
		e := f.step(r, shard, most)
		for _, c := range e.changes {
			bulks[0] += len(c.Exits) / bulkFrom
			bulks[1] += len(c.Enters) / bulkFrom
		}
		l.Append(shard, e.seq, e.changes)
		l.storeAll()
		switch r.IntN(20) {
		case 0:
			if err := l.Sync(shard, e.seq); err != nil {
				t.Fatal(err)
			}
		case 1:
			l = restart(t, l, cfg, f, r)
		case 2, 3, 4:
			l.checkpointAll(context.Background())
		case 5, 6:
			f.checkPast(t, l, r, seed, started)
		}
		for _, s := range l.shards {
			s.mu.Lock()
			kept = max(kept, len(s.points.all))
			s.mu.Unlock()
		}
	}
	if bulks[0] == 0 || bulks[1] == 0 {
		t.Errorf("seed %d: %d bulks of exits and %d of enters", seed, bulks[0], bulks[1])
	}
	if kept < 2 {
		t.Errorf("seed %d: at most %d checkpoints were there", seed, kept)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// checkPast compares the membership at a random instant with the history.
func (f *fakeShards) checkPast(t *testing.T, l *Log, r *rand.Rand, seed uint64, started int64) {
	t.Helper()
	shard, k := r.IntN(len(f.seqs)), r.IntN(len(f.segments))
	segment, at := f.segments[k], started+r.Int64N(f.time-started+1)
	now, err := f.SegmentMembers(context.Background(), shard, segment)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Past(context.Background(), shard, segment, at, now)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	want := map[string]bool{}
	for i, item := range f.history {
		if f.of[i] == segment && item.Shard == shard && item.At <= at {
			want[item.Profile] = item.Enter
		}
	}
	members := 0
	for _, in := range want {
		if in {
			members++
		}
	}
	if int(got.Ordinals.GetCardinality()) != members {
		t.Fatalf("seed %d: %d members at %d, want %d", seed, got.Ordinals.GetCardinality(), at, members)
	}
	gone := roaring.New()
	var left []string
	for _, o := range membersFrom(got, 0, 1<<20) {
		if !want[idOf(shard, o)] {
			t.Fatalf("seed %d: %d is a member at %d", seed, o, at)
		}
		if !now.Ordinals.Contains(o) {
			gone.Add(o)
			left = append(left, idOf(shard, o))
		}
	}
	ids, err := l.Left(context.Background(), shard, segment, at, now.Seq, gone)
	slices.Sort(ids)
	slices.Sort(left)
	if err != nil || !slices.Equal(ids, left) {
		t.Fatalf("seed %d: %d have left since %d, want %d (%v)", seed, len(ids), at, len(left), err)
	}
}

// TestPastUnknown: before a segment was created, and before the oldest change kept, Past returns an error
// with the instant from which the membership is known. A segment that was dropped and created again is
// known throughout.
func TestPastUnknown(t *testing.T) {
	f := newFakeShards(1, "A")
	_, stores := newFakeStores(1)
	l := openTest(t, Config{Shards: 1, Source: f, Stores: stores, BlockBytes: 64})
	defer l.Close()
	ctx := context.Background()
	seq := uint64(0)
	entry := func(at int64, enters, exits []uint32) {
		seq++
		c := engine.Change{Seq: seq, Segment: "A", At: at, Cause: engine.ByEvent, Enters: enters, Exits: exits}
		l.Append(0, seq, []engine.Change{c})
	}
	l.Mark(0, 100, "A", true)
	entry(100, []uint32{1}, nil)
	entry(200, []uint32{2}, []uint32{1})
	l.Mark(0, 300, "A", false)
	entry(300, nil, []uint32{2})
	l.Mark(0, 400, "A", true)
	entry(450, []uint32{7}, nil)
	now := &node.Membership{Seq: seq, At: 500, Ordinals: roaring.BitmapOf(7)}
	for _, x := range []struct {
		at      int64
		members []uint32
		since   int64
	}{{50, nil, 100}, {100, []uint32{1}, 0}, {250, []uint32{2}, 0}, {350, nil, 400}, {400, nil, 0}, {450, []uint32{7}, 0}, {600, []uint32{7}, 0}} {
		m, err := l.Past(ctx, 0, "A", x.at, now)
		var unknown *node.UnknownPastError
		switch {
		case x.since != 0:
			if !errors.As(err, &unknown) || unknown.Since != x.since || !unknown.Made {
				t.Errorf("at %d: %v, %+v", x.at, err, unknown)
			}
		case err != nil:
			t.Errorf("at %d: %v", x.at, err)
		case !m.Ordinals.Equals(roaring.BitmapOf(x.members...)):
			t.Errorf("at %d: %v, want %v", x.at, m.Ordinals, x.members)
		}
	}
	if err := l.Sync(0, seq); err != nil {
		t.Fatal(err)
	}
	if _, err := l.shards[0].retain(1, 0); err != nil {
		t.Fatal(err)
	}
	var unknown *node.UnknownPastError
	if _, err := l.Past(ctx, 0, "A", 150, now); !errors.As(err, &unknown) || unknown.Made || unknown.Since < 200 {
		t.Errorf("before what is kept: %v, %+v", err, unknown)
	}
}

// TestCheckpointsGo: the oldest checkpoints are dropped when there are too many, and those of another
// incarnation are ignored.
func TestCheckpointsGo(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	f := newFakeShards(1, "A")
	_, stores := newFakeStores(1)
	kept, checkpoints := newFakeStores(1)
	cfg := Config{Shards: 1, Source: f, Stores: stores, Checkpoints: checkpoints, BlockBytes: 1 << 10, CheckpointBytes: 1}
	l := openTest(t, cfg)
	for range 3 * maxCheckpoints {
		e := f.step(r, 0, 50)
		l.Append(0, e.seq, e.changes)
		l.checkpointAll(context.Background())
	}
	places := map[uint64]bool{}
	for at := range kept[0].blocks {
		places[at.Seq] = true
	}
	if len(places) != maxCheckpoints || len(l.shards[0].points.all) != maxCheckpoints {
		t.Errorf("%d checkpoints on disk and %d known, want %d", len(places), len(l.shards[0].points.all), maxCheckpoints)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Incarnations = []uint64{9}
	l = openTest(t, cfg)
	defer l.Close()
	if n := len(l.shards[0].points.all); n != 0 {
		t.Errorf("%d checkpoints of another incarnation are used", n)
	}
}

// TestMembersComeBack: a membership survives encoding in one part or several, and a damaged part is an error.
func TestMembersComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	_, stores := newFakeStores(1)
	_, checkpoints := newFakeStores(1)
	l := openTest(t, Config{Shards: 1, Source: newFakeShards(1), Stores: stores, Checkpoints: checkpoints})
	defer l.Close()
	for seq, m := range []*node.Membership{
		{At: -5, Ordinals: roaring.New()},
		{At: 1 << 50, Ordinals: roaring.BitmapOf(3, 1<<32-1)},
		{Ordinals: manyOrdinals(r)},
	} {
		m.Seq = uint64(seq)
		parts := encodeMembership(m, "name")
		if (len(parts) > 1) != (m.Ordinals.GetCardinality() > 1000) {
			t.Errorf("%d members in %d parts", m.Ordinals.GetCardinality(), len(parts))
		}
		for i, part := range parts {
			if err := checkpoints[0].Write(m.Seq, placeOf("name")+i, part); err != nil {
				t.Fatal(err)
			}
		}
		back, err := l.shards[0].readMembers(m.Seq, "name")
		if err != nil || back.Seq != m.Seq || back.At != m.At || !back.Ordinals.Equals(m.Ordinals) {
			t.Fatalf("%d members do not come back: %v", m.Ordinals.GetCardinality(), err)
		}
		last := len(parts) - 1
		if err := checkpoints[0].Write(m.Seq, placeOf("name")+last, parts[last][:len(parts[last])-1]); err != nil {
			t.Fatal(err)
		}
		if _, err := l.shards[0].readMembers(m.Seq, "name"); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("part %d without its last byte: %v", last, err)
		}
	}
}

// TestCheckpointOfChunks: a checkpoint in the format before roaring bitmaps is found and read.
func TestCheckpointOfChunks(t *testing.T) {
	data, err := os.ReadFile("testdata/checkpoint-format-1")
	if err != nil {
		t.Fatal(err)
	}
	_, stores := newFakeStores(1)
	_, checkpoints := newFakeStores(1)
	for place, part := range map[int][]byte{0: {checkpointOfChunks, 1, 9}, placeOf("regulars"): data} {
		if err := checkpoints[0].Write(77, place, part); err != nil {
			t.Fatal(err)
		}
	}
	l := openTest(t, Config{Shards: 1, Source: newFakeShards(1), Stores: stores, Checkpoints: checkpoints})
	defer l.Close()
	want := roaring.BitmapOf(5, 1<<16-1)
	for r := rand.New(rand.NewPCG(3, 3)); want.GetCardinality() < 2941; {
		want.Add(3<<16 | uint32(r.IntN(1<<16)))
	}
	m, err := l.shards[0].checkpointAfter("regulars", -6)
	if err != nil || m == nil || m.Seq != 77 || m.At != -5 || !m.Ordinals.Equals(want) {
		t.Fatalf("%+v: %v", m, err)
	}
}

// manyOrdinals returns a set of arrays, bitmaps and runs in 600 chunks.
func manyOrdinals(r *rand.Rand) *roaring.Bitmap {
	all := roaring.New()
	for chunk := range uint32(600) {
		if chunk%3 == 0 {
			all.AddRange(uint64(chunk)<<16, uint64(chunk+1)<<16)
			continue
		}
		for _, o := range r.Perm(1 << 16)[:[]int{1, 1000, 2048, 50_000}[r.IntN(4)]] {
			all.Add(chunk<<16 | uint32(o))
		}
	}
	return all
}

// BenchmarkPast undoes 16 MiB of changes of single profiles, as many as there are between two checkpoints,
// from a membership of a million.
func BenchmarkPast(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	f := newFakeShards(1, "A", "B", "C", "D")
	l := openTest(b, Config{Shards: 1, Source: f})
	defer l.Close()
	seq, bytes := uint64(0), int64(0)
	for bytes < 16<<20 {
		seq++
		c := engine.Change{Seq: seq, Segment: f.segments[r.IntN(4)], At: int64(seq), Enters: []uint32{uint32(r.IntN(1 << 20))}}
		l.Append(0, seq, []engine.Change{c})
		bytes = l.memory.Load()
	}
	now := &node.Membership{Seq: seq, At: int64(seq), Ordinals: roaring.New()}
	b.ReportMetric(float64(seq), "changes")
	for b.Loop() {
		if _, err := l.Past(context.Background(), 0, "A", 1, now); err != nil {
			b.Fatal(err)
		}
	}
}
