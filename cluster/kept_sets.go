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

// A saved segment may use `was in segment`, though changes of membership are kept for days and a segment
// forever. So when the segment is saved, the past members are stored as a kept set of the catalog, and
// the shards evaluate that set instead. Its name is the expression with the instant written out, so
// segments with the same expression share it. It is dropped when no segment uses it. A kept set is not a
// list: users' statements neither see nor name it.

// keptPrefix is the prefix of the names of kept sets.
const keptPrefix = `was in segment "`

// maxKept is the largest number of members in a kept set.
const maxKept = 1_000_000

// keepPastMembers makes the kept sets that a predicate needs, and returns the predicate with them in
// place of `was in segment`. zone is the time zone of the segment.
func (n *Node) keepPastMembers(ctx context.Context, p tree.Pred, zone string) (tree.Pred, error) {
	if zone == "" {
		zone = n.registry.state.Load().Zone()
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return p, nil // the check returns a better error
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

// keepMembers fills a kept set with the members of an instant. A set that a segment uses is complete
// already.
func (n *Node) keepMembers(ctx context.Context, list string, was *tree.WasIn, zone string) error {
	state := n.registry.state.Load()
	if isUsed(state, list) {
		return nil
	}
	if !catalog.ValidName(list) {
		return refused(codes.Refused, fmt.Sprintf("the name of segment %q is too long to store its past members", was.Name))
	}
	if _, ok := state.SegmentText(was.Name); !ok {
		return nil // the check returns a better error
	}
	ids, err := n.pastIDs(ctx, was, zone)
	if err != nil {
		return err
	}
	return n.editList(ctx, catalog.Change{Kind: catalog.KeepSet, Name: list}, ids, nil)
}

// pastIDs returns the current ids of the members of an instant.
func (n *Node) pastIDs(ctx context.Context, was *tree.WasIn, zone string) (ids []string, err error) {
	if err := n.asker.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer n.asker.pool.Leave()
	v := n.takeViews()
	defer v.release()
	// An unnamed segment evaluates the expression in the zone it was saved in.
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
		return nil, refused(codes.Refused, fmt.Sprintf("segment %q had more than %d members at that time: too many to store for a saved segment", was.Name, maxKept))
	}
	return ids, nil
}

// eachWasIn returns p with every `was in segment` replaced by the result of by.
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

// isUsed reports whether a saved segment uses a kept set.
func isUsed(s *catalog.State, list string) bool {
	for _, segment := range s.Segments() {
		if usesList(segment.Tree().Pred, list) {
			return true
		}
	}
	return false
}

// unusedKept returns a kept set that no segment uses.
func unusedKept(s *catalog.State) (name string, ok bool) {
	for _, kept := range s.Kept() {
		if !isUsed(s, kept.Name) {
			return kept.Name, true
		}
	}
	return "", false
}

// dropUnusedKept drops the kept sets that no segment uses any more. A caller that is about to save a
// segment that uses one fills it again.
func (n *Node) dropUnusedKept(ctx context.Context) error {
	for {
		dropped := false
		state, err := n.definer.change(ctx, func(s *catalog.State) (catalog.Change, error) {
			name, ok := unusedKept(s)
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

// refuseKeptSets refuses a user's predicate or statement that names a kept set: to users it does not
// exist.
func refuseKeptSets(s *catalog.State, n tree.Node) error {
	var found error
	tree.Inspect(n, func(n tree.Node) bool {
		if in, ok := n.(*tree.InList); ok && found == nil && s.IsKept(in.Name) {
			found = &tree.Diagnostic{Code: tree.CodeUnknownList, Message: fmt.Sprintf("there is no list %q", in.Name), At: in.At}
		}
		return found == nil
	})
	return found
}

// savedText returns the text of a segment as the shards get it. The kept sets it uses must exist in s,
// the state that the segment is made from.
func savedText(s *catalog.State, p tree.Pred) (string, error) {
	var missing error
	tree.Inspect(p, func(n tree.Node) bool {
		if in, ok := n.(*tree.InList); ok && strings.HasPrefix(in.Name, keptPrefix) {
			if !s.IsKept(in.Name) {
				missing = notReady("the stored past members were dropped in the meantime", nil)
			}
		}
		return true
	})
	return syntax.FormatPred(p), missing
}
