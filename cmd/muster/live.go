package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/live"
	"github.com/musterdb/muster/persist"
	"github.com/musterdb/muster/server"
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
	_ live.Source     = (*cluster.Node)(nil)
	_ server.Node     = (*cluster.Node)(nil)
)

// openChanges opens the change log of a node that is being opened.
func openChanges(c nodeConfig, db *persist.DB, n *cluster.Node) (*changes, error) {
	lc := live.Config{Cluster: n.Cluster(), Shards: n.Shards(), Source: n, Log: c.Log,
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

// Webhooks is where the node keeps what it is doing for webhooks, and where the cluster keeps them.
func (c *changes) Webhooks() (table, shared disk.Table) {
	return c.webhooks, c.node.Table("webhooks")
}

// People implements server.Live.
func (c *changes) People(ctx context.Context, ids, names []string) ([]*node.Person, error) {
	return c.node.People(ctx, ids, names)
}
