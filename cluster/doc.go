// Package cluster is agreement and placement: the only user of raft.
//
// A Node holds one raft group for each shard and one for the catalog. Everything that changes state
// is a command in a group's log; the state machines are shims around engine.Shard and catalog.State
// that decode, call, hand over and return.
//
// Its nouns:
//
//	group      one raft group: its log, its snapshots, its leadership (group.go)
//	shard      the replica of one shard: state, views, history behind it (shard.go, historian.go)
//	proposer   the queue in front of a shard's log: batches, ticks, catalog versions (propose.go)
//	registry   the catalog group; the definer gives unknown names an id before a shard meets them
//	router     messages to the shard of the id they literally name (route.go)
//	asker      a statement to the views of all shards and back (ask.go)
//
// It must not know HTTP, JSON, Badger or how a log lies on disk: storage comes in through the
// interfaces of storage.go. Start reading at node.go, then follow one write through route.go,
// propose.go and shard.go, and one read through ask.go.
package cluster
