package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// A saved segment may ask was in segment, though changes are kept for days and a segment for ever: the
// members of then are kept as a set of the catalog when the segment is saved, and the shards are given the set
// in place of the question. Its name is the question with the instant written out, so that segments that
// ask the same share it; it goes when none does. It is no list: none of a user's statements sees or names it.

// keptPrefix begins the names of kept sets.
const keptPrefix = `was in segment "`

// maxKept is how many members may be kept for one segment.
const maxKept = 1_000_000

// keepPast makes the lists that a predicate needs, and returns it with them in the place of the past. zone
// is that of the segment.
func (n *Node) keepPast(ctx context.Context, p tree.Pred, zone string) (tree.Pred, error) {
	if zone == "" {
		zone = n.registry.state.Load().Zone()
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return p, nil // the check says so better
	}
	return eachWasIn(p, func(was *tree.WasIn) (tree.Pred, error) {
		at, _ := calendar.Span(was.At, location)
		name := keptPrefix + was.Name + `" at ` + time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.999Z07:00")
		if err := n.keepMembers(ctx, name, was, zone); err != nil {
			return nil, err
		}
		return &tree.InList{Name: name, At: was.Pos}, nil
	})
}

// keepMembers fills a list with the members of an instant. One that a segment asks is full.
func (n *Node) keepMembers(ctx context.Context, list string, was *tree.WasIn, zone string) error {
	state := n.registry.state.Load()
	if isAsked(state, list) {
		return nil
	}
	if !catalog.ValidName(list) {
		return refused(codes.Refused, fmt.Sprintf("the name of segment %q is too long to keep its members of then", was.Name))
	}
	if _, ok := state.SegmentText(was.Name); !ok {
		return nil // the check says so better
	}
	ids, err := n.pastIDs(ctx, was, zone)
	if err != nil {
		return err
	}
	return n.editList(ctx, catalog.Change{Kind: catalog.KeepSet, Name: list}, ids, nil)
}

// pastIDs returns the ids of the members of an instant, as they are called now.
func (n *Node) pastIDs(ctx context.Context, was *tree.WasIn, zone string) (ids []string, err error) {
	if err := n.asker.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer n.asker.pool.Leave()
	v := n.takeViews()
	defer v.release()
	// A segment without a name puts the question into the zone it was saved in.
	pred := &tree.InSegment{Def: &tree.Segment{Zone: zone, Pred: was}}
	plan, err := exec.PrepareMembers(pred, n.Schema(), exec.Options{Now: v.now, Budget: n.config.StatementBytes, Memory: n.asker.memory})
	if err != nil {
		return nil, err
	}
	defer plan.Release()
	if err := n.resolve(ctx, v, plan.Inputs()); err != nil {
		return nil, err
	}
	found, err := n.asker.pool.Members(ctx, plan, v.sources(), -1, maxKept+1)
	if err != nil {
		return nil, busyMemory(err)
	}
	for _, set := range found {
		for i := range roaring.Values(set.Members) {
			ids = append(ids, v.all[set.Shard()].ID(uint32(set.Chunk())<<query.ChunkBits|i))
		}
	}
	if len(ids) > maxKept {
		return nil, refused(codes.Refused, fmt.Sprintf("segment %q had more than %d members then: too many to keep for a saved segment", was.Name, maxKept))
	}
	return ids, nil
}

// eachWasIn returns p with every `was in segment` replaced.
func eachWasIn(p tree.Pred, by func(*tree.WasIn) (tree.Pred, error)) (tree.Pred, error) {
	each := func(args []tree.Pred) ([]tree.Pred, error) {
		out := slices.Clone(args)
		for i := range out {
			var err error
			if out[i], err = eachWasIn(out[i], by); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	switch p := p.(type) {
	case *tree.And:
		args, err := each(p.Args)
		return &tree.And{Args: args}, err
	case *tree.Or:
		args, err := each(p.Args)
		return &tree.Or{Args: args}, err
	case *tree.Not:
		arg, err := eachWasIn(p.Arg, by)
		return &tree.Not{Arg: arg}, err
	case *tree.WasIn:
		return by(p)
	}
	return p, nil
}

// isAsked reports whether a saved segment asks a set that was kept.
func isAsked(s *catalog.State, list string) bool {
	for _, segment := range s.Segments() {
		if asksList(segment.Tree().Pred, list) {
			return true
		}
	}
	return false
}

// unasked returns a kept set that no segment asks.
func unasked(s *catalog.State) (name string, ok bool) {
	for _, kept := range s.Kept() {
		if !isAsked(s, kept.Name) {
			return kept.Name, true
		}
	}
	return "", false
}

// dropKept drops the sets that were kept for segments, and that none asks any more. Whoever is about to
// save a segment that asks one fills it again.
func (n *Node) dropKept(ctx context.Context) error {
	for {
		dropped := false
		state, err := n.definer.change(ctx, func(s *catalog.State) (catalog.Change, error) {
			name, ok := unasked(s)
			if dropped = ok; !ok {
				return catalog.Change{}, nil
			}
			return catalog.Change{Kind: catalog.DropList, Name: name}, nil
		})
		if err != nil || !dropped {
			return err
		}
		if err := n.awaitCatalog(ctx, state.Version()); err != nil {
			return err
		}
	}
}

// addressable refuses predicates of users that name a kept set: for them there is none.
func addressable(s *catalog.State, n tree.Node) error {
	var found error
	tree.Inspect(n, func(n tree.Node) bool {
		if in, ok := n.(*tree.InList); ok && found == nil && s.IsKept(in.Name) {
			found = &tree.Diagnostic{Code: tree.CodeUnknownList, Message: fmt.Sprintf("there is no list %q", in.Name), At: in.At}
		}
		return found == nil
	})
	return found
}

// savedText is the text of a segment as the shards are given it: its kept sets must be there in the very state
// the segment is made from.
func savedText(s *catalog.State, p tree.Pred) (string, error) {
	var missing error
	tree.Inspect(p, func(n tree.Node) bool {
		if in, ok := n.(*tree.InList); ok && strings.HasPrefix(in.Name, keptPrefix) {
			if !s.IsKept(in.Name) {
				missing = notReady("the members of then were dropped meanwhile", nil)
			}
		}
		return true
	})
	return syntax.FormatPred(p), missing
}
