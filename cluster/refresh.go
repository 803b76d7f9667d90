package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// refreshLook is how often the refresher looks for segments whose ranks are due.
const refreshLook = time.Second

// refreshLoop computes the cuts of segments with a rank when their period is over, from views of all
// shards at one now, and proposes them to every shard. Between two cuts memberships are frozen.
func (n *Node) refreshLoop(ctx context.Context) {
	look := time.NewTicker(min(refreshLook, n.config.DefaultRefresh))
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		for _, name := range n.dueRefreshes() {
			if err := n.refresh(ctx, name); err != nil && ctx.Err() == nil {
				n.config.Log.Warn("segment was not refreshed", "segment", name, "err", err)
			}
		}
	}
}

// dueRefreshes returns the segments with a rank of which some shard has no cut yet, or an old one.
func (n *Node) dueRefreshes() []string {
	var due []string
	state := n.registry.state.Load()
	now := n.config.Clock().UnixMilli()
	for _, text := range state.Segments() {
		if !member.HasRank(text.Tree().Pred) {
			continue
		}
		period := n.refreshPeriod(text.Tree()).Milliseconds()
		for _, s := range n.shards {
			x, ok := s.state.Load().Segment(text.Name)
			if ok && x.Held && (x.Version != text.Version || now-x.RefreshedAt >= period) {
				due = append(due, text.Name)
				break
			}
		}
	}
	return due
}

func (n *Node) refreshPeriod(s *tree.Segment) time.Duration {
	if ms, ok := s.Refresh.Millis(); ok && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return n.config.DefaultRefresh
}

// refresh computes the cuts of one segment and proposes them.
func (n *Node) refresh(ctx context.Context, name string) error {
	text, ok := n.registry.state.Load().SegmentText(name)
	if !ok {
		return nil // dropped meanwhile
	}
	order := engine.Refresh{Segment: name, Version: text.Version}
	var err error
	if order.Cuts, order.At, err = n.cuts(ctx, name); err != nil {
		return err
	}
	for i, s := range n.shards {
		r, err := s.proposer.do(ctx, 0, 256*(1+len(order.Cuts)), func(now int64) []byte { return engine.EncodeRefresh(max(now, order.At), order) })
		if err != nil {
			return fmt.Errorf("propose the refresh to shard %d: %w", i, err)
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// cuts computes the cuts of a segment's ranks over all shards, each at its own seq, at one instant.
func (n *Node) cuts(ctx context.Context, name string) (cuts []eval.Cut, at int64, err error) {
	v := n.takeViews()
	defer v.release() // parts ask them for ids until the cuts are known
	var first []*eval.RankQuery
	var totals []eval.RankPart
	for _, view := range v.all {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		queries, parts, err := scanRanks(ctx, view, name, v.now)
		if err != nil {
			return nil, 0, err
		}
		if first == nil {
			first, totals = queries, make([]eval.RankPart, len(queries))
		}
		if len(queries) != len(first) {
			return nil, 0, fmt.Errorf("the shards do not have the same definition of segment %q yet", name)
		}
		for i := range parts {
			first[i].Merge(&totals[i], &parts[i])
		}
	}
	cuts = make([]eval.Cut, len(first))
	for i, q := range first {
		cuts[i] = q.Cut(&totals[i])
	}
	return cuts, v.now, nil
}

// scanRanks reads the keys of a segment's ranks from a view of one shard.
func scanRanks(ctx context.Context, v *engine.View, name string, now int64) ([]*eval.RankQuery, []eval.RankPart, error) {
	queries, src, err := v.Ranks(name, now)
	if err != nil {
		return nil, nil, err
	}
	parts := make([]eval.RankPart, len(queries))
	var all query.Bits
	for i, q := range queries {
		scan := q.On(src)
		for chunk := range src.Chunks() {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			src.Profiles(chunk, &all)
			scan.Chunk(chunk, &all, &parts[i])
		}
	}
	return queries, parts, nil
}
