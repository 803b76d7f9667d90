package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/persist"
)

// archive is a data directory that no node is using. Its database is either a temporary shadow of the
// directory's database, or that database itself. Its logs are always read in place.
type archive struct {
	*storage
	dir   string
	close func() error
}

var _ cluster.Archive = (*archive)(nil)

// openReadOnlyArchive opens a directory for checking. It changes nothing in the directory.
func openReadOnlyArchive(dir string) (*archive, error) {
	a, err := persist.OpenArchive(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &archive{storage: newStorage(nodeConfig{Dir: dir}, a.DB()), dir: dir, close: a.Close}, nil
}

// openWritableArchive opens a directory for repair.
func openWritableArchive(dir string, log *slog.Logger) (*archive, error) {
	db, err := persist.OpenDB(persist.DBConfig{Dir: filepath.Join(dir, "db"), Logger: log})
	if err != nil {
		return nil, err
	}
	return &archive{storage: newStorage(nodeConfig{Dir: dir, Log: log}, db), dir: dir, close: db.Close}, nil
}

// Entries implements cluster.Archive.
func (a *archive) Entries(ctx context.Context, group string, visit func(*raft.Log) error) error {
	return persist.ReadLog(ctx, persist.LogDir(a.dir, group), visit)
}

// CommitTogether implements cluster.Archive.
func (a *archive) CommitTogether(sinks []raft.SnapshotSink) error {
	return persist.CommitTogether(sinks)
}

// Close closes the snapshot stores and the database.
func (a *archive) Close() error {
	var errs []error
	a.mu.Lock()
	for _, snapshots := range a.mu.snapshots {
		errs = append(errs, snapshots.Close())
	}
	a.mu.Unlock()
	return errors.Join(append(errs, a.close())...)
}
