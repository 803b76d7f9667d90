package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openTest(t testing.TB, cfg Config) *Log {
	t.Helper()
	if cfg.Cluster == "" {
		cfg.Cluster = "c1"
	}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return time.UnixMilli(1_000_000) }
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func drain(t testing.TB, s *Subscription, limit int) (items []Item) {
	t.Helper()
	for {
		b, err := s.Next(context.Background(), limit, 0)
		if err != nil {
			t.Fatal(err)
		}
		if b.Snapshot {
			t.Fatal("unexpected page of a snapshot")
		}
		if len(b.Items) > limit {
			t.Fatalf("%d items for a limit of %d", len(b.Items), limit)
		}
		if len(b.Items) == 0 {
			return items
		}
		items = append(items, b.Items...)
	}
}

// TestRandomReaders: readers of random segments stop and continue from the text of a cursor, while logs are
// closed, crash and replay, and only part of the log fits in memory. Each reader gets everything, once, in
// order.
func TestRandomReaders(t *testing.T) {
	for seed := range 8 {
		t.Run(seedName(seed), func(t *testing.T) { randomReaders(t, uint64(seed)) })
	}
}

type fakeReader struct {
	segment string
	cursor  string
	sub     *Subscription
	got     [][]Item // by shard
}

func randomReaders(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	const shards = 3
	f := newFakeShards(shards, "A", "B", "C")
	_, stores := newFakeStores(shards)
	cfg := Config{Shards: shards, Source: f, Stores: stores, BlockBytes: 4 << 10, MemoryBytes: 60 << 10, DiskBytes: 1 << 30, Age: 1 << 60}
	l := openTest(t, cfg)
	var readers []*fakeReader
	for i := range 8 {
		readers = append(readers, &fakeReader{segment: f.segments[i%3], cursor: l.Now().String(), got: make([][]Item, shards)})
	}
	for range 400 {
		shard := r.IntN(shards)
		e := f.step(r, shard, 1+r.IntN(300)*r.IntN(2))
		l.Append(shard, e.seq, e.changes)
		l.storeAll() // otherwise memory would exceed its bound before the background goroutine runs
		switch r.IntN(20) {
		case 0: // a snapshot of the shard
			if err := l.Sync(shard, e.seq); err != nil {
				t.Fatal(err)
			}
		case 1: // the process ends; the shards' logs replay what was not synced, and more
			l = restart(t, l, cfg, f, r)
			for _, x := range readers {
				x.sub = nil
			}
		case 2, 3, 4:
			x := readers[r.IntN(len(readers))]
			x.read(t, l, r, 1+r.IntN(200))
		}
	}
	for _, x := range readers {
		for range 100_000 {
			if !x.read(t, l, r, 1000) {
				break
			}
		}
		for shard := range shards {
			want := f.truth(x.segment, shard, Position{})
			if !slices.Equal(x.got[shard], want) {
				t.Errorf("seed %d: shard %d of %s: %d items, want %d", seed, shard, x.segment, len(x.got[shard]), len(want))
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// read reads one batch. Sometimes it drops the subscription and keeps only the cursor.
func (x *fakeReader) read(t *testing.T, l *Log, r *rand.Rand, limit int) bool {
	if x.sub == nil {
		var err error
		if x.sub, err = l.Subscribe(context.Background(), Request{Segment: x.segment, From: FromCursor, Cursor: x.cursor}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := x.sub.Next(context.Background(), limit, 0)
	if err != nil {
		t.Fatal(err)
	}
	items := b.Items
	c := b.Cursor
	if len(items) > 1 && r.IntN(2) == 0 { // cut off in the middle of a batch
		items = items[:r.IntN(len(items))]
		c = b.Start.Clone()
		for i := range items {
			c.Advance(&items[i])
		}
		x.sub = nil
	} else if r.IntN(4) == 0 {
		x.sub = nil
	}
	for _, item := range items {
		x.got[item.Shard] = append(x.got[item.Shard], item)
	}
	x.cursor = c.String()
	return len(b.Items) > 0
}

func restart(t *testing.T, l *Log, cfg Config, f *fakeShards, r *rand.Rand) *Log {
	if r.IntN(2) == 0 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	} else { // crash: without the last sync
		l.stop()
		l.running.Wait()
	}
	l = openTest(t, cfg)
	for shard := range f.entries {
		entries := f.entries[shard]
		if len(entries) == 0 {
			continue
		}
		// The shard's snapshot is never newer than what was synced.
		synced := l.shards[shard].mu.head
		from := 0
		for i, e := range entries {
			if e.seq <= synced {
				from = i
			}
		}
		from = r.IntN(from + 1)
		if from > 0 {
			l.Restored(shard, entries[from-1].seq, entries[from-1].at)
		}
		for _, e := range entries[from:] {
			l.Append(shard, e.seq, e.changes)
			l.storeAll()
		}
	}
	return l
}

// TestSnapshots: a snapshot and the changes after it, read while changes continue and with reconnects
// between pages, add up to the membership.
func TestSnapshots(t *testing.T) {
	for seed := range 10 {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		f := newFakeShards(4, "A", "B")
		l := openTest(t, Config{Shards: 4, Source: f})
		grow := func(n int) {
			for range n {
				shard := r.IntN(4)
				e := f.step(r, shard, 300)
				l.Append(shard, e.seq, e.changes)
			}
		}
		grow(30)
		sub, err := l.Subscribe(context.Background(), Request{Segment: "A", From: FromSnapshot})
		if err != nil {
			t.Fatal(err)
		}
		state := map[string]bool{}
		for idle := 0; idle < 2; {
			b, err := sub.Next(context.Background(), 1+r.IntN(200), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range b.Members {
				state[id] = true
			}
			for _, item := range b.Items {
				if item.Enter {
					state[item.Profile] = true
				} else {
					delete(state, item.Profile)
				}
			}
			if !b.Snapshot && len(b.Items) == 0 {
				idle++
			}
			if idle == 0 && r.IntN(3) == 0 {
				grow(1)
			}
			if r.IntN(4) == 0 {
				if sub, err = l.Subscribe(context.Background(), Request{Segment: "A", From: FromCursor, Cursor: b.Cursor.String()}); err != nil {
					t.Fatal(err)
				}
			}
		}
		got := make([]string, 0, len(state))
		for id := range state {
			got = append(got, id)
		}
		slices.Sort(got)
		if want := f.list("A"); !slices.Equal(got, want) {
			t.Errorf("seed %d: %d members, want %d", seed, len(got), len(want))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestResync: a cursor that cannot be continued gives an error with the reason, never a gap.
func TestResync(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	f := newFakeShards(1, "A")
	l := openTest(t, Config{Shards: 1, Source: f, MemoryBytes: 300 << 10})
	defer l.Close()
	early := l.Now().String()
	slow, err := l.Subscribe(context.Background(), Request{Segment: "A"})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		e := f.step(r, 0, 1000)
		l.Append(0, e.seq, e.changes)
	}
	if got := l.memory.Load(); got > 400<<10 {
		t.Errorf("%d bytes in memory", got)
	}
	reason := func(l *Log, cursor string) string {
		t.Helper()
		_, err := l.Subscribe(context.Background(), Request{Segment: "A", From: FromCursor, Cursor: cursor})
		reason, ok := IsResync(err)
		if !ok {
			t.Fatalf("no resync: %v", err)
		}
		return reason
	}
	if got := reason(l, early); got != ReasonHorizon {
		t.Errorf("an old cursor: %s", got)
	}
	_, err = slow.Next(context.Background(), 10, 0)
	if got, _ := IsResync(err); got != ReasonHorizon {
		t.Errorf("a slow reader: %v", err)
	}
	now := l.Now()
	now.shards[0].Seq += 5
	if got := reason(l, now.String()); got != ReasonAhead {
		t.Errorf("a cursor from the future: %s", got)
	}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Cluster: "other", Shards: 1, Source: f}, ReasonCluster},
		{Config{Incarnations: []uint64{2}, Shards: 1, Source: f}, ReasonIncarnation},
		{Config{Shards: 2, Source: f}, ReasonIncarnation},
	} {
		other := openTest(t, c.cfg)
		if got := reason(other, l.Now().String()); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
	// A state is restored at a seq after the end of the log: everything before the gap is dropped.
	cursor := l.Now().String()
	f.seqs[0] += 100
	l.Restored(0, f.seqs[0], f.time)
	if got := reason(l, cursor); got != ReasonHorizon {
		t.Errorf("a cursor before the gap: %s", got)
	}
}

// TestRetention: disk use is bounded too, and the horizon survives a crash.
func TestRetention(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	f := newFakeShards(1, "A")
	fakes, stores := newFakeStores(1)
	cfg := Config{Shards: 1, Source: f, Stores: stores, BlockBytes: 8 << 10, MemoryBytes: 64 << 10, DiskBytes: 100 << 10, Age: 1 << 60}
	l := openTest(t, cfg)
	early := l.Now().String()
	for range 100 {
		e := f.step(r, 0, 1500)
		l.Append(0, e.seq, e.changes)
		if err := l.Sync(0, e.seq); err != nil {
			t.Fatal(err)
		}
	}
	l.retain()
	bytes := 0
	for _, b := range fakes[0].blocks {
		bytes += len(b)
	}
	if bytes > 100<<10 {
		t.Errorf("%d bytes on disk", bytes)
	}
	l.stop()
	l.running.Wait()
	l = openTest(t, cfg)
	defer l.Close()
	_, err := l.Subscribe(context.Background(), Request{Segment: "A", From: FromCursor, Cursor: early})
	if _, ok := IsResync(err); !ok {
		t.Errorf("a gap is not reported: %v", err)
	}
	horizon := l.Now()
	horizon.shards[0] = l.shards[0].mu.horizon
	s, err := l.Subscribe(context.Background(), Request{Segment: "A", From: FromCursor, Cursor: horizon.String()})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := drain(t, s, 1000), f.truth("A", 0, horizon.shards[0]); !slices.Equal(got, want) || len(got) == 0 {
		t.Errorf("%d items from the horizon on, want %d", len(got), len(want))
	}
}

// TestDiskRefuses: while nothing can be stored, memory stays bounded and the horizon moves.
func TestDiskRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	f := newFakeShards(1, "A")
	fakes, stores := newFakeStores(1)
	fakes[0].fail = errors.New("disk full")
	l := openTest(t, Config{Shards: 1, Source: f, Stores: stores, MemoryBytes: 256 << 10})
	for range 300 {
		e := f.step(r, 0, 1000)
		l.Append(0, e.seq, e.changes)
	}
	if got := l.memory.Load(); got > 512<<10 {
		t.Errorf("%d bytes in memory", got)
	}
	fakes[0].mu.Lock()
	fakes[0].fail = nil
	fakes[0].mu.Unlock()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestWaiting: a reader is woken by a change of its segment and by nothing else, and gets an empty batch
// when nothing happens.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(6, 6))
		f := newFakeShards(2, "A")
		l := openTest(t, Config{Shards: 2, Source: f})
		s, err := l.Subscribe(t.Context(), Request{Segment: "A"})
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		b, err := s.Next(t.Context(), 10, 30*time.Second)
		if err != nil || len(b.Items) != 0 || time.Since(started) != 30*time.Second {
			t.Errorf("idle: %v after %v (%v)", b, time.Since(started), err)
		}
		go func() {
			for {
				if e := f.step(r, 1, 5); len(e.changes) > 0 {
					l.Append(1, e.seq, e.changes)
					return
				} else {
					l.Append(1, e.seq, nil)
				}
			}
		}()
		started = time.Now()
		b, err = s.Next(t.Context(), 10, 30*time.Second)
		if err != nil || len(b.Items) == 0 || time.Since(started) != 0 {
			t.Errorf("woken: %v after %v (%v)", b, time.Since(started), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := s.Next(ctx, 10, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		go l.Close()
		if _, err := s.Next(t.Context(), 10, time.Hour); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		synctest.Wait()
	})
}

// TestStalledReaders: a thousand readers that do not read use almost no memory.
func TestStalledReaders(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	f := newFakeShards(8, "A", "B")
	l := openTest(t, Config{Shards: 8, Source: f, MemoryBytes: 1 << 20})
	defer l.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	subs := make([]*Subscription, 1000)
	for i := range subs {
		var err error
		if subs[i], err = l.Subscribe(context.Background(), Request{Segment: "A"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		e := f.step(r, i%8, 500)
		l.Append(i%8, e.seq, e.changes)
	}
	f.history, f.of, f.entries = nil, nil, make([][]fakeEntry, 8)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes for 1,000 stalled readers", grown)
	}
	runtime.KeepAlive(subs)
}

// TestCursors: a cursor survives encoding, and a modified text is rejected.
func TestCursors(t *testing.T) {
	c := &Cursor{cluster: 1 << 63, incarnations: []uint64{3, 1 << 62}, shards: []Position{{1, 2}, {1 << 40, 1 << 20}}}
	for range 2 {
		text := c.String()
		back, err := ParseCursor(text)
		if err != nil || back.String() != text || back.behind(c) || c.behind(back) || back.paging != c.paging {
			t.Fatalf("%v: %v, %v", c, back, err)
		}
		for i := range text {
			for _, b := range []byte("A0_") {
				if changed := text[:i] + string(b) + text[i+1:]; changed != text {
					if _, err := ParseCursor(changed); err == nil {
						t.Errorf("%s is accepted", changed)
					}
				}
			}
		}
		c.paging = paging{true, 1, 77}
	}
	further := c.Clone()
	further.Advance(&Item{Shard: 1, Seq: 1 << 40, N: 1 << 20})
	if !c.behind(further) || further.behind(c) {
		t.Error("a cursor is not behind a later one")
	}
}

func FuzzParseCursor(f *testing.F) {
	c := &Cursor{cluster: 5, incarnations: []uint64{3}, shards: []Position{{1, 2}}}
	f.Add(c.String())
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCursor(text); err == nil && c.String() != text {
			t.Errorf("%q comes back as %q", text, c.String())
		}
	})
}

// TestConsumers: acknowledgements only move forward, are stored in one write, and survive a restart.
func TestConsumers(t *testing.T) {
	f := newFakeShards(1, "A")
	table := &fakeTable{}
	cfg := Config{Shards: 1, Source: f, Consumers: table}
	l := openTest(t, cfg)
	r := rand.New(rand.NewPCG(8, 8))
	var cursors []*Cursor
	for range 50 {
		e := f.step(r, 0, 5)
		l.Append(0, e.seq, e.changes)
		cursors = append(cursors, l.Now())
	}
	for i := range 20 {
		if err := l.Consumers().Ack(fmt.Sprint("c", i%2), "A", cursors[20+i], 5); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Consumers().Ack("c0", "A", cursors[3], 5); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Flush(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if table.puts != 1 {
		t.Errorf("%d writes", table.puts)
	}
	l = openTest(t, cfg)
	for _, e := range f.entries[0] {
		l.Append(0, e.seq, e.changes)
	}
	s, err := l.Subscribe(context.Background(), Request{Segment: "A", From: FromAcked, Consumer: "c0"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := drain(t, s, 10), f.truth("A", 0, cursors[38].shards[0]); !slices.Equal(got, want) {
		t.Errorf("%d items, want %d", len(got), len(want))
	}
	fresh, err := l.Subscribe(context.Background(), Request{Segment: "A", From: FromAcked, Consumer: "new"})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := fresh.Next(context.Background(), 10, 0); err != nil || !b.Snapshot {
		t.Errorf("a new consumer begins with %+v (%v)", b, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
