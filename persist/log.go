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

// LogConfig says where a raft group's log lies and how it behaves. Dir is required.
type LogConfig struct {
	Dir string

	// SegmentSize is the size of a segment file in bytes, 8 MiB by default. Only whole segments are
	// deleted, so that a large one keeps erased people on an idle shard's disk for long.
	SegmentSize int

	// Floor is the free space in bytes below which appends are refused, 64 MiB by default. It must
	// leave room for the segments that all logs of the disk may preallocate at once.
	Floor uint64

	// MarkInterval is how often a changed high-water mark is fsynced, 1 s by default.
	MarkInterval time.Duration

	// Failed, if not nil, is called once, when a write has failed and the process has to end: what is on
	// disk is unknown from then on. It must not wait.
	Failed func(error)

	Stat   StatFunc     // Statfs by default
	Logger *slog.Logger // discarded by default

	files types.VFS // raft-wal's own by default; a test fails them
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
// An append returns when raft-wal has fsynced it; then the high-water mark is moved, without an
// fsync of its own. Verify reads everything before the log may be used.
//
// What raft v1.8.0 makes of the errors, so that nobody relies on more: when StoreLogs fails on a
// leader, it answers the futures with the error and becomes a follower, and will be elected and fail
// again; a follower refuses the entries and the leader retries with a back-off; when GetLog fails
// for a committed entry, or the stable store for a term or vote, raft panics. So proposals must stop
// before the disk is full (DB.Space), and a Log that has failed (Err) is not to be used further: it
// says so (LogConfig.Failed), the process ends and the next one verifies.
type Log struct {
	cfg   LogConfig
	ident uint64 // random, made with the log
	guard guard
	meta  *metadb.BoltMetaDB
	w     *wal.WAL
	sizes logSizes

	// opened is the state that Verify checks; nobody writes before it has passed.
	opened types.PersistentState

	mu struct {
		sync.Mutex
		mark     *markFile
		verified bool
		failed   error // sticky: after a failed write nobody knows what is on disk
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

// IsMonotonic tells raft that indexes have no gaps: after restoring a snapshot it empties the log.
func (l *Log) IsMonotonic() bool { return true }

// FirstIndex returns the first index, 0 for an empty log.
func (l *Log) FirstIndex() (uint64, error) { return l.w.FirstIndex() }

// LastIndex returns the last index, 0 for an empty log.
func (l *Log) LastIndex() (uint64, error) { return l.w.LastIndex() }

// Err returns the error of the write that has made the log unusable, if one has.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.failed
}

// GetLog reads entry index into out. It returns raft.ErrLogNotFound if the log does not have it and
// a *DamageError if it has rotted since; then the log has failed, since raft panics when it cannot read
// what is to be applied.
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
		return l.end(err)
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

// ID tells the log from every other: it is random, and made with the log.
func (l *Log) ID() uint64 { return l.ident }

// read returns the encoding of entry index.
func (l *Log) read(index uint64) (b []byte, err error) {
	// raft-wal's decoder panics on an overlong uvarint, and a damaged frame must not end the process without a reason.
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

// StoreLogs appends logs, whose indexes continue the log's, and returns when they are durable.
// With ErrDiskFull nothing was written and the log goes on working.
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
	// A full segment is followed by a preallocated one, so that much may be needed as well.
	if err := l.guard.room(uint64(len(l.mu.buf)) + uint64(l.cfg.SegmentSize)); err != nil {
		return fmt.Errorf("append log entry %d: %w", logs[0].Index, err)
	}
	if l.mu.last == 0 {
		// The log begins, perhaps behind an installed snapshot: say so first, or a crash in between
		// would look like a lost front.
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

// encodeLocked turns logs into the frames that raft-wal stores and returns the chain behind them.
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

// DeleteRange removes a front (after a snapshot) or a back (that conflicts with the leader's). The
// mark promises less before anything is removed, so that a crash in between looks like neither.
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

// Present returns an error when the log's files are no longer those it has open: removed under a process
// that writes to them, they are gone with it.
func (l *Log) Present() error { return l.mu.mark.present() }

// failLocked makes the log unusable for good, and says so once.
func (l *Log) failLocked(err error) error {
	if l.mu.failed != nil {
		return err
	}
	l.mu.failed = fmt.Errorf("log %s failed: %w", l.cfg.Dir, err)
	l.cfg.Logger.Error("log failed, the process has to end", "dir", l.cfg.Dir, "err", err)
	if l.cfg.Failed != nil {
		l.cfg.Failed(l.mu.failed)
	}
	return err
}

// end makes the log unusable because of an error that raft would answer with a panic. Where somebody
// ends the process, the goroutine waits here for that: a panic would hide the reason behind a stack.
func (l *Log) end(err error) error {
	l.mu.Lock()
	err = l.failLocked(err)
	ends := l.cfg.Failed != nil
	l.mu.Unlock()
	if ends {
		select {}
	}
	return err
}

// syncMarks makes the mark durable now and then, until ctx ends.
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
	l.mu.mark.dirty = true // also what the timer may have left
	return errors.Join(l.w.Close(), l.mu.mark.close())
}
