package main

import (
	"errors"
	"fmt"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/live"
	"github.com/musterdb/muster/persist"
	"github.com/musterdb/muster/server"
)

// nodeChanges is the change log of a node, which the cluster writes and the server reads, with the tables of
// the webhooks.
type nodeChanges struct {
	*live.Log
	webhooks disk.Table // this node's own state of the webhooks
	shared   disk.Table // the webhooks themselves; replicated to every node
}

var (
	_ cluster.Changes = (*live.Log)(nil)
	_ server.Live     = (*live.Log)(nil)
	_ live.Source     = (*cluster.Node)(nil)
)

// openChanges opens the change log of n, which is being opened itself.
func openChanges(c nodeConfig, db *persist.DB, n *cluster.Node) (*nodeChanges, error) {
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
	return &nodeChanges{log, webhooks, n.Table("webhooks")}, nil
}

// serverNode returns the node as the server uses it.
func serverNode(n *cluster.Node) server.Node {
	return server.Node{Ingest: n, Query: n, Catalog: n, Profiles: n, Segments: n, Members: n, Lists: n, Health: n}
}
