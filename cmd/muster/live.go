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

// changes is the change log of a node, for the cluster to fill and the server to read, with the tables of webhooks.
type changes struct {
	*live.Log
	webhooks disk.Table // what this node is doing for them
	shared   disk.Table // which there are: every node has it
}

var (
	_ cluster.Changes = (*live.Log)(nil)
	_ server.Live     = (*live.Log)(nil)
	_ live.Source     = (*cluster.Node)(nil)
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
	return &changes{log, webhooks, n.Table("webhooks")}, nil
}

// serverNode is a node as the server asks it.
func serverNode(n *cluster.Node) server.Node {
	return server.Node{Ingest: n, Query: n, Catalog: n, Profiles: n, Segments: n, Members: n, Lists: n, Health: n}
}
