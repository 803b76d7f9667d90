package persist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/types"
)

// LogConfig configures a raft group's log. Dir is required.
type LogConfig struct {
	Dir string

	// SegmentSize is the size of a segment file in bytes, 8 MiB by default. Only whole segments are
	// deleted, so a large segment keeps erased people's data on an idle shard's disk for a long time.
	SegmentSize int

	// Floor is the free space in bytes below which appends are refused, 64 MiB by default. It must
	// leave space for the segments that all logs on the disk may preallocate at the same time.
	Floor uint64

	// MarkInterval is how often a changed high-water mark is fsynced, 1 s by default.
	MarkInterval time.Duration

	// Failed, if not nil, is called once, when a write has failed and the process must end: from then on
	// the contents of the disk are unknown. It must not block.
	Failed func(error)

	Stat   StatFunc     // Statfs by default
	Logger *slog.Logger // discarded by default

	files types.VFS // raft-wal's own by default; a test makes them fail
}

func (c LogConfig) withDefaults() LogConfig {
	if c.SegmentSize == 0 {
		c.SegmentSize = 8 << 20
	}
	if c.Floor == 0 {
		c.Floor = 64 << 20
	}
	if c.MarkInterval == 0 {
		c.MarkInterval = time.Second
	}
	if c.Stat == nil {
		c.Stat = Statfs
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.files == nil {
		c.files = fs.New()
	}
	return c
}

// Validate reports everything that is wrong with c.
func (c LogConfig) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("log config: Dir is empty"))
	}
	if c.SegmentSize < 0 || c.SegmentSize > 1<<30 {
		errs = append(errs, fmt.Errorf("log config: SegmentSize %d is not within 0 and 1 GiB", c.SegmentSize))
	}
	if c.MarkInterval < 0 {
		errs = append(errs, fmt.Errorf("log config: MarkInterval %v is negative", c.MarkInterval))
	}
	return errors.Join(errs...)
}

// Log is the durable log and the stable store of one raft group.
//
// An append returns when raft-wal has fsynced it. Then the high-water mark is written, without an fsync.
// Verify must read everything before the log may be used.
//
// Raft v1.8.0 handles the errors of a Log as follows. When StoreLogs fails on a leader, raft fails the
// futures, becomes a follower, is elected again and fails again. A follower refuses the entries and the
// leader retries with a back-off. When GetLog fails for a committed entry, or the stable store for a term
// or vote, raft panics. So proposals must stop before the disk is full (DB.Space), and a Log that has
// failed (Err) must not be used again: it calls LogConfig.Failed, the process ends and the next one
// verifies the log.
type Log struct {
	cfg   LogConfig
	ident uint64 // random, made with the log
	guard guard
	meta  *metadb.BoltMetaDB
	w     *wal.WAL
	sizes logSizes

	// opened is the state that Verify checks; nothing is written before Verify succeeds.
	opened types.PersistentState

	mu struct {
		sync.Mutex
		mark     *markFile
		verified bool
		failed   error // sticky: after a failed write the contents of the disk are unknown
		last     uint64
		chain    chainHash // of entry last
		buf      []byte
		closed   bool
	}

	stop    context.CancelFunc
	stopped chan struct{}
}

var (
	_ raft.LogStore          = (*Log)(nil)
	_ raft.StableStore       = (*Log)(nil)
	_ raft.MonotonicLogStore = (*Log)(nil)
)

// IsMonotonic tells raft that indexes have no gaps, so raft empties the log after restoring a snapshot.
func (l *Log) IsMonotonic() bool { return true }

// FirstIndex returns the first index, 0 for an empty log.
func (l *Log) FirstIndex() (uint64, error) { return l.w.FirstIndex() }

// LastIndex returns the last index, 0 for an empty log.
func (l *Log) LastIndex() (uint64, error) { return l.w.LastIndex() }

// Err returns the error of the write that made the log unusable, nil if none has.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.failed
}

// GetLog reads entry index into out. It returns raft.ErrLogNotFound if the log does not have it, and
// a *DamageError if the entry is damaged. In the second case the log fails, since raft panics when it
// cannot read an entry that it must apply.
func (l *Log) GetLog(index uint64, out *raft.Log) error {
	b, err := l.read(index)
	if err == raft.ErrLogNotFound || errors.Is(err, wal.ErrClosed) {
		return err
	}
	var e entry
	if err == nil {
		e, err = l.decode(index, b)
	}
	if first, e := l.w.FirstIndex(); err != nil && e == nil && (first == 0 || index < first) {
		return raft.ErrLogNotFound // truncated while it was read
	}
	if err != nil {
		return l.failAndBlock(err)
	}
	*out = e.log
	return nil
}

func (l *Log) decode(index uint64, b []byte) (entry, error) {
	e, err := decodeEntry(l.ident, b)
	if err == nil && e.log.Index != index {
		err = fmt.Errorf("found entry %d instead", e.log.Index)
	}
	if err != nil {
		err = &DamageError{Where: "log " + l.cfg.Dir, Index: index, Reason: "unreadable entry", Cause: err}
	}
	return e, err
}

// ID returns the random id that the log was given when it was created.
func (l *Log) ID() uint64 { return l.ident }

// read returns the encoding of entry index.
func (l *Log) read(index uint64) (b []byte, err error) {
	// raft-wal's decoder panics on an overlong uvarint. A damaged frame must not end the process without a
	// reason.
	defer func() {
		if p := recover(); p != nil {
			err = &DamageError{Where: "log " + l.cfg.Dir, Index: index, Reason: fmt.Sprint(p)}
		}
	}()
	var raw raft.Log
	err = l.w.GetLog(index, &raw)
	switch {
	case errors.Is(err, wal.ErrNotFound):
		return nil, raft.ErrLogNotFound
	case errors.Is(err, wal.ErrCorrupt):
		return nil, &DamageError{Where: "log " + l.cfg.Dir, Index: index, Reason: "unreadable frame", Cause: err}
	case err != nil:
		return nil, fmt.Errorf("read log entry %d: %w", index, err)
	}
	return raw.Data, nil
}

// StoreLog appends one entry.
func (l *Log) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends logs, whose indexes must continue the log, and returns when they are durable.
// With ErrDiskFull nothing was written and the log continues to work.
func (l *Log) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return fmt.Errorf("append log entry %d: %w", logs[0].Index, err)
	}
	frames, chain, err := l.encodeLocked(logs)
	if err != nil {
		return err
	}
	// raft-wal preallocates a segment after each full one, so that much more may be needed.
	if err := l.guard.checkFree(uint64(len(l.mu.buf)) + uint64(l.cfg.SegmentSize)); err != nil {
		return fmt.Errorf("append log entry %d: %w", logs[0].Index, err)
	}
	if l.mu.last == 0 {
		// The log begins, perhaps after an installed snapshot. The mark must say so first, or after a crash in
		// between the log would seem to have lost its beginning.
		if err := l.mu.mark.retreat(markState{floor: logs[0].Index}); err != nil {
			return l.failLocked(err)
		}
	}
	if err := l.w.StoreLogs(frames); err != nil {
		return l.failLocked(fmt.Errorf("append log entry %d: %w", logs[0].Index, err))
	}
	for i, f := range frames {
		l.sizes.add(logs[i].Index, len(f.Data))
	}
	l.mu.last, l.mu.chain = logs[len(logs)-1].Index, chain
	if err := l.mu.mark.advance(l.mu.last, chain); err != nil {
		return l.failLocked(err)
	}
	return nil
}

// encodeLocked encodes logs as the frames that raft-wal stores, and returns the chain hash after them.
func (l *Log) encodeLocked(logs []*raft.Log) ([]*raft.Log, chainHash, error) {
	size := 0
	for i, log := range logs {
		if want := l.mu.last + 1 + uint64(i); l.mu.last > 0 && log.Index != want || log.Index != logs[0].Index+uint64(i) {
			return nil, chainHash{}, fmt.Errorf("append log entry %d: out of order, the log ends at %d", log.Index, l.mu.last)
		}
		size += entryHeader + len(log.Data) + len(log.Extensions)
	}
	if cap(l.mu.buf) < size || cap(l.mu.buf) > 4<<20 && size < 1<<20 {
		l.mu.buf = make([]byte, 0, size)
	}
	l.mu.buf = l.mu.buf[:0]
	frames := make([]*raft.Log, len(logs))
	chain, id := l.mu.chain, l.ident
	for i, log := range logs {
		start := len(l.mu.buf)
		l.mu.buf = appendEntry(l.mu.buf, id, &entry{log: *log, durable: l.mu.last, prev: chain})
		frame := l.mu.buf[start:]
		chain = hashEntry(frame)
		frames[i] = &raft.Log{Index: log.Index, Data: frame}
	}
	return frames, chain, nil
}

// DeleteRange removes a prefix (after a snapshot) or a suffix (that conflicts with the leader's). The mark
// is lowered before anything is removed, so that a crash in between does not look like a loss.
func (l *Log) DeleteRange(from, to uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return fmt.Errorf("truncate log: %w", err)
	}
	first, err := l.w.FirstIndex()
	if err != nil {
		return fmt.Errorf("truncate log: %w", err)
	}
	last := l.mu.last
	if last == 0 || to < first || from > last {
		return nil
	}
	mark, chain := l.mu.mark.state, l.mu.chain
	switch {
	case from <= first && to >= last:
		mark, chain = markState{floor: to + 1}, chainHash{}
		last = 0
	case from <= first:
		mark.floor = to + 1
	case to >= last:
		b, err := l.read(from - 1)
		if err != nil {
			return fmt.Errorf("truncate log: %w", err)
		}
		last, chain = from-1, hashEntry(b)
		mark.last, mark.chain = last, chain
	default:
		return fmt.Errorf("truncate log: %d to %d is in the middle of %d to %d", from, to, first, last)
	}
	if err := l.mu.mark.retreat(mark); err != nil {
		return l.failLocked(err)
	}
	if err := l.w.DeleteRange(from, to); err != nil {
		return l.failLocked(fmt.Errorf("truncate log: %w", err))
	}
	l.mu.last, l.mu.chain = last, chain
	l.sizes.truncate(from, to)
	return nil
}

func (l *Log) usableLocked() error {
	switch {
	case l.mu.closed:
		return ErrClosed
	case l.mu.failed != nil:
		return l.mu.failed
	case !l.mu.verified:
		return ErrUnverified
	}
	return nil
}

// Present returns an error when the log's files were removed or replaced while the log is open: what is
// written from then on is lost.
func (l *Log) Present() error { return l.mu.mark.present() }

// failLocked makes the log unusable for good, logs it and calls cfg.Failed once.
func (l *Log) failLocked(err error) error {
	if l.mu.failed != nil {
		return err
	}
	l.mu.failed = fmt.Errorf("log %s failed: %w", l.cfg.Dir, err)
	l.cfg.Logger.Error("log failed, the process must end", "dir", l.cfg.Dir, "err", err)
	if l.cfg.Failed != nil {
		l.cfg.Failed(l.mu.failed)
	}
	return err
}

// failAndBlock makes the log unusable because of an error that raft would answer with a panic. If
// cfg.Failed is set, it does not return but waits for the process to end: a panic would hide the reason
// behind a stack trace.
func (l *Log) failAndBlock(err error) error {
	l.mu.Lock()
	err = l.failLocked(err)
	ends := l.cfg.Failed != nil
	l.mu.Unlock()
	if ends {
		select {}
	}
	return err
}

// syncMarks fsyncs a changed mark every MarkInterval, until ctx ends.
func (l *Log) syncMarks(ctx context.Context) {
	defer close(l.stopped)
	tick := time.NewTicker(l.cfg.MarkInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		f, dirty := l.mu.mark.f, l.mu.mark.dirty
		l.mu.mark.dirty = false
		l.mu.Unlock()
		if !dirty {
			continue
		}
		// Outside the lock: appends need not wait for this fsync.
		if err := f.Sync(); err != nil {
			l.mu.Lock()
			_ = l.failLocked(fmt.Errorf("sync high-water mark: %w", err))
			l.mu.Unlock()
		}
	}
}

// Close makes the mark durable and releases the files. The group's raft must have been shut down.
func (l *Log) Close() error {
	l.stop()
	<-l.stopped
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil
	}
	l.mu.closed = true
	l.mu.mark.dirty = true // sync it even if the timer just reset dirty
	return errors.Join(l.w.Close(), l.mu.mark.close())
}
