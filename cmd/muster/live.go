package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/live"
	"github.com/musterdb/muster/persist"
	"github.com/musterdb/muster/server"
	"github.com/musterdb/muster/server/render"
	"github.com/musterdb/muster/server/webhook"
)

// changes is the change log of a node, for the cluster to fill and the server to read.
type changes struct {
	*live.Log
	node     *cluster.Node
	webhooks *persist.Table
}

var (
	_ cluster.Changes = (*changes)(nil)
	_ server.Live     = (*changes)(nil)
)

// openChanges opens the change log of a node that is being opened.
func openChanges(c nodeConfig, db *persist.DB, n *cluster.Node) (*changes, error) {
	lc := live.Config{Cluster: n.Cluster(), Shards: n.Shards(), Source: liveSource{n}, Log: c.Log,
		Incarnations: n.Incarnations(), Consumers: n.Table("consumers")}
	for shard := range n.Shards() {
		store, err := persist.NewChanges(db, fmt.Sprintf("shard-%03d", shard))
		if err != nil {
			return nil, err
		}
		lc.Stores = append(lc.Stores, store)
		if store, err = persist.NewChanges(db, fmt.Sprintf("checkpoints-%03d", shard)); err != nil {
			return nil, err
		}
		lc.Checkpoints = append(lc.Checkpoints, store)
	}
	log, err := live.Open(lc)
	if err != nil {
		return nil, err
	}
	webhooks, err := persist.NewTable(db, "webhooks")
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &changes{log, n, webhooks}, nil
}

// Past implements cluster.Changes.
func (c *changes) Past(ctx context.Context, shard int, segment string, at int64, now *cluster.Membership) (*cluster.Membership, error) {
	was, err := c.Log.Past(ctx, shard, segment, at, (*live.Members)(now))
	return (*cluster.Membership)(was), err
}

// Webhooks is where the node keeps what it is doing for webhooks, and where the cluster keeps them.
func (c *changes) Webhooks() (table, shared webhook.Table) {
	return c.webhooks, c.node.Table("webhooks")
}

// People implements server.Live.
func (c *changes) People(ctx context.Context, ids, names []string) ([]*render.Person, error) {
	found, err := c.node.People(ctx, ids, names)
	people := make([]*render.Person, len(found))
	for i, p := range found {
		people[i] = (*render.Person)(p)
	}
	return people, err
}

// liveSource is the shards as the change log asks them.
type liveSource struct{ *cluster.Node }

// Members implements live.Source.
func (s liveSource) Members(ctx context.Context, shard int, segment string) (*live.Members, error) {
	m, err := s.SegmentMembers(ctx, shard, segment)
	return (*live.Members)(m), err
}

// Sizes implements live.Source.
func (s liveSource) Sizes(segment string) ([]live.Size, error) {
	found, err := s.SegmentSizes(segment)
	sizes := make([]live.Size, len(found))
	for shard, size := range found {
		sizes[shard] = live.Size(size)
	}
	return sizes, err
}
