package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// heldSegments returns the lookup of the held segments of a catalog: those with a rank or a refresh.
func heldSegments(state *catalog.State) query.Held {
	return func(segment string) (uint64, bool) {
		text, ok := state.SegmentText(segment)
		if !ok || !member.IsHeld(text.Tree()) {
			return 0, false
		}
		return text.Version, true
	}
}

// resolvedInput is what one shard knows of an input. All of it is plain data except the set, which stays
// with the shard.
type resolvedInput struct {
	set    query.Set // of a held segment
	past   *roaring.Bitmap
	left   []string // ids of past members that are no longer profiles of the shard
	absent bool     // the shard does not have the definition yet
	failed string   // why the segment cannot be evaluated
	since  int64    // 0, or the past is known only from this instant on, Unix ms
	made   bool     // the segment was made at since
}

// resolve gives each view the sets of some inputs. An error that the user can correct is a
// *tree.Diagnostic at the place of the input.
func (n *Node) resolve(ctx context.Context, v *views, inputs []query.Input) error {
	v.inputs = make([][]query.Set, len(v.all))
	for _, in := range inputs {
		sets, err := n.resolveInput(ctx, v, in)
		if d, ok := err.(*tree.Diagnostic); ok && d.At.Length == 0 {
			placed := *d
			placed.At = in.Pos
			err = &placed
		}
		if err != nil {
			return err
		}
		for shard, set := range sets {
			v.inputs[shard] = append(v.inputs[shard], set)
		}
	}
	return nil
}

// resolveInput resolves an input in every shard and merges the results.
func (n *Node) resolveInput(ctx context.Context, v *views, in query.Input) ([]query.Set, error) {
	if in.Past && in.At > v.now {
		return nil, &tree.Diagnostic{Code: tree.CodeBadTime, Message: "the instant is in the future", Hint: "use  in segment  for the current members"}
	}
	if in.Past && n.changes == nil {
		return nil, refused(codes.Unavailable, "this node does not keep changes of membership")
	}
	shards := make([]resolvedInput, len(v.all))
	for shard, view := range v.all {
		var err error
		if shards[shard], err = n.resolveIn(ctx, shard, view, in); err != nil {
			return nil, err
		}
	}
	if err := unresolvedError(in, shards); err != nil {
		return nil, err
	}
	if in.Past {
		addMerged(v, shards)
	}
	sets := make([]query.Set, len(shards))
	for i := range shards {
		if sets[i] = shards[i].set; in.Past {
			sets[i] = splitByChunk(shards[i].past)
		}
	}
	return sets, nil
}

// resolveIn resolves an input in one shard.
func (n *Node) resolveIn(ctx context.Context, shard int, view *engine.View, in query.Input) (resolvedInput, error) {
	m, ok := view.Members(in.Segment)
	if in.Past {
		now := &node.Membership{Seq: view.Seq(), At: view.Time(), Ordinals: roaring.New()}
		if ok {
			now.Ordinals = m.Ordinals()
		}
		return n.resolvePast(ctx, shard, view, in, now)
	}
	text, _ := view.Catalog().SegmentText(in.Segment)
	r := resolvedInput{set: &m, absent: !ok || text.Version < in.Version}
	if ok && m.State == engine.SegmentFailed {
		r.failed = m.Reason
	}
	return r, nil
}

func (n *Node) resolvePast(ctx context.Context, shard int, view *engine.View, in query.Input, now *node.Membership) (resolvedInput, error) {
	was, err := n.changes.Past(ctx, shard, in.Segment, in.At, now)
	var unknown *node.UnknownPastError
	if errors.As(err, &unknown) {
		return resolvedInput{since: unknown.Since, made: unknown.Made}, nil
	}
	if err != nil {
		return resolvedInput{}, fmt.Errorf("read changes of shard %d: %w", shard, err)
	}
	r := resolvedInput{past: was.Ordinals}
	gone := roaring.AndNot(r.past, view.Ordinals())
	if gone.IsEmpty() {
		return r, nil
	}
	if r.left, err = n.changes.Left(ctx, shard, in.Segment, in.At, view.Seq(), gone); err != nil {
		return resolvedInput{}, fmt.Errorf("read changes of shard %d: %w", shard, err)
	}
	for _, ordinal := range view.Hidden() { // they are about to leave the shard
		if gone.Contains(ordinal) {
			r.left = append(r.left, view.ID(ordinal))
		}
	}
	return r, nil
}

// unresolvedError returns why an input has no answer, or nil. Of several shards that do not know the
// past it reports the one that knows least.
func unresolvedError(in query.Input, shards []resolvedInput) error {
	var least resolvedInput
	for _, r := range shards {
		switch {
		case r.absent:
			return notReady(fmt.Sprintf("segment %q has not reached every shard", in.Segment), nil)
		case r.failed != "":
			return refused(codes.Refused, fmt.Sprintf("segment %q cannot be evaluated: %s", in.Segment, r.failed))
		case r.since == 0:
		case least.since == 0 || least.made && !r.made || least.made == r.made && r.since > least.since:
			least = r
		}
	}
	stamp := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z07:00") }
	switch {
	case least.since == 0:
		return nil
	case least.made:
		return &tree.Diagnostic{Code: tree.CodeUnknownPast, Message: fmt.Sprintf("segment %q did not exist yet at %s", in.Segment, stamp(in.At)),
			Hint: fmt.Sprintf("its members are known since %s, when it was made", stamp(least.since))}
	}
	return &tree.Diagnostic{Code: tree.CodeUnknownPast, Message: fmt.Sprintf("the members of segment %q at %s are no longer known", in.Segment, stamp(in.At)),
		Hint: fmt.Sprintf("changes are kept since %s", stamp(least.since))}
}

// claim is a profile of a shard that one of some ids belongs to; own reports whether it is the profile's
// canonical id.
type claim struct {
	id      int
	ordinal uint32
	own     bool
}

// claims returns the profiles of a shard that some ids belong to.
func claims(view *engine.View, ids []string) (all []claim) {
	for i, id := range ids {
		if ordinal, ok := view.Find(id); ok {
			all = append(all, claim{i, ordinal, view.ID(ordinal) == id})
		}
	}
	return all
}

// addMerged adds the profiles that past members have been joined to since: the person was a member,
// whatever the profile is called now. An erased member is not added, whoever uses its id now. The ids
// that left any shard are looked up in every shard. If several shards have an id, the one it is placed
// in counts.
func addMerged(v *views, shards []resolvedInput) {
	var ids []string
	for _, r := range shards {
		ids = append(ids, r.left...)
	}
	if len(ids) == 0 {
		return
	}
	type owner struct {
		shard int // -1: none
		claim
	}
	owners := make([]owner, len(ids))
	for i := range owners {
		owners[i].shard = -1
	}
	for shard, view := range v.all {
		for _, c := range claims(view, ids) {
			if owners[c.id].shard < 0 || shard == place(ids[c.id], len(v.all)) {
				owners[c.id] = owner{shard, c}
			}
		}
	}
	for _, o := range owners {
		if o.shard >= 0 && !o.own {
			shards[o.shard].past.Add(o.ordinal)
		}
	}
}

// chunkSets is a set of ordinals as one bitmap of positions per chunk.
type chunkSets []*roaring.Bitmap

// Fill implements query.Set.
func (s chunkSets) Fill(chunk int, out *query.Bits) {
	*out = query.Bits{}
	if chunk < len(s) {
		s[chunk].WriteDenseTo(out[:])
	}
}

// splitByChunk splits a set of ordinals into one bitmap of positions per chunk.
func splitByChunk(all *roaring.Bitmap) chunkSets {
	if all.IsEmpty() {
		return nil
	}
	chunks := make(chunkSets, all.Maximum()>>query.ChunkBits+1)
	for chunk := range chunks {
		first := int64(chunk) << query.ChunkBits
		those := roaring.New()
		those.AddRange(uint64(first), uint64(first)+query.ChunkSize)
		those.And(all)
		chunks[chunk] = roaring.AddOffset64(those, -first)
	}
	return chunks
}

// shardSource is a view with the sets of a statement's inputs.
type shardSource struct {
	*engine.View
	inputs []query.Set
}

// Inputs implements query.Source.
func (s shardSource) Inputs() []query.Set { return s.inputs }
