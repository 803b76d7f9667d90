// Package live delivers changes of membership: it keeps the changes that the shards report, in order and
// within bounds, and lets any number of readers follow them at their own pace.
//
// Its nouns:
//
//	Log           the change log of all shards of a node: in memory, and older parts in a Store (log.go)
//	block         a part of one shard's log, 64 KiB of encoded changes (block.go, append.go)
//	group         the profiles that an entry moves, once, however many segments they move in (block.go)
//	bulk          many profiles that enter or leave one segment together, as a set (bulk.go)
//	Cursor        how far a subscriber has read: a position in every shard, opaque outside (cursor.go)
//	Subscription  a reader of one segment, from a cursor or a snapshot (subscription.go)
//	checkpoint    stored memberships, so that the membership at an instant is found fast (checkpoint.go, past.go)
//	Consumers     the cursors that durable subscribers have acknowledged (consumers.go)
//
// A reader has no queue: it is a position in the log, so a slow one costs nothing. Once the log has dropped
// what it has not read, it gets an error (IsResync) and must start over. Append never waits for a reader or
// the disk.
//
// The package must not know sockets, HTTP, JSON, raft or Badger, nor how a membership is computed. Start
// reading at log.go (how changes come in), then read.go and subscription.go (how they are delivered).
package live
