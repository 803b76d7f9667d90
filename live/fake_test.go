package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
)

// fakeShards are shards that change at random. Streams are compared with their history.
type fakeShards struct {
	mu       sync.Mutex
	members  []map[string]map[uint32]bool // by shard and segment
	seqs     []uint64
	entries  [][]fakeEntry // by shard, for a replay
	history  []Item        // of all segments, with Profile
	segments []string
	of       []string // segment of each item in history
	time     int64
}

type fakeEntry struct {
	seq     uint64
	at      int64
	changes []engine.Change
}

func newFakeShards(n int, segments ...string) *fakeShards {
	f := &fakeShards{segments: segments, seqs: make([]uint64, n), entries: make([][]fakeEntry, n), time: 1_000_000}
	for range n {
		f.members = append(f.members, map[string]map[uint32]bool{})
	}
	return f
}

func idOf(shard int, ordinal uint32) string { return fmt.Sprintf("p%d-%d", shard, ordinal) }

// IDs implements Source.
func (f *fakeShards) IDs(shard int, ordinals []uint32, ids []string) []string {
	for _, o := range ordinals {
		ids = append(ids, idOf(shard, o))
	}
	return ids
}

// SegmentMembers implements Source.
func (f *fakeShards) SegmentMembers(_ context.Context, shard int, segment string) (*node.Membership, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &node.Membership{Seq: f.seqs[shard], At: f.time, Ordinals: roaring.New()}
	for o := range f.members[shard][segment] {
		m.Ordinals.Add(o)
	}
	return m, nil
}

// SegmentSizes implements Source.
func (f *fakeShards) SegmentSizes(segment string) ([]node.SegmentSize, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sizes := make([]node.SegmentSize, len(f.seqs))
	for shard, seq := range f.seqs {
		sizes[shard] = node.SegmentSize{Seq: seq, Members: int64(len(f.members[shard][segment]))}
	}
	return sizes, nil
}

// step makes one entry of a shard, of up to most changes per segment, and returns it. Large entries use few
// profiles, so that many leave.
func (f *fakeShards) step(r *rand.Rand, shard, most int) fakeEntry {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seqs[shard] += 1 + uint64(r.IntN(3)) // raft has other entries in between
	f.time += int64(r.IntN(1000))
	e := fakeEntry{seq: f.seqs[shard], at: f.time}
	n, profiles := 0, 100_000
	if most > 2000 {
		profiles = 6000
	}
	for _, segment := range f.segments {
		if r.IntN(3) > 0 {
			continue
		}
		members := f.members[shard][segment]
		if members == nil {
			members = map[uint32]bool{}
			f.members[shard][segment] = members
		}
		c := engine.Change{Seq: e.seq, N: n, Segment: segment, Version: 7, At: f.time, Cause: engine.ByEvent}
		moved := map[uint32]bool{}
		for range 1 + r.IntN(most) {
			o := uint32(r.IntN(profiles))
			if moved[o] {
				continue
			}
			moved[o] = true
			if members[o] {
				c.Exits = append(c.Exits, o)
				delete(members, o)
			} else {
				c.Enters = append(c.Enters, o)
				members[o] = true
			}
		}
		slices.Sort(c.Exits)
		slices.Sort(c.Enters)
		for side, ordinals := range [][]uint32{c.Exits, c.Enters} {
			for _, o := range ordinals {
				f.history = append(f.history, Item{Shard: shard, Seq: e.seq, N: n, Enter: side == 1, Profile: idOf(shard, o), At: c.At, Cause: c.Cause, Version: 7})
				f.of = append(f.of, segment)
				n++
			}
		}
		e.changes = append(e.changes, c)
	}
	f.entries[shard] = append(f.entries[shard], e)
	return e
}

// list returns the sorted ids of the members of a segment.
func (f *fakeShards) list(segment string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for shard := range f.members {
		for o := range f.members[shard][segment] {
			ids = append(ids, idOf(shard, o))
		}
	}
	slices.Sort(ids)
	return ids
}

// truth returns what happened to a segment in a shard from a position on.
func (f *fakeShards) truth(segment string, shard int, from Position) []Item {
	f.mu.Lock()
	defer f.mu.Unlock()
	var items []Item
	for i, item := range f.history {
		if f.of[i] == segment && item.Shard == shard && !(Position{item.Seq, item.N}).less(from) {
			items = append(items, item)
		}
	}
	return items
}

// fakeStore is a Store in memory.
type fakeStore struct {
	mu     sync.Mutex
	blocks map[Position][]byte
	state  []byte
	fail   error // returned by writes
}

func newFakeStores(n int) (all []*fakeStore, stores []Store) {
	for range n {
		s := &fakeStore{blocks: map[Position][]byte{}}
		all, stores = append(all, s), append(stores, s)
	}
	return all, stores
}

func (s *fakeStore) Blocks(fn func(seq uint64, n, size int) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	places := make([]Position, 0, len(s.blocks))
	for p := range s.blocks {
		places = append(places, p)
	}
	sort.Slice(places, func(i, j int) bool { return places[i].less(places[j]) })
	for _, p := range places {
		if err := fn(p.Seq, p.N, len(s.blocks[p])); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeStore) Read(seq uint64, n int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocks[Position{seq, n}], nil
}

func (s *fakeStore) Write(seq uint64, n int, block []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.blocks[Position{seq, n}] = slices.Clone(block)
	return nil
}

func (s *fakeStore) Drop(seq uint64, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.blocks {
		if p.less(Position{seq, n}) {
			delete(s.blocks, p)
		}
	}
	return nil
}

func (s *fakeStore) Cut(seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.blocks {
		if p.Seq > seq {
			delete(s.blocks, p)
		}
	}
	return nil
}

func (s *fakeStore) State() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, nil
}

func (s *fakeStore) Commit(state []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.state = state
	return nil
}

// fakeTable is a disk.Table in memory.
type fakeTable struct {
	mu     sync.Mutex
	values map[string][]byte
	puts   int
}

func (t *fakeTable) All(fn func(key string, value []byte) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, v := range t.values {
		if err := fn(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (t *fakeTable) Put(values map[string][]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.puts++
	if t.values == nil {
		t.values = map[string][]byte{}
	}
	for k, v := range values {
		if v == nil {
			delete(t.values, k)
		} else {
			t.values[k] = v
		}
	}
	return nil
}

func seedName(i int) string { return "seed-" + strconv.Itoa(i) }
