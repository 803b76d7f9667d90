package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/persist"
)

// nodeConfig is what a node needs to know from the command line.
type nodeConfig struct {
	Dir           string
	Shards        int    // 0: what the directory has, else 8
	Processors    int    // maximum number of concurrent evaluations; 0: GOMAXPROCS
	MemoryLimit   int64  // bytes above which ingest is refused; 0: none
	DiskFloor     uint64 // free bytes below which nothing is written; 0: the default of persist
	SnapshotBytes int64  // size of a shard's log after which a snapshot is written; 0: the default of cluster
	MemTable      int64  // size of the database's buffers in bytes; 0: the default of persist
	Log           *slog.Logger
	Segments      segmentFlags
	Gate          *cluster.Gate         // gives statements priority over ingest; may be nil
	Failed        func(error)           // called when the process must end; must not block; may be nil
	Tune          func(*cluster.Config) // for tests; may be nil
}

// openCluster opens a node whose change log the caller does not need.
func openCluster(ctx context.Context, c nodeConfig) (*cluster.Node, error) {
	n, _, err := openNode(ctx, c)
	return n, err
}

// openNode opens the node in c.Dir with its storage and its change log. Closing the node closes all of them.
func openNode(ctx context.Context, c nodeConfig) (*cluster.Node, *nodeChanges, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := requireMeta(c.Dir); err != nil {
		return nil, nil, err
	}
	storage, err := openStorage(c)
	if err != nil {
		return nil, nil, err
	}
	cc := cluster.Config{Dir: c.Dir, Storage: storage, Shards: c.Shards, Evaluations: c.Processors, MemoryLimit: c.MemoryLimit, SnapshotBytes: c.SnapshotBytes, Gate: c.Gate, Failed: c.Failed, Log: c.Log}
	c.Segments.apply(&cc)
	var changes *nodeChanges
	cc.Changes = func(n *cluster.Node) (cluster.Changes, error) {
		var err error
		changes, err = openChanges(c, storage.db, n)
		return changes, err
	}
	if c.Tune != nil {
		c.Tune(&cc)
	}
	if err := cc.Validate(); err != nil {
		return nil, nil, errors.Join(err, storage.Close())
	}
	n, err := cluster.Open(ctx, cc)
	return n, changes, err
}

// requireMeta returns an error for a directory that has logs but no readable cluster.meta. Creating a new one
// could change the keys and the number of shards, and profiles in the logs would be looked up in the wrong shards.
func requireMeta(dir string) error {
	logs, err := os.ReadDir(filepath.Join(dir, "raft"))
	if err != nil || len(logs) == 0 {
		return nil // a new directory; if anything else is wrong with it, opening it fails
	}
	_, err = cluster.CheckMeta(dir)
	return err
}

// storage stores a node's data with package persist: raft logs under raft/, and everything else in one
// database under db/.
type storage struct {
	config nodeConfig
	db     *persist.DB
	failed atomic.Pointer[error] // the first write that failed permanently
	mu     struct {
		sync.Mutex
		logs      map[string]*persist.Log // this and the following: by group
		snapshots map[string]*persist.Snapshots
		histories map[string]*persist.History
	}
}

var _ cluster.Storage = (*storage)(nil)

// newStorage returns a storage that uses an open database.
func newStorage(c nodeConfig, db *persist.DB) *storage {
	s := &storage{config: c, db: db}
	s.mu.logs, s.mu.snapshots, s.mu.histories = map[string]*persist.Log{}, map[string]*persist.Snapshots{}, map[string]*persist.History{}
	return s
}

func openStorage(c nodeConfig) (*storage, error) {
	s := newStorage(c, nil)
	dc := persist.DBConfig{Dir: persist.DBDir(c.Dir), Floor: c.DiskFloor, MemTableSize: c.MemTable, Failed: s.fail, Logger: c.Log}
	if c.DiskFloor > 0 && c.DiskFloor < 64<<20 {
		dc.Ballast = -1 // such a small disk has no space for one
	}
	var err error
	if s.db, err = persist.OpenDB(dc); err != nil {
		if damage := (*persist.DamageError)(nil); errors.As(err, &damage) {
			err = fmt.Errorf("%w; put back what was moved away, or restore the whole data directory from one copy; muster check lists all problems", err)
		}
		return nil, err
	}
	return s, nil
}

// fail records the first write that failed permanently and reports it, so that the process ends.
func (s *storage) fail(err error) {
	if s.failed.CompareAndSwap(nil, &err) && s.config.Failed != nil {
		s.config.Failed(err)
	}
}

// Err implements cluster.Storage.
func (s *storage) Err() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Found implements cluster.Storage.
func (s *storage) Found() (cluster.Found, error) {
	logs, err := persist.Logs(s.config.Dir)
	if err != nil {
		return cluster.Found{}, err
	}
	groups, err := s.db.Groups()
	return cluster.Found{DB: s.db.ID(), Logs: logs, Groups: groups}, err
}

// CheckStart implements cluster.Storage.
func (s *storage) CheckStart(group string, snapshot uint64) error {
	s.mu.Lock()
	log, history := s.mu.logs[group], s.mu.histories[group]
	s.mu.Unlock()
	return persist.CheckStart(log, snapshot, history)
}

// keptSnapshots is how many snapshots of a group are kept: the newest, and one more in case it is damaged.
const keptSnapshots = 2

// Log implements cluster.Storage.
func (s *storage) Log(group string) (cluster.Log, error) {
	lc := persist.LogConfig{Dir: persist.LogDir(s.config.Dir, group), Failed: s.fail, Logger: s.config.Log}
	if s.config.DiskFloor > 0 {
		lc.Floor = max(s.config.DiskFloor/4, 1)
	}
	if lc.Floor > 0 && lc.Floor < 16<<20 {
		lc.SegmentSize = 1 << 20
	}
	log, err := persist.OpenLog(lc)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.mu.logs[group] = log
	s.mu.Unlock()
	return log, nil
}

// Snapshots implements cluster.Storage.
func (s *storage) Snapshots(group string) (raft.SnapshotStore, error) {
	snapshots, err := persist.NewSnapshots(s.db, group, keptSnapshots)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.mu.snapshots[group] = snapshots
	s.mu.Unlock()
	return snapshots, nil
}

// History implements cluster.Storage.
func (s *storage) History(group string) (disk.History, error) {
	h, err := persist.NewHistory(s.db, persist.HistoryConfig{Group: group})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.mu.histories[group] = h
	s.mu.Unlock()
	return h, nil
}

// PageWriter implements cluster.Storage.
func (s *storage) PageWriter(w io.Writer) disk.PageWriter { return persist.NewPageWriter(w) }

// PageReader implements cluster.Storage.
func (s *storage) PageReader(r io.Reader) disk.PageReader { return persist.NewPageReader(r) }

// Space implements cluster.Storage.
func (s *storage) Space() (free int64, low bool, err error) {
	if err := s.present(); err != nil {
		return 0, false, err
	}
	space, err := s.db.Space()
	if err != nil {
		return 0, false, err
	}
	return int64(space.Free), space.Low, nil
}

// present returns an error if a part of the data directory has been removed or replaced since it was opened.
// Anything written to such a part is lost when the process ends.
func (s *storage) present() error {
	if err := s.db.Present(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, log := range s.mu.logs {
		if err := log.Present(); err != nil {
			return err
		}
	}
	return nil
}

// Close implements cluster.Storage.
func (s *storage) Close() error {
	var errs []error
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, snapshots := range s.mu.snapshots {
		errs = append(errs, snapshots.Close())
	}
	if err := errors.Join(append(errs, s.db.Close())...); err != nil {
		return fmt.Errorf("close storage: %w", err)
	}
	return nil
}
