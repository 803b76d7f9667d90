package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// sets are the memberships that a statement takes from its views: held segments (those with a rank or a
// refresh) as live membership has them, and past ones as the changes tell. The language asks for them as
// lists whose ids only the statement knows.
type sets struct {
	ctx     context.Context
	node    *Node
	views   *views
	catalog *catalog.State
	mu      struct {
		sync.Mutex
		held   map[string]uint32
		past   map[pastSet]uint32
		lists  []setMembers // by list, from ownList on
		failed error        // what a held segment lacks
	}
}

type pastSet struct {
	segment string
	at      int64
}

// setMembers fills in the members of one shard and chunk.
type setMembers func(shard, chunk int, out *query.Bits)

// ownList is the id from which lists are sets of the statement: the catalog's are far below.
const ownList = 1 << 31

var _ query.Sets = (*sets)(nil)

func newSets(ctx context.Context, n *Node, v *views) *sets {
	s := &sets{ctx: ctx, node: n, views: v, catalog: n.registry.state.Load()}
	s.mu.held, s.mu.past = map[string]uint32{}, map[pastSet]uint32{}
	return s
}

func (s *sets) addLocked(m setMembers) uint32 {
	s.mu.lists = append(s.mu.lists, m)
	return ownList + uint32(len(s.mu.lists)) - 1
}

// Held implements query.Sets.
func (s *sets) Held(name string) (uint32, bool) {
	text, ok := s.catalog.SegmentText(name)
	if !ok || !member.IsHeld(text.Tree()) {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if list, ok := s.mu.held[name]; ok {
		return list, true
	}
	shards := make([]engine.Segment, len(s.views.all))
	for i, view := range s.views.all {
		m, ok := view.Members(name)
		if !ok {
			s.mu.failed = errors.Join(s.mu.failed, notReady(fmt.Sprintf("segment %q has not reached every shard", name), nil))
			return 0, true
		}
		if m.State == engine.SegmentFailed {
			s.mu.failed = errors.Join(s.mu.failed, refused("refused", fmt.Sprintf("segment %q cannot be evaluated: %s", name, m.Reason)))
		}
		shards[i] = m
	}
	s.mu.held[name] = s.addLocked(func(shard, chunk int, out *query.Bits) { shards[shard].Fill(chunk, out) })
	return s.mu.held[name], true
}

// failed is why the answer does not count: a held segment could not be read.
func (s *sets) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.failed
}

// Past implements query.Sets.
func (s *sets) Past(name string, at int64) (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := pastSet{name, at}
	if list, ok := s.mu.past[key]; ok {
		return list, nil
	}
	members, err := s.past(name, at)
	if err != nil {
		return 0, err
	}
	shards := make([][]*roaring.Bitmap, len(members))
	for shard, all := range members {
		shards[shard] = byChunk(all)
	}
	s.mu.past[key] = s.addLocked(func(shard, chunk int, out *query.Bits) {
		*out = query.Bits{}
		if chunk < len(shards[shard]) {
			shards[shard][chunk].WriteDenseTo(out[:])
		}
	})
	return s.mu.past[key], nil
}

// unknownPast is an error of Changes.Past: what was is known from an instant on only.
type unknownPast interface {
	error
	// Known returns that instant, Unix ms, and whether the segment was made then.
	Known() (since int64, made bool)
}

// past returns the members a segment had, by shard. Of several shards the one that knows least is told.
func (s *sets) past(name string, at int64) ([]*roaring.Bitmap, error) {
	if at > s.views.now {
		return nil, &tree.Diagnostic{Code: "bad_time", Message: "the instant lies in the future", Hint: "ask  in segment  for the members of now"}
	}
	if s.node.changes == nil {
		return nil, refused("unavailable", "this node keeps no changes of membership")
	}
	shards := make([]*roaring.Bitmap, len(s.views.all))
	known, made := int64(0), false
	for shard, view := range s.views.all {
		now := &node.Membership{Seq: view.Seq(), At: view.Time(), Ordinals: roaring.New()}
		if m, ok := view.Members(name); ok {
			now.Ordinals = m.Ordinals()
		}
		was, err := s.node.changes.Past(s.ctx, shard, name, at, now)
		var unknown unknownPast
		if errors.As(err, &unknown) {
			since, begins := unknown.Known()
			if known == 0 || made && !begins || made == begins && since > known {
				known, made = since, begins
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read changes of shard %d: %w", shard, err)
		}
		shards[shard] = was.Ordinals
	}
	if known == 0 {
		return shards, s.follow(name, at, shards)
	}
	stamp := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z07:00") }
	if made {
		return nil, &tree.Diagnostic{Code: "unknown_past", Message: fmt.Sprintf("segment %q did not exist yet at %s", name, stamp(at)),
			Hint: fmt.Sprintf("its members are known since %s, when it was made", stamp(known))}
	}
	return nil, &tree.Diagnostic{Code: "unknown_past", Message: fmt.Sprintf("the members of segment %q at %s are no longer known", name, stamp(at)),
		Hint: fmt.Sprintf("changes are kept since %s", stamp(known))}
}

// follow adds the profiles that members of then have joined since: who was in stays known as a person. Who
// was erased is not, whoever uses the id now.
func (s *sets) follow(name string, at int64, shards []*roaring.Bitmap) error {
	for shard, view := range s.views.all {
		gone := roaring.AndNot(shards[shard], view.Ordinals())
		if gone.IsEmpty() {
			continue
		}
		ids, err := s.node.changes.Left(s.ctx, shard, name, at, view.Seq(), gone)
		if err != nil {
			return fmt.Errorf("read changes of shard %d: %w", shard, err)
		}
		for _, ordinal := range view.Hidden() { // about to leave
			if gone.Contains(ordinal) {
				ids = append(ids, view.ID(ordinal))
			}
		}
		for _, id := range ids {
			if to, ordinal, ok := s.views.find(id); ok && s.views.all[to].ID(ordinal) != id {
				shards[to].Add(ordinal)
			}
		}
	}
	return nil
}

// byChunk cuts a set of ordinals into the positions of each chunk.
func byChunk(all *roaring.Bitmap) []*roaring.Bitmap {
	if all.IsEmpty() {
		return nil
	}
	chunks := make([]*roaring.Bitmap, all.Maximum()>>query.ChunkBits+1)
	for chunk := range chunks {
		first := int64(chunk) << query.ChunkBits
		those := roaring.New()
		those.AddRange(uint64(first), uint64(first)+query.ChunkSize)
		those.And(all)
		chunks[chunk] = roaring.AddOffset64(those, -first)
	}
	return chunks
}

// setSource is a view that also holds the sets of a statement.
type setSource struct {
	query.Source
	shard int
	sets  *sets
}

// InList implements query.Source.
func (s setSource) InList(list uint32, chunk int, out *query.Bits) {
	if list < ownList {
		s.Source.InList(list, chunk, out)
		return
	}
	s.sets.mu.Lock()
	fill := s.sets.mu.lists[list-ownList]
	s.sets.mu.Unlock()
	fill(s.shard, chunk, out)
}
