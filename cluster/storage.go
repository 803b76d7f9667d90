package cluster

import (
	"context"
	"io"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/internal/node/disk"
)

// Storage is what a node needs on disk. The binary fills it from package persist. What it opens that others
// name too is in node/disk; the log and the snapshots are raft's.
type Storage interface {
	// Found tells what is there, before anything but the database is opened.
	Found() (Found, error)
	// Log opens the raft log of a group.
	Log(group string) (Log, error)
	// Snapshots opens the snapshots of a group.
	Snapshots(group string) (raft.SnapshotStore, error)
	// History opens the received messages of a shard.
	History(group string) (disk.History, error)
	// CheckStart returns an error unless the open log and history of a group reach each other and the snapshot
	// of an index, which is the one to be restored; 0 for none.
	CheckStart(group string, snapshot uint64) error
	// PageWriter and PageReader frame a snapshot's pages in the stream that raft stores.
	PageWriter(w io.Writer) disk.PageWriter
	PageReader(r io.Reader) disk.PageReader
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
