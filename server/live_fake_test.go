package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/live"
)

// fakeLive is a change log over fake shards.
type fakeLive struct {
	*live.Log
	mu      sync.Mutex
	members []map[uint32]bool // of the segment VIP, by shard
	seqs    []uint64
	time    int64
}

func newFakeLive(t testing.TB, shards int, change func(*live.Config)) *fakeLive {
	t.Helper()
	f := &fakeLive{seqs: make([]uint64, shards), time: at.UnixMilli()}
	for range shards {
		f.members = append(f.members, map[uint32]bool{})
	}
	cfg := live.Config{Cluster: "test", Shards: shards, Source: f}
	if change != nil {
		change(&cfg)
	}
	var err error
	if f.Log, err = live.Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Log.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// IDs implements live.Source.
func (f *fakeLive) IDs(shard int, ordinals []uint32, ids []string) []string {
	for _, o := range ordinals {
		ids = append(ids, fmt.Sprintf("u%d-%d", shard, o))
	}
	return ids
}

// SegmentMembers implements live.Source.
func (f *fakeLive) SegmentMembers(_ context.Context, shard int, _ string) (*node.Membership, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &node.Membership{Seq: f.seqs[shard], Ordinals: roaring.New()}
	for o := range f.members[shard] {
		m.Ordinals.Add(o)
	}
	return m, nil
}

// SegmentSizes implements live.Source.
func (f *fakeLive) SegmentSizes(string) ([]node.SegmentSize, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sizes := make([]node.SegmentSize, len(f.seqs))
	for shard, seq := range f.seqs {
		sizes[shard] = node.SegmentSize{Seq: seq, Members: int64(len(f.members[shard]))}
	}
	return sizes, nil
}

// flip makes profiles enter, or leave if they are members, in one log entry of a shard.
func (f *fakeLive) flip(shard int, ordinals ...uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seqs[shard]++
	f.time += 10
	c := engine.Change{Seq: f.seqs[shard], Segment: "VIP", Version: 4, At: f.time, Cause: engine.ByEvent}
	slices.Sort(ordinals)
	for _, o := range slices.Compact(ordinals) {
		if f.members[shard][o] {
			c.Exits = append(c.Exits, o)
			delete(f.members[shard], o)
		} else {
			c.Enters = append(c.Enters, o)
			f.members[shard][o] = true
		}
	}
	f.Append(shard, c.Seq, []engine.Change{c})
}

func (f *fakeLive) random(r *rand.Rand, most int) {
	ordinals := make([]uint32, 1+r.IntN(most))
	for i := range ordinals {
		ordinals[i] = uint32(r.IntN(5000))
	}
	f.flip(r.IntN(len(f.seqs)), ordinals...)
}

func (f *fakeLive) list() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for shard := range f.members {
		for o := range f.members[shard] {
			ids = append(ids, fmt.Sprintf("u%d-%d", shard, o))
		}
	}
	slices.Sort(ids)
	return ids
}

// newLiveServer serves a fake change log on real connections.
func newLiveServer(t testing.TB, f *fakeLive, change func(*Config)) (*Server, *httptest.Server) {
	t.Helper()
	fake := &Node{Segments: segmentsOf(node.SegmentText{Name: "VIP", Predicate: "age > 3", Version: 4}), Health: fakeHealth{fullStatus()}}
	s := newTestServer(t, fake, change)
	s.AttachLive(f)
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		s.streams.end()
		h.Close()
	})
	return s, h
}
