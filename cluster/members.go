package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// pageStretches is how many stretches a page of members evaluates before it looks whether it is full.
const pageStretches = 4

// Members calls fn with the canonical id of every member of a predicate in storage order (shard,
// ordinal), after a position ("" from the start), until fn returns false or limit is reached (0: no
// limit). Membership is that of the moment of the call, and so is the id of a profile that has joined another
// since; one that was erased since is left out.
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

// departures are the profiles that move away while members are handed out, by shard.
type departures []struct {
	*engine.Departures
	state *engine.Shard
}

// watchDepartures begins to watch all shards. What it returns must be ended.
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

func parsePosition(text string) (position, error) {
	if text == "" {
		return position{}, nil
	}
	shard, ordinal, _ := strings.Cut(text, ".")
	s, err1 := strconv.ParseUint(shard, 10, 16)
	o, err2 := strconv.ParseUint(ordinal, 10, 32)
	if err1 != nil || err2 != nil {
		return position{}, refused("bad_request", fmt.Sprintf("%q is not a position in a list of members", text))
	}
	return position{int(s), uint32(o), true}, nil
}

// memberSet is the members of one chunk that are asked for.
type memberSet struct {
	shard, chunk int
	bits         *query.Bits
}

// findMembers evaluates the predicate behind a position, chunk by chunk and no further than limit.
func (n *Node) findMembers(ctx context.Context, pred tree.Pred, from position, limit int) ([]memberSet, query.Stats, error) {
	if err := n.asker.pool.Enter(ctx); err != nil {
		return nil, query.Stats{}, err
	}
	defer n.asker.pool.Leave()
	v := n.takeViews()
	defer v.release()
	stats := query.Stats{Now: v.now, Shards: v.stats()}
	held := n.asker.hold()
	defer held.Release()
	b, err := n.asker.bindText(ctx, pred, v, held)
	if err != nil {
		return nil, stats, err
	}
	pieces := behind(v.stretches(stretchChunks), from)
	var found []memberSet
	for count := 0; len(pieces) > 0 && (limit == 0 || count < limit); {
		group := pieces
		if limit > 0 {
			group = pieces[:min(pageStretches, len(pieces))]
		}
		pieces = pieces[len(group):]
		sets, err := b.over(ctx, group)
		if err != nil {
			return nil, stats, busyMemory(err)
		}
		for i, piece := range group {
			for k := range sets[i] {
				set := memberSet{piece.shard, piece.from + k, &sets[i][k]}
				set.cut(from)
				if members := set.bits.Count(); members > 0 {
					count += members
					found = append(found, set)
				}
			}
		}
	}
	return found, stats, nil
}

// bindText checks a parsed predicate and compiles it, held segments as of their last refresh.
func (a *asker) bindText(ctx context.Context, pred tree.Pred, v *views, held *exec.Holding) (*bound, error) {
	schema := a.node.Schema()
	checked, _, err := check.Predicate(pred, schema)
	if err != nil {
		return nil, err
	}
	if err := checkOverflow(exec.Properties(checked), schema, v); err != nil {
		return nil, err
	}
	v.sets = newSets(ctx, a.node, v)
	b, err := a.bind(ctx, checked, schema, v, held)
	if err == nil {
		err = v.sets.failed()
	}
	return b, err
}

// behind drops the stretches that end before a position and cuts the one that holds it.
func behind(pieces []stretch, from position) []stretch {
	if !from.set {
		return pieces
	}
	chunk := int(from.ordinal >> query.ChunkBits)
	var kept []stretch
	for _, p := range pieces {
		if p.shard < from.shard || p.shard == from.shard && p.to <= chunk {
			continue
		}
		if p.shard == from.shard {
			p.from = max(p.from, chunk)
		}
		kept = append(kept, p)
	}
	return kept
}

// cut removes the members up to a position.
func (m memberSet) cut(from position) {
	if !from.set || m.shard != from.shard || m.chunk != int(from.ordinal>>query.ChunkBits) {
		return
	}
	for i := range int(from.ordinal&(query.ChunkSize-1)) + 1 {
		m.bits.Clear(uint16(i))
	}
}

// emit hands out the ids of found members. It takes a view a chunk, so that a slow receiver keeps no
// old pages alive; ordinals are not reused, so they still mean the same profiles.
func (n *Node) emit(ctx context.Context, found []memberSet, gone departures, limit int, fn func(id, position string) bool) error {
	count := 0
	for _, set := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, m := range n.memberIDs(set, gone[set.shard].Departures) {
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

func (n *Node) memberIDs(set memberSet, gone *engine.Departures) []memberID {
	view := n.shards[set.shard].state.Load().View()
	defer view.Release()
	var profiles query.Bits
	view.Profiles(set.chunk, &profiles)
	ids := make([]memberID, 0, set.bits.Count())
	for i := range set.bits.All {
		ordinal := uint32(set.chunk)<<query.ChunkBits | uint32(i)
		at := position{set.shard, ordinal, true}
		if profiles.Has(i) {
			ids = append(ids, memberID{view.ID(ordinal), at})
		} else if id, moved := gone.ID(ordinal); moved {
			ids = append(ids, memberID{id, at})
		}
	}
	return ids
}

// MemberOf tells whether a profile is in a segment: by its membership, or while that is being built by its
// predicate.
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
	shard, ordinal, ok := v.find(id)
	if !ok {
		return false, ErrNoProfile
	}
	held := n.asker.hold()
	defer held.Release()
	b, err := n.asker.bindText(ctx, &tree.InSegment{Name: segment}, v, held)
	if err != nil {
		return false, err
	}
	in, err := b.has(ctx, shard, ordinal)
	return in, busyMemory(err)
}
