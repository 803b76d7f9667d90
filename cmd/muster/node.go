package main

import (
	"context"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server"
)

// node shows a cluster.Node to the server. The two packages do not know each other: what both name is
// converted here, everything else is the same method.
type node struct{ *cluster.Node }

var _ server.Node = node{}

// Query implements server.Node.
func (n node) Query(ctx context.Context, ask server.Ask) (*query.Answer, error) {
	return n.Node.Query(ctx, cluster.Ask(ask))
}

// PutSegment implements server.Node.
func (n node) PutSegment(ctx context.Context, s server.SegmentText, replace, allowUnknown bool) ([]tree.Diagnostic, error) {
	return n.Node.PutSegment(ctx, cluster.SegmentText(s), replace, allowUnknown)
}

// Segments implements server.Node.
func (n node) Segments(ctx context.Context) ([]server.SegmentText, error) {
	found, err := n.Node.Segments(ctx)
	all := make([]server.SegmentText, len(found))
	for i, s := range found {
		all[i] = server.SegmentText(s)
	}
	return all, err
}

// Segment implements server.Node.
func (n node) Segment(_ context.Context, name string) (server.SegmentText, bool, error) {
	s, ok := n.Node.Segment(name)
	return server.SegmentText(s), ok, nil
}

// Status implements server.Node.
func (n node) Status(ctx context.Context) server.Status {
	st := n.Node.Status(ctx)
	out := server.Status{
		Ready: st.Ready, Reason: st.Reason, Degraded: st.Degraded, Profiles: st.Profiles, Events: st.Events,
		Memory: st.Memory, DiskFree: st.DiskFree, Counters: st.Counters, Prices: server.Prices(st.Prices),
	}
	for _, r := range st.Skipped {
		out.Skipped = append(out.Skipped, server.SkippedEntry{Group: r.Group, Index: r.Index, At: r.At, What: r.What})
	}
	for _, s := range st.Shards {
		out.Shards = append(out.Shards, server.ShardStatus(s))
	}
	return out
}
