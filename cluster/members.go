package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// Members calls fn with the canonical id of every member of a predicate, in storage order (shard,
// ordinal), after a position ("" for all), until fn returns false or limit ids were passed (0: no
// limit). Membership is that of the moment of the call, and so is the id of a profile that has been
// joined to another since. A profile that has been erased since is left out.
func (n *Node) Members(ctx context.Context, predicate, after string, limit int, fn func(id, position string) bool) (query.Stats, error) {
	started := time.Now()
	from, err := parsePosition(after)
	if err != nil {
		return query.Stats{}, err
	}
	pred, err := syntax.ParsePred(predicate, syntax.Limits{})
	if err != nil {
		return query.Stats{}, err
	}
	limited, cancel := context.WithTimeout(ctx, n.config.StatementTime)
	defer cancel()
	departures := n.watchDepartures()
	defer departures.end()
	found, stats, err := n.findMembers(limited, pred, from, limit)
	if err != nil {
		return stats, timeLimit(ctx, diagnose(err, predicate))
	}
	stats.ElapsedMillis = float64(time.Since(started).Microseconds()) / 1000
	return stats, n.emit(ctx, found, departures, limit, fn)
}

// departures are the profiles that leave the shards while members are returned, by shard.
type departures []struct {
	*engine.Departures
	state *engine.Shard
}

// watchDepartures begins to watch all shards. The caller must call end.
func (n *Node) watchDepartures() departures {
	all := make(departures, len(n.shards))
	for i, s := range n.shards {
		all[i].state = s.state.Load()
		all[i].Departures = all[i].state.WatchDepartures()
	}
	return all
}

func (d departures) end() {
	for _, shard := range d {
		shard.state.Unwatch(shard.Departures)
	}
}

// position is a place in storage order.
type position struct {
	shard   int
	ordinal uint32
	set     bool // false: before everything
}

func (p position) String() string { return strconv.Itoa(p.shard) + "." + strconv.Itoa(int(p.ordinal)) }

// place returns the position in the form that plans use.
func (p position) place() int64 {
	if !p.set {
		return -1
	}
	return int64(p.shard)<<32 | int64(p.ordinal)
}

func parsePosition(text string) (position, error) {
	if text == "" {
		return position{}, nil
	}
	shard, ordinal, _ := strings.Cut(text, ".")
	s, err1 := strconv.ParseUint(shard, 10, 16)
	o, err2 := strconv.ParseUint(ordinal, 10, 32)
	if err1 != nil || err2 != nil {
		return position{}, refused(codes.BadRequest, fmt.Sprintf("%q is not a position in a list of members", text))
	}
	return position{int(s), uint32(o), true}, nil
}

// findMembers evaluates the predicate after a position, and stops when it has found limit members.
func (n *Node) findMembers(ctx context.Context, pred tree.Pred, from position, limit int) ([]exec.MemberSet, query.Stats, error) {
	if err := n.asker.pool.Enter(ctx); err != nil {
		return nil, query.Stats{}, err
	}
	defer n.asker.pool.Leave()
	v := n.takeViews()
	defer v.release()
	stats := query.Stats{Now: v.now, Shards: v.stats()}
	plan, err := n.asker.prepare(ctx, pred, v, exec.PrepareMembers)
	if err != nil {
		return nil, stats, err
	}
	defer plan.Release()
	found, err := n.asker.pool.Members(ctx, plan, v.sources(), from.place(), limit)
	return found, stats, busyMemory(err)
}

// prepare checks a parsed predicate, makes a plan of it, with held segments as of their last refresh,
// and resolves the plan's inputs for the views.
func (a *asker) prepare(ctx context.Context, pred tree.Pred, v *views,
	prepare func(tree.Pred, query.Schema, exec.Options) (*exec.Plan, error)) (*exec.Plan, error) {
	schema := a.node.Schema()
	if err := refuseKeptSets(a.node.registry.state.Load(), pred); err != nil {
		return nil, err
	}
	checked, _, err := check.Predicate(pred, schema)
	if err != nil {
		return nil, err
	}
	if err := checkOverflow(exec.Properties(checked), schema, v); err != nil {
		return nil, err
	}
	plan, err := prepare(checked, schema, exec.Options{Now: v.now, Budget: a.node.config.StatementBytes, Memory: a.memory,
		Held: heldSegments(a.node.registry.state.Load())})
	if err != nil {
		return nil, err
	}
	if err := a.node.resolve(ctx, v, plan.Inputs()); err != nil {
		plan.Release()
		return nil, err
	}
	return plan, nil
}

// emit passes the ids of found members to fn. It takes a new view for each chunk, so that a slow
// receiver keeps no old pages alive. Ordinals are not reused, so they still mean the same profiles.
func (n *Node) emit(ctx context.Context, found []exec.MemberSet, gone departures, limit int, fn func(id, position string) bool) error {
	count := 0
	for _, set := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, m := range n.memberIDs(set, gone[set.Shard()].Departures) {
			if !fn(m.id, m.at.String()) {
				return nil
			}
			if count++; count == limit {
				return nil
			}
		}
	}
	return nil
}

type memberID struct {
	id string
	at position
}

func (n *Node) memberIDs(set exec.MemberSet, gone *engine.Departures) []memberID {
	view := n.shards[set.Shard()].state.Load().View()
	defer view.Release()
	var profiles query.Bits
	view.Profiles(set.Chunk(), &profiles)
	ids := make([]memberID, 0, set.Members.GetCardinality())
	for i := range roaring.Values(set.Members) {
		ordinal := uint32(set.Chunk())<<query.ChunkBits | i
		at := position{set.Shard(), ordinal, true}
		if profiles.Has(uint16(i)) {
			ids = append(ids, memberID{view.ID(ordinal), at})
		} else if id, moved := gone.ID(ordinal); moved {
			ids = append(ids, memberID{id, at})
		}
	}
	return ids
}

// MemberOf reports whether a profile is in a segment: by the segment's membership, or by its predicate
// while the membership is being built.
func (n *Node) MemberOf(ctx context.Context, segment, id string) (bool, error) {
	text, ok := n.registry.state.Load().SegmentText(segment)
	if !ok {
		return false, noSegment(segment)
	}
	if view, _, ordinal, ok := n.viewOf(id); ok {
		m, ok := view.Members(segment)
		in := ok && m.Has(ordinal)
		view.Release()
		if ok && m.State != engine.SegmentBuilding && m.State != engine.SegmentFailed && m.Version == text.Version {
			return in, nil
		}
	}
	if err := n.asker.pool.Enter(ctx); err != nil {
		return false, err
	}
	defer n.asker.pool.Leave()
	v := n.takeViews()
	defer v.release()
	plan, err := n.asker.prepare(ctx, &tree.InSegment{Name: segment}, v, func(p tree.Pred, schema query.Schema, opts exec.Options) (*exec.Plan, error) {
		return exec.PrepareHas(p, id, place(id, len(n.shards)), schema, opts)
	})
	if err != nil {
		return false, err
	}
	defer plan.Release()
	in, known, err := n.asker.pool.Has(ctx, plan, v.sources())
	if err == nil && !known {
		err = node.ErrNoProfile
	}
	return in, busyMemory(err)
}
