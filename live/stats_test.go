package live

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// TestStats: enters, exits and sizes equal those of the history.
func TestStats(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	f := newFakeShards(3, "A", "B")
	_, stores := newFakeStores(3)
	l := openTest(t, Config{Shards: 3, Source: f, Stores: stores, BlockBytes: 4 << 10, MemoryBytes: 64 << 10})
	defer l.Close()
	since := f.time
	for range 150 {
		shard := r.IntN(3)
		e := f.step(r, shard, 400)
		l.Append(shard, e.seq, e.changes)
		l.storeAll()
	}
	until := f.time - 5000
	got, err := l.Stats(context.Background(), "A", since+5000, until, 7000)
	if err != nil {
		t.Fatal(err)
	}
	if int(got.Size) != len(f.list("A")) || got.Since != since+5000 {
		t.Errorf("size %d since %d", got.Size, got.Since)
	}
	for i, x := range got.Steps {
		enters, exits, size := int64(0), int64(0), int64(0)
		end := min(x.From+7000, until)
		for k, item := range f.history {
			if f.of[k] != "A" || item.At >= end {
				continue
			}
			net := int64(-1)
			if item.Enter {
				net = 1
			}
			size += net
			if item.At >= x.From {
				enters += (net + 1) / 2
				exits += (1 - net) / 2
			}
		}
		if x.Enters != enters || x.Exits != exits || x.Size != size {
			t.Errorf("step %d: %+v, want %d %d %d", i, x, enters, exits, size)
		}
	}
}

// TestStatsByTheHour: counted hours and reading the log give the same result, also after a restart.
func TestStatsByTheHour(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	f := newFakeShards(3, "A", "B")
	_, stores := newFakeStores(3)
	cfg := Config{Shards: 3, Source: f, Stores: stores, BlockBytes: 4 << 10, MemoryBytes: 64 << 10, Age: 1 << 60}
	l := openTest(t, cfg)
	for i := range 150 {
		shard := r.IntN(3)
		f.time += hour / 10
		e := f.step(r, shard, 100)
		l.Append(shard, e.seq, e.changes)
		if i == 100 {
			l = restart(t, l, cfg, f, r)
		}
	}
	defer l.Close()
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		for {
			if _, ok := l.hours.hoursSince("A", 0); ok {
				return
			}
			runtime.Gosched()
		}
	}()
	<-ready
	until := (f.time/hour + 1) * hour
	counted, err := l.Stats(context.Background(), "A", 0, until, 3*hour)
	if err != nil {
		t.Fatal(err)
	}
	l.hours.mu.ready = false
	read, err := l.Stats(context.Background(), "A", 0, until, 3*hour)
	if err != nil {
		t.Fatal(err)
	}
	if counted.Size != read.Size || !slices.Equal(counted.Steps, read.Steps) || int(read.Size) != len(f.list("A")) {
		t.Errorf("counted %+v\nread %+v", counted, read)
	}
	// The shard's state may be an entry ahead of the log.
	l.hours.counted()
	ahead := f.step(r, 1, 300)
	appended := make(chan struct{})
	go func() {
		defer close(appended)
		l.Append(1, ahead.seq, ahead.changes)
	}()
	until = (f.time/hour + 1) * hour
	counted, err = l.Stats(context.Background(), "A", 0, until, hour)
	<-appended
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, x := range counted.Steps {
		if sum += x.Enters - x.Exits; sum != x.Size {
			t.Fatalf("enters less exits are %d at %d, the size is %d", sum, x.From, x.Size)
		}
	}
	if int(sum) != len(f.list("A")) {
		t.Errorf("%d members, want %d", sum, len(f.list("A")))
	}
}
