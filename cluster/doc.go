// Package cluster provides agreement and placement. It is the only user of raft.
//
// A Node holds one raft group for each shard and one for the catalog. Everything that changes state is a
// command in a group's log. The state machines are thin layers over engine.Shard and catalog.State that
// decode a command, call, pass the result on and return.
//
// Its nouns:
//
//	group      one raft group: its log, its snapshots, its leadership (group.go)
//	shard      the replica of one shard: state, views, history (shard.go, history_writer.go)
//	proposer   the queue in front of a shard's log: batches, ticks, catalog versions (propose.go)
//	registry   the catalog group; the definer gives unknown names an id before a shard sees them
//	router     sends each message to the shard of the id that the message names (route.go)
//	asker      evaluates a statement on views of all shards (ask.go)
//
// It must not know HTTP, JSON, Badger or the layout of a log on disk: storage comes in
// through the interfaces of storage.go. Start reading at node.go, then follow one write through
// route.go, propose.go and shard.go, and one read through ask.go.
package cluster
