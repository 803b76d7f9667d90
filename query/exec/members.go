package exec

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// MemberSet is the set of members in one chunk, by position. Place is that of the chunk's first profile,
// as in Row: the shard's number << 32 | the ordinal.
type MemberSet struct {
	Place   uint64
	Members *roaring.Bitmap
}

// Shard returns the number of the shard.
func (m MemberSet) Shard() int { return int(m.Place >> 32) }

// Chunk returns the chunk.
func (m MemberSet) Chunk() int { return int(uint32(m.Place) >> query.ChunkBits) }

// memberBytes is charged for the members of a chunk in addition to their set.
const memberBytes = 128

func (m MemberSet) size() int { return memberBytes + int(m.Members.GetSizeInBytes()) }

// members finds the profiles that satisfy a predicate.
type members struct {
	where tree.Pred
	found []MemberSet
}

// PrepareMembers compiles a checked predicate, for Pool.Members and Pool.Cuts.
func PrepareMembers(p tree.Pred, s query.Schema, opts Options) (*Plan, error) {
	return prepareStatement(&members{where: p}, s, opts)
}

// prepareStatement is Prepare for statements that have no text.
func prepareStatement(stmt statement, s query.Schema, opts Options) (*Plan, error) {
	p, err := newPlan("", s, opts)
	if err != nil {
		return nil, err
	}
	p.stmt = stmt
	return p, p.declare()
}

func (m *members) preds() []tree.Pred { return []tree.Pred{m.where} }

func (m *members) partial(ctx context.Context, w *worker, _ int) error {
	return w.members(ctx, m.where, func(found *query.Bits) error {
		set := MemberSet{w.place(0), roaring.FromDense(found[:], true)}
		if !w.keep(set.size()) {
			return w.scratch.Err()
		}
		w.part.Sets = append(w.part.Sets, set)
		return nil
	})
}

func (m *members) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		m.found = append(m.found, part.Sets...)
	}
	slices.SortFunc(m.found, func(a, b MemberSet) int { return cmp.Compare(a.Place, b.Place) })
	return true, nil
}

// errNoRows is returned for a plan whose result is not rows.
var errNoRows = errors.New("the result of the plan is not rows")

func (m *members) answer() (*query.Answer, error) { return nil, errNoRows }

// Members returns the result of a plan of PrepareMembers, in the order of shards and chunks. It is for
// callers that run the rounds themselves. REQUIRES: Merge returned done.
func (p *Plan) Members() []MemberSet { return p.stmt.(*members).found }

// Cuts runs the rank rounds of a plan over all sources, and returns the cuts in the order in which the
// ranks occur in the predicate.
//
// REQUIRES: the caller has a slot.
func (p *Pool) Cuts(ctx context.Context, plan *Plan, sources []query.Source) ([]query.Cut, error) {
	shards := Shards(sources)
	for plan.state.Round < plan.ranks.rounds() {
		parts, err := p.Partials(ctx, plan, shards)
		if err != nil {
			return nil, err
		}
		if _, err := plan.Merge(parts); err != nil {
			return nil, err
		}
	}
	return plan.state.Cuts, nil
}

// pageChunks is how many chunks of a page of members are evaluated between two checks whether the page
// is full.
const pageChunks = 16

// Members runs a plan of PrepareMembers over all sources and returns the members of the chunks that have
// some, in the order of shards and chunks. It starts after the given place (-1: at the first profile),
// and stops when it has at least limit members (0: no limit).
//
// REQUIRES: the caller has a slot.
func (p *Pool) Members(ctx context.Context, plan *Plan, sources []query.Source, after int64, limit int) ([]MemberSet, error) {
	if _, err := p.Cuts(ctx, plan, sources); err != nil {
		return nil, err
	}
	shards := Shards(sources)
	f := newFeed(shards)
	next, step := chunksBefore(shards, after), pageChunks
	if limit == 0 {
		step = max(f.to, 1)
	}
	m, n := plan.stmt.(*members), 0
	for ; next < f.to && (limit == 0 || n < limit); next += step {
		parts, err := p.round(&round{pool: p, ctx: ctx, plan: plan, feed: feedOf(shards, next, min(next+step, f.to))})
		if err != nil {
			return nil, err
		}
		had := len(m.found)
		if _, err := m.merge(0, parts); err != nil {
			return nil, err
		}
		for _, set := range m.found[had:] {
			cutMembers(set, after)
			n += int(set.Members.GetCardinality())
		}
	}
	return slices.DeleteFunc(m.found, func(set MemberSet) bool { return set.Members.IsEmpty() }), nil
}

// chunksBefore returns the number of chunks that are entirely before the first place after the given
// one.
func chunksBefore(shards []Shard, after int64) (n int) {
	if after < 0 {
		return 0
	}
	for _, s := range shards {
		switch at := int(after >> 32); {
		case s.Number < at:
			n += s.Chunks()
		case s.Number == at:
			n += min(int(uint32(after)>>query.ChunkBits), s.Chunks())
		}
	}
	return n
}

// cutMembers removes the members up to and including a place.
func cutMembers(set MemberSet, after int64) {
	if after < 0 || uint64(after)>>query.ChunkBits != set.Place>>query.ChunkBits {
		return
	}
	set.Members.RemoveRange(0, uint64(uint16(after))+1)
}
