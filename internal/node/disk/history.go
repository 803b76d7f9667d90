package disk

import "context"

// History stores the messages a shard has received. One goroutine appends and syncs; any may read.
type History interface {
	// Append appends the records of one entry, numbered from 0; entries at or below Synced are ignored. On
	// an error nothing of the entry was appended, and the call may be repeated. Append does not keep the
	// memory of the records.
	Append(seq uint64, records []Record) error
	// Sync makes everything up to seq durable.
	Sync(seq uint64) error
	// Synced returns the seq up to which everything is durable.
	Synced() uint64
	// Scan returns up to limit records of a key before a position (the zero Position: from the newest),
	// newest first. Fewer than limit means there are no more; to continue, pass the position of the last
	// one.
	Scan(ctx context.Context, key uint64, before Position, limit int) ([]Entry, error)
	Close() error
}

// Record is one message of an entry, as stored in the history.
type Record struct {
	Key  uint64 // hash of the id that the message names
	Data []byte
}

// Position is a place in a shard's history: the N-th record of the log's entry Seq. The zero Position is
// before everything.
type Position struct {
	Seq uint64
	N   uint32
}

// Entry is a record read back.
type Entry struct {
	Position
	Key  uint64
	Data []byte
}
