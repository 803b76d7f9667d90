package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/musterdb/muster/internal/node/disk"
)

// HistoryConfig configures a group's history. Group is required.
type HistoryConfig struct {
	Group string

	// BlobSize is how many bytes of records make a blob, 256 KiB by default.
	BlobSize int

	// RunLength is how many locators are collected in memory, 24 bytes each, before they become a
	// run: 262,144 by default.
	RunLength int
}

func (c HistoryConfig) withDefaults() HistoryConfig {
	if c.BlobSize == 0 {
		c.BlobSize = 256 << 10
	}
	if c.RunLength == 0 {
		c.RunLength = 1 << 18
	}
	return c
}

// Validate reports everything that is wrong with c.
func (c HistoryConfig) Validate() error {
	var errs []error
	if c.Group == "" || len(c.Group) > maxGroupName {
		errs = append(errs, fmt.Errorf("history config: group name of %d bytes", len(c.Group)))
	}
	if c.BlobSize < 0 || c.BlobSize > 8<<20 {
		errs = append(errs, fmt.Errorf("history config: BlobSize %d is not within 0 and 8 MiB", c.BlobSize))
	}
	if c.RunLength < 0 {
		errs = append(errs, fmt.Errorf("history config: RunLength %d is negative", c.RunLength))
	}
	return errors.Join(errs...)
}

// less reports whether p is before q.
func less(p, q disk.Position) bool {
	return p.Seq < q.Seq || p.Seq == q.Seq && p.N < q.N
}

// maxRecord is the size of the largest record in bytes.
const maxRecord = 16 << 20

// History stores the messages a group has received, in the order of its log: compressed blobs of records,
// and locator runs that give the positions of the records of one key.
//
// One goroutine appends and syncs; any may read. Everything beyond Synced is dropped when the history is
// reopened, since the log replays it.
type History struct {
	db  *DB
	cfg HistoryConfig

	mu struct {
		sync.Mutex
		closed   bool
		synced   uint64
		appended uint64
		blob     blobBuilder
		locators []locator // not in a run yet, in the order of their positions
		runs     []run
		nextRun  uint64
		merging  bool
		failed   error // sticky: nothing may follow a partial write
	}
	working sync.WaitGroup // the merger
}

var _ disk.History = (*History)(nil)

// NewHistory opens a group's history.
func NewHistory(db *DB, cfg HistoryConfig) (*History, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := &History{db: db, cfg: cfg.withDefaults()}
	if err := h.recover(); err != nil {
		return nil, fmt.Errorf("open history of %s: %w", cfg.Group, err)
	}
	return h, nil
}

// recover reads how far the history is durable and removes everything beyond.
func (h *History) recover() error {
	b, err := h.db.get(keyOf(kindHistory, h.cfg.Group))
	switch {
	case errors.Is(err, errNoValue):
	case err != nil:
		return err
	case len(b) != 8:
		return &DamageError{Where: "history state", Reason: "malformed"}
	default:
		h.mu.synced = binary.LittleEndian.Uint64(b)
	}
	h.mu.appended = h.mu.synced
	_, err = h.db.deletePrefix(keyOf(kindBlob, h.cfg.Group), func(key []byte) bool {
		return keyNumbers(key, h.cfg.Group)[0] <= h.mu.synced
	}, never)
	if err != nil {
		return err
	}
	return h.recoverRuns()
}

func never() bool { return false }

// Synced returns the seq up to which everything is durable.
func (h *History) Synced() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.synced
}

// Append adds the records of log entry seq, numbered from 0. An entry that was appended before, by this
// process or durably by an earlier one, is ignored: the log is being replayed. With ErrDiskFull nothing was
// added and the caller may try again. The records' data may be reused afterwards.
func (h *History) Append(seq uint64, records []disk.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.usableLocked(); err != nil {
		return fmt.Errorf("append history %d: %w", seq, err)
	}
	if seq <= h.mu.appended {
		return nil
	}
	for _, r := range records {
		if len(r.Data) > maxRecord {
			return fmt.Errorf("append history %d: record of %d bytes: %w", seq, len(r.Data), ErrTooLarge)
		}
	}
	// What an earlier entry could not write goes first, or memory would grow while the disk is full.
	if err := h.flushFullLocked(); err != nil {
		return h.failLocked(seq, err)
	}
	h.mu.appended = seq
	for n, r := range records {
		at := disk.Position{Seq: seq, N: uint32(n)}
		h.mu.blob.add(at, r)
		h.mu.locators = append(h.mu.locators, locator{key: r.Key, at: at})
		if n+1 < len(records) && len(h.mu.blob.raw) < h.cfg.BlobSize {
			continue
		}
		if err := h.flushFullLocked(); err != nil && !errors.Is(err, ErrDiskFull) {
			return h.failLocked(seq, err)
		}
	}
	return nil
}

// flushFullLocked writes the blob and the locators if there are enough of them.
func (h *History) flushFullLocked() error {
	if len(h.mu.blob.raw) >= h.cfg.BlobSize {
		if err := h.flushBlobLocked(); err != nil {
			return err
		}
	}
	if len(h.mu.locators) >= h.cfg.RunLength {
		return h.flushRunLocked()
	}
	return nil
}

func (h *History) usableLocked() error {
	if h.mu.closed {
		return ErrClosed
	}
	return h.mu.failed
}

// failLocked keeps the first error, except ErrDiskFull: then everything is still in memory and the next
// Append or Sync writes it. After any other error neither the history nor the node can continue, since the
// node would wait for the history forever.
func (h *History) failLocked(seq uint64, err error) error {
	err = fmt.Errorf("append history %d: %w", seq, err)
	if !errors.Is(err, ErrDiskFull) {
		h.mu.failed = err
		_ = h.db.fail(err)
	}
	return err
}

// Sync makes everything up to seq durable, and whatever else has been appended.
//
// REQUIRES: every entry up to seq that has records has been appended.
func (h *History) Sync(seq uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.usableLocked(); err != nil {
		return fmt.Errorf("sync history: %w", err)
	}
	target := max(seq, h.mu.appended)
	if target == h.mu.synced {
		return nil
	}
	if err := h.flushBlobLocked(); err != nil {
		return h.failLocked(seq, err)
	}
	if err := h.flushRunLocked(); err != nil {
		return h.failLocked(seq, err)
	}
	// The state may only become durable after the data it covers, hence a Sync before and one after.
	if err := h.db.Sync(); err != nil {
		return h.failLocked(seq, err)
	}
	if err := h.db.write(keyOf(kindHistory, h.cfg.Group), binary.LittleEndian.AppendUint64(nil, target)); err != nil {
		return h.failLocked(seq, err)
	}
	if err := h.db.Sync(); err != nil {
		return h.failLocked(seq, err)
	}
	h.mu.synced, h.mu.appended = target, target
	h.startMergeLocked()
	return nil
}

func (h *History) flushBlobLocked() error {
	b := &h.mu.blob
	if b.records == 0 {
		return nil
	}
	if err := h.db.write(h.blobKey(b.first), b.encode()); err != nil {
		return err
	}
	b.reset()
	return nil
}

func (h *History) blobKey(first disk.Position) []byte {
	return keyOf(kindBlob, h.cfg.Group, first.Seq, uint64(first.N))
}

// Close syncs and waits for the merger.
func (h *History) Close() error {
	err := h.Sync(0)
	if errors.Is(err, ErrClosed) {
		return nil
	}
	h.mu.Lock()
	h.mu.closed = true
	h.mu.Unlock()
	h.working.Wait()
	return err
}

func (h *History) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.closed
}
