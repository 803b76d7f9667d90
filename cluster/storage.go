package cluster

import (
	"context"
	"io"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/internal/node/disk"
)

// Storage is what a node needs on disk. The binary fills it from package persist. Types that other
// packages name too are in node/disk; the log and the snapshots are raft's interfaces.
type Storage interface {
	// Found returns what is in the directory, before anything but the database is opened.
	Found() (Found, error)
	// Log opens the raft log of a group.
	Log(group string) (Log, error)
	// Snapshots opens the snapshots of a group.
	Snapshots(group string) (raft.SnapshotStore, error)
	// History opens the received messages of a shard.
	History(group string) (disk.History, error)
	// CheckStart returns an error if entries are missing between the log and the history of a group, which
	// must be open, or between its log and the snapshot of an index, from which the group will start; 0 for
	// none.
	CheckStart(group string, snapshot uint64) error
	// PageWriter and PageReader write and read a snapshot's pages in the stream that raft stores.
	PageWriter(w io.Writer) disk.PageWriter
	PageReader(r io.Reader) disk.PageReader
	// Space returns the free bytes of the disk, and whether writes must stop until there are more. An error
	// means that the directory is gone or does not answer.
	Space() (free int64, low bool, err error)
	// Err returns the error of a write that failed for good, after which the process must end. It is called
	// often.
	Err() error
	// Close closes everything that is not closed with the groups.
	Close() error
}

// Log is the raft log of one group.
type Log interface {
	raft.LogStore
	raft.StableStore
	// ID returns an id that no other log has.
	ID() uint64
	// Verify reads the whole log; an error means acknowledged entries are damaged.
	Verify(ctx context.Context) error
	Close() error
}
