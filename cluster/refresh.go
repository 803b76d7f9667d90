package cluster

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/internal/retrylog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/tree"
)

// refreshLook is how often the refresher looks for segments that are due.
const refreshLook = time.Second

// refreshLoop computes the cuts of segments with a rank at the end of their period, from views of all
// shards at one instant, and proposes them to every shard. Memberships are frozen between two refreshes.
func (n *Node) refreshLoop(ctx context.Context) {
	look := time.NewTicker(min(refreshLook, n.config.DefaultRefresh))
	defer look.Stop()
	tries := map[string]*retrylog.Tries{} // by segment
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		for _, name := range n.dueRefreshes() {
			if tries[name] == nil {
				tries[name] = &retrylog.Tries{}
			}
			if err := n.refresh(ctx, name); ctx.Err() == nil {
				tries[name].Note(n.config.Log, "refreshing a segment", err, "segment", name)
			}
		}
	}
}

// dueRefreshes returns the segments with a rank for which some shard has no cut, or an old one.
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
	state := n.registry.state.Load()
	text, ok := state.SegmentText(name)
	if !ok {
		return nil // it has been dropped
	}
	order := engine.Refresh{Segment: name, Version: text.Version}
	var err error
	if order.Cuts, order.At, err = n.asker.cuts(ctx, state, name); err != nil {
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

// cuts computes the cuts of a segment's ranks over all shards, for one instant, each shard at its own
// seq. Other held segments that it uses have the membership of their last refresh.
func (a *asker) cuts(ctx context.Context, state *catalog.State, name string) (cuts []query.Cut, at int64, err error) {
	schema := state.Schema()
	pred, _, err := check.Predicate(&tree.InSegment{Name: name}, schema)
	if err != nil {
		return nil, 0, err
	}
	if err := a.pool.Enter(ctx); err != nil {
		return nil, 0, err
	}
	defer a.pool.Leave()
	v := a.node.takeViews()
	defer v.release()
	held := heldSegments(state)
	plan, err := exec.PrepareMembers(pred, schema, exec.Options{Now: v.now, Budget: math.MaxInt64, Held: func(segment string) (uint64, bool) {
		version, ok := held(segment)
		return version, ok && segment != name
	}})
	if err != nil {
		return nil, 0, err
	}
	defer plan.Release()
	if err := a.node.resolve(ctx, v, plan.Inputs()); err != nil {
		return nil, 0, err
	}
	cuts, err = a.pool.Cuts(ctx, plan, v.sources())
	return cuts, v.now, err
}
