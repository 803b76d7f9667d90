package cluster

import (
	"context"
	"io"

	"github.com/hashicorp/raft"
)

// Storage is what a node needs on disk. The binary fills it from package persist.
type Storage interface {
	// Found tells what is there, before anything but the database is opened.
	Found() (Found, error)
	// Log opens the raft log of a group.
	Log(group string) (Log, error)
	// Snapshots opens the snapshots of a group.
	Snapshots(group string) (raft.SnapshotStore, error)
	// History opens the received messages of a shard.
	History(group string) (History, error)
	// CheckStart tells whether the open log, snapshots and history of a group reach each other.
	CheckStart(group string) error
	// PageWriter and PageReader frame a snapshot's pages in the stream that raft stores.
	PageWriter(w io.Writer) PageWriter
	PageReader(r io.Reader) PageReader
	// Space tells the free bytes of the disk, and whether writes must stop until there are more. An
	// error says that what the node writes to is not there, or does not answer.
	Space() (free int64, low bool, err error)
	// Err tells which write has failed for good: the process has to end. It is called often.
	Err() error
	// Close closes what is open beneath the groups.
	Close() error
}

// Log is the raft log of one group.
type Log interface {
	raft.LogStore
	raft.StableStore
	// ID tells the log from every other.
	ID() uint64
	// Verify reads the whole log; an error means acknowledged entries are damaged.
	Verify(ctx context.Context) error
	Close() error
}

// History keeps the messages a shard has received.
type History interface {
	// Append takes the records of one entry, in order; entries at or below Synced are ignored. On
	// an error nothing of the entry was taken, and the call may be repeated. The records' memory is
	// the caller's again afterwards.
	Append(seq uint64, records []Record) error
	// Sync makes everything up to seq durable.
	Sync(seq uint64) error
	// Synced is the seq everything up to which is durable.
	Synced() uint64
	// Scan returns up to limit entries of a key below a position (the zero Position: from the
	// newest), newest first. Fewer than limit means there are no more.
	Scan(ctx context.Context, key uint64, before Position, limit int) ([]HistoryEntry, error)
	Close() error
}

// Record is one message of an entry as history keeps it.
type Record struct {
	Key  uint64 // hash of the literal id
	Data []byte
}

// Position is a place in a shard's history: N is a record's place among those of entry Seq.
type Position struct {
	Seq uint64
	N   int
}

// HistoryEntry is a Record found again.
type HistoryEntry struct {
	Position
	Data []byte
}

// PageWriter writes the pages of a snapshot. Close ends the stream; without it the reader finds it
// torn.
type PageWriter interface {
	WritePage(kind uint8, key, data []byte) error
	Close() error
}

// PageReader reads pages back; io.EOF at the end.
type PageReader interface {
	Next() (kind uint8, key, data []byte, err error)
}
