package persist

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// DBConfig configures the node's database. Dir is required.
type DBConfig struct {
	Dir string

	// MemTableSize is Badger's, in bytes, 32 MiB by default and at least 8 MiB.
	MemTableSize int64

	// Floor is the free space in bytes below which writes are refused: by default 256 MiB or 1 % of
	// the disk up to 2 GiB, whichever is more. Badger flushes and compacts in the background, so the
	// floor must cover a few memtables.
	Floor uint64

	// CollectAfter is how many bytes of values must be deleted before the files that hold them are
	// rewritten: 256 MiB by default.
	CollectAfter int64

	// Ballast is the size in bytes of the file that is deleted when the disk runs out of space: 64 MiB by
	// default, none if negative.
	Ballast int64

	// Failed, if not nil, is called once, when a write has failed and the process must end: from then on
	// the contents of the disk are unknown. It must not block.
	Failed func(error)

	Stat   StatFunc     // Statfs by default
	Logger *slog.Logger // discarded by default
}

const (
	minMemTable  = 8 << 20
	valueLogFile = 64 << 20
)

func (c DBConfig) withDefaults() DBConfig {
	if c.MemTableSize == 0 {
		c.MemTableSize = 32 << 20
	}
	if c.CollectAfter == 0 {
		c.CollectAfter = 256 << 20
	}
	if c.Ballast == 0 {
		c.Ballast = 64 << 20
	}
	if c.Stat == nil {
		c.Stat = Statfs
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports everything that is wrong with c.
func (c DBConfig) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("db config: Dir is empty"))
	}
	if c.MemTableSize != 0 && (c.MemTableSize < minMemTable || c.MemTableSize > 1<<30) {
		errs = append(errs, fmt.Errorf("db config: MemTableSize %d is not within 8 MiB and 1 GiB", c.MemTableSize))
	}
	return errors.Join(errs...)
}

// DB is the node's one Badger database. Every value has its own checksum, since Badger returns flipped
// bytes without an error. No write begins below the floor, since Badger writes through mmap, where a full
// disk means SIGBUS. Writes are durable only after Sync.
//
// Its methods may be called from any goroutine.
type DB struct {
	cfg     DBConfig
	dir     fs.FileInfo // of cfg.Dir
	guard   guard
	ballast *ballast
	b       *badger.DB
	codec   blobCodec

	collecting sync.Mutex   // one collection of the value log at a time
	garbage    atomic.Int64 // bytes of values deleted since the last collection
	// gate is held for reading by every commit, and for writing while flushMemtable runs, since Badger
	// refuses commits then.
	gate sync.RWMutex

	syncs  syncMark
	failed atomic.Pointer[error] // sticky: the kernel may drop a page that it could not write, and let the next fsync succeed
}

// OpenDB opens the database in cfg.Dir, creating an empty one if there is none. It returns ErrDiskFull
// when there is too little space for recovery, and a *DamageError when Badger cannot open it.
func OpenDB(cfg DBConfig) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	mark, err := readDBMark(cfg.Dir)
	if err == nil {
		err = checkManifest(cfg.Dir, mark)
	}
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", cfg.Dir, err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	dir, err := os.Stat(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if cfg.Floor == 0 {
		s, err := cfg.Stat(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("open database: measure free space: %w", err)
		}
		cfg.Floor = max(256<<20, min(s.Total/100, 2<<30))
	}
	db := &DB{cfg: cfg, dir: dir, guard: guard{dir: cfg.Dir, floor: cfg.Floor, stat: cfg.Stat},
		ballast: openBallast(cfg.Dir, uint64(max(cfg.Ballast, 0)))}
	if _, err := db.Space(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// Recovery writes out at least one memtable.
	recovery := guard{dir: cfg.Dir, floor: min(cfg.Floor/4, uint64(cfg.MemTableSize)), stat: cfg.Stat}
	if err := recovery.checkFree(0); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	b, err := openBadger(badgerOptions(cfg))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", cfg.Dir, err)
	}
	db.b = b
	if db.codec, err = newBlobCodec(); err == nil {
		err = db.openSyncs()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", cfg.Dir, err), b.Close())
	}
	return db, nil
}

func badgerOptions(cfg DBConfig) badger.Options {
	return badger.DefaultOptions(cfg.Dir).
		WithMemTableSize(cfg.MemTableSize).
		WithNumMemtables(2).
		WithValueThreshold(4 << 10).
		WithValueLogFileSize(valueLogFile). // space comes back in whole files, so small ones return it sooner
		WithSyncWrites(false).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithNumCompactors(2).
		WithNumLevelZeroTables(2).     // deletions take effect when tables are merged, and there are few tables
		WithCompression(options.None). // large values are in the value log, already compressed
		WithBlockCacheSize(0).
		WithIndexCacheSize(16 << 20).
		WithMetricsEnabled(false).
		WithLogger(badgerLogger{cfg.Logger})
}

// removeEmptyLogs removes log files of length 0. Badger creates a file and then sets its size. If it is
// killed in between, v4.9.6 treats the empty file as an error and never opens the database again.
func removeEmptyLogs(dir string) error {
	for _, pattern := range []string{"*.vlog", "*.mem"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if fi, err := os.Stat(path); err != nil || fi.Size() > 0 {
				continue
			}
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove empty log: %w", err)
			}
		}
	}
	return nil
}

// openBadger opens Badger. Errors and panics caused by damaged files become a *DamageError, so that a
// failed start gives a reason.
func openBadger(opt badger.Options) (b *badger.DB, err error) {
	if err := removeEmptyLogs(opt.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = &DamageError{Where: "database", Reason: fmt.Sprint(p)}
		}
	}()
	b, err = badger.Open(opt)
	switch {
	case err == nil:
		return b, nil
	case strings.Contains(err.Error(), "directory lock"):
		return nil, fmt.Errorf("another process has it open: %w", err)
	default:
		return nil, &DamageError{Where: "database", Reason: "Badger cannot open it", Cause: err}
	}
}

// Space measures the disk, and creates or deletes the ballast accordingly. The node polls it (about
// once a second) and stops taking proposals while Low.
func (db *DB) Space() (Space, error) {
	s, err := db.guard.space()
	if err != nil {
		return s, err
	}
	if err := db.ballast.adjust(s); err != nil {
		return s, err
	}
	return s, nil
}

// Present returns an error when the database's directory or its manifest was removed or replaced while
// the database is open: what is written from then on is lost.
func (db *DB) Present() error {
	info, err := os.Stat(db.cfg.Dir)
	if err == nil && os.SameFile(info, db.dir) {
		_, err = os.Stat(filepath.Join(db.cfg.Dir, badger.ManifestFilename))
	} else if err == nil {
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s was removed or replaced while the node runs", db.cfg.Dir)
	}
	return err
}

// Sync makes everything written so far durable.
//
// badger.DB.Sync covers only the memtable and the value log file in use. A memtable that was just rotated
// out and is not flushed yet would be missed, so every memtable log is synced here. Badger syncs a value
// log file itself when it is full.
//
// After a failed fsync every Sync fails: the kernel reports a lost page only once.
func (db *DB) Sync() error {
	if err := db.Err(); err != nil {
		return err
	}
	n, err := db.syncs.begin(db)
	if err != nil {
		return fmt.Errorf("sync database: %w", err)
	}
	if err := db.b.Sync(); err != nil {
		return db.fail(fmt.Errorf("sync database: %w", err))
	}
	logs, err := filepath.Glob(filepath.Join(db.cfg.Dir, "*.mem"))
	if err != nil {
		return fmt.Errorf("sync database: %w", err)
	}
	for _, path := range logs {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue // flushed meanwhile, into a table that Badger has synced
		}
		if err != nil {
			return fmt.Errorf("sync database: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return db.fail(fmt.Errorf("sync database: %w", err))
		}
	}
	d, err := os.Open(db.cfg.Dir)
	if err != nil {
		return fmt.Errorf("sync database: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return db.fail(fmt.Errorf("sync database: %w", err))
	}
	if err := db.syncs.end(n); err != nil {
		return db.fail(fmt.Errorf("sync database: %w", err))
	}
	return nil
}

// Err returns the error that has made the database unusable, if one has.
func (db *DB) Err() error {
	if err := db.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// fail makes the database unusable for good, logs it and calls cfg.Failed once.
func (db *DB) fail(err error) error {
	sticky := fmt.Errorf("database %s failed: %w", db.cfg.Dir, err)
	if !db.failed.CompareAndSwap(nil, &sticky) {
		return err
	}
	db.cfg.Logger.Error("database failed, the process must end", "dir", db.cfg.Dir, "err", err)
	if db.cfg.Failed != nil {
		db.cfg.Failed(sticky)
	}
	return err
}

// Close flushes and releases everything. Snapshots and History must be closed first.
func (db *DB) Close() error {
	if err := errors.Join(db.b.Close(), db.syncs.file.close()); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}
