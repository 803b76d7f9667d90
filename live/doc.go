// Package live is who hears of a change: it keeps the changes of membership that the shards report, in
// order and within bounds, and lets any number of readers follow them at their own pace.
//
// Its nouns:
//
//	Log           the change log of all shards of a node: in memory, and behind that in a Store (log.go)
//	block         a stretch of one shard's log, 64 KiB of encoded changes (block.go, append.go)
//	group         the profiles that an entry moves, once, however many segments they move in (block.go)
//	bulk          many profiles that enter or leave one segment together, as a set (bulk.go)
//	Cursor        how far somebody has heard: a position in every shard, opaque outside (cursor.go)
//	Subscription  somebody who follows one segment from a cursor or from a snapshot (subscription.go)
//	checkpoint    memberships that were kept, so that those of an instant are found (checkpoint.go, past.go)
//	Consumers     the cursors that durable subscribers have acknowledged (consumers.go)
//
// A reader has no queue: it is a position in the log, so a slow one costs nothing and is told to start
// over (IsResync) once the log has dropped what it has not heard. Append never waits for a reader
// nor for the disk.
//
// It must not know sockets, HTTP, JSON, raft or Badger, nor how a membership comes about. Start reading
// at log.go (how changes come in), then read.go and subscription.go (how they get out).
package live
