package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/tree"
)

// frozen keeps the memberships of segments that have a rank or a refresh: for everybody they are
// those of the last refresh. So far they are refreshed when somebody asks and the last one is older
// than the segment's period; the live engine will do it by itself.
//
// The language sees a frozen segment as `in list` of a list that only this node knows: its schema
// gives the list an id, its sources the members.
type frozen struct {
	node *Node
	mu   struct {
		sync.Mutex
		by   map[string]*membership
		next uint32 // id of the next new one
	}
}

// membership is a segment's members at one instant, per shard and chunk.
type membership struct {
	version uint64 // of the catalog it was computed with
	at      int64  // Unix ms
	id      uint32
	chunks  [][]query.Bits
}

// frozenList is the id from which lists are frozen segments: the catalog's are far below.
const frozenList = 1 << 31

// frozenPrefix makes names that no list of the catalog can have: they hold no zero byte.
const frozenPrefix = "\x00frozen:"

func newFrozen(n *Node) *frozen {
	f := &frozen{node: n}
	f.mu.by, f.mu.next = map[string]*membership{}, frozenList
	return f
}

// frozenSchema is a catalog that also knows the frozen segments of one statement.
type frozenSchema struct {
	query.Schema
	lists map[string]uint32
}

// List implements query.Schema.
func (s frozenSchema) List(name string) (uint32, bool) {
	if id, ok := s.lists[name]; ok {
		return id, true
	}
	return s.Schema.List(name)
}

// frozenSource is a view that also holds the frozen segments of one statement.
type frozenSource struct {
	query.Source
	shard int
	lists map[uint32]*membership
}

// InList implements query.Source. Profiles that came after the refresh are no members.
func (s frozenSource) InList(list uint32, chunk int, out *query.Bits) {
	m, ok := s.lists[list]
	if !ok {
		s.Source.InList(list, chunk, out)
		return
	}
	*out = query.Bits{}
	if s.shard < len(m.chunks) && chunk < len(m.chunks[s.shard]) {
		*out = m.chunks[s.shard][chunk]
	}
}

// substitute makes the frozen segments of a checked statement refer to their last refresh, refreshing
// those that are due. It returns the schema to go on with.
func (f *frozen) substitute(ctx context.Context, stmt tree.Stmt, schema query.Schema, v *views) (query.Schema, error) {
	var segments []*tree.InSegment
	eachSegment(stmt, func(s *tree.InSegment) { segments = append(segments, s) })
	return f.freeze(ctx, segments, schema, v)
}

func (f *frozen) freeze(ctx context.Context, segments []*tree.InSegment, schema query.Schema, v *views) (query.Schema, error) {
	out := frozenSchema{Schema: schema, lists: map[string]uint32{}}
	for _, s := range segments {
		if s.Def == nil || !isFrozen(s.Def) {
			continue
		}
		m, err := f.membership(ctx, s.Name, s.Def, schema, v)
		if err != nil {
			return nil, err
		}
		name := frozenPrefix + s.Name
		out.lists[name] = m.id
		v.freeze(m)
		def := *s.Def
		def.Pred = &tree.InList{Name: name}
		s.Def = &def
	}
	if len(out.lists) == 0 {
		return schema, nil
	}
	return out, nil
}

// isFrozen tells whether a segment is refreshed and not always current.
func isFrozen(s *tree.Segment) bool {
	return s.Refresh.N > 0 || hasRank(s.Pred)
}

func (f *frozen) period(s *tree.Segment) time.Duration {
	if ms, ok := s.Refresh.Millis(); ok && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return f.node.config.DefaultRefresh
}

// membership returns the last refresh, or makes one. Two askers may refresh at once; the newer wins.
func (f *frozen) membership(ctx context.Context, name string, def *tree.Segment, schema query.Schema, v *views) (*membership, error) {
	text, ok := f.node.registry.state.Load().SegmentText(name)
	if !ok {
		return nil, noSegment(name)
	}
	f.mu.Lock()
	m := f.mu.by[name]
	f.mu.Unlock()
	if m != nil && m.version == text.Version && v.now-m.at < f.period(def).Milliseconds() {
		return m, nil
	}
	pred, _, err := check.Predicate(&tree.InSegment{Name: name}, schema)
	if err != nil {
		return nil, err
	}
	fresh := &membership{version: text.Version, at: v.now}
	if fresh.chunks, err = f.node.asker.evaluate(ctx, pred, schema, v); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if m = f.mu.by[name]; m != nil {
		fresh.id = m.id
	} else {
		fresh.id = f.mu.next
		f.mu.next++
	}
	f.mu.by[name] = fresh
	return fresh, nil
}
