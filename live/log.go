package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/retrylog"
)

// Log is the change log of all shards of a node. Append, Mark, Restored and Sync of one shard are called by
// one goroutine at a time; everything else may be called from any goroutine.
type Log struct {
	cfg     Config
	cluster uint64
	shards  []*shardLog
	// incarnations of the shards; they never change
	incarnations []uint64
	consumers    *Consumers
	hours        *hourCounts
	waiters      waiters
	memory       atomic.Int64 // bytes of blocks in memory

	stop             context.CancelFunc
	stopped          context.Context
	work             chan struct{} // capacity 1; signals that there may be blocks to store
	running          sync.WaitGroup
	storingConsumers retrylog.Tries // of storing acknowledged cursors
}

// Open opens a log with the contents of its stores. It must be closed.
func Open(cfg Config) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l := &Log{cfg: cfg, cluster: xxh3.HashString(cfg.Cluster), work: make(chan struct{}, 1)}
	l.hours = newHourCounts(cfg.Age)
	for i := range cfg.Shards {
		s := &shardLog{number: i, log: l, incarnation: cfg.incarnation(i)}
		s.mu.segments = map[string]*segmentEntry{}
		l.incarnations = append(l.incarnations, s.incarnation)
		if len(cfg.Stores) > 0 {
			s.store = cfg.Stores[i]
			if err := s.recover(); err != nil {
				return nil, fmt.Errorf("open change log of shard %d: %w", i, err)
			}
		}
		if len(cfg.Checkpoints) > 0 {
			if err := s.openCheckpoints(cfg.Checkpoints[i]); err != nil {
				return nil, fmt.Errorf("open checkpoints of shard %d: %w", i, err)
			}
		}
		l.shards = append(l.shards, s)
	}
	var err error
	if l.consumers, err = openConsumers(cfg.Consumers); err != nil {
		return nil, fmt.Errorf("open consumers: %w", err)
	}
	l.stopped, l.stop = context.WithCancel(context.Background())
	recovered := make([]int, len(l.shards))
	for i, s := range l.shards {
		recovered[i] = len(s.mu.blocks)
	}
	l.running.Go(l.run)
	l.running.Go(l.storeConsumers)
	l.running.Go(func() { l.countAndCheckpoint(recovered) })
	return l, nil
}

// Flush stores the cursors acknowledged so far.
func (l *Log) Flush() error { return l.consumers.flush() }

// Close stores the remaining blocks and ends every subscription with ErrClosed. It does not flush
// consumers, whose table may be closed before the log.
func (l *Log) Close() error {
	l.stop()
	l.running.Wait()
	var errs []error
	for _, s := range l.shards {
		errs = append(errs, s.sync(0))
	}
	return errors.Join(errs...)
}

// Consumers returns the durable subscribers.
func (l *Log) Consumers() *Consumers { return l.consumers }

// Append adds the changes of one entry of a shard's log. It must be called for every entry, in order, also
// when there are no changes. An entry that the log already has is ignored: the shard is replaying. Append
// waits for neither readers nor the disk.
func (l *Log) Append(shard int, seq uint64, changes []engine.Change) {
	s := l.shards[shard]
	s.mu.Lock()
	grown, sealed := s.appendLocked(seq, changes)
	s.mu.Unlock()
	l.grew(grown, sealed)
	if len(changes) > 0 {
		l.waiters.wake(changes)
	}
}

// Mark records that a segment of a shard starts or stops existing at an instant. It belongs to the entry
// that is appended next.
func (l *Log) Mark(shard int, at int64, segment string, begins bool) {
	s := l.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	m := mark{segment, piece{at: at, cause: segmentEnds}}
	if begins {
		m.cause = segmentBegins
	}
	s.mu.marks = append(s.mu.marks, m)
}

func (l *Log) grew(grown int64, sealed bool) {
	if grown > 0 && l.memory.Add(grown) > l.cfg.MemoryBytes {
		l.evict()
	}
	if sealed {
		l.signal()
	}
}

// Restored records that a shard's state was restored as of seq and an instant. Earlier changes are known
// only if the log has them.
func (l *Log) Restored(shard int, seq uint64, at int64) {
	s := l.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > s.mu.head {
		l.memory.Add(-s.forgetLocked(after(seq)))
		s.mu.head, s.mu.dropped = seq, max(s.mu.dropped, at)
	}
}

// Sync makes the changes of a shard durable up to seq. REQUIRES: seq has been appended.
func (l *Log) Sync(shard int, seq uint64) error {
	if err := l.shards[shard].sync(seq); err != nil {
		return fmt.Errorf("sync change log of shard %d: %w", shard, err)
	}
	return nil
}

func (l *Log) signal() {
	select {
	case l.work <- struct{}{}:
	default:
	}
}

// evict frees memory: the oldest block of the shard that uses most. A block that is not stored is dropped
// only when memory exceeds its bound by half, that is, when the disk does not keep up.
func (l *Log) evict() {
	for l.memory.Load() > l.cfg.MemoryBytes {
		var most *shardLog
		var bytes int64
		for _, s := range l.shards {
			if held := s.held(); held > bytes {
				most, bytes = s, held
			}
		}
		if most == nil {
			return
		}
		freed := most.evict(len(l.cfg.Stores) == 0 || l.memory.Load() > l.cfg.MemoryBytes*3/2)
		l.memory.Add(-freed)
		if freed == 0 {
			l.signal()
			return
		}
	}
}

// storeRetry is the interval between attempts to store blocks, and between checks of retention and
// checkpoints.
const storeRetry = time.Second

// storeConsumers stores acknowledged cursors; all that have changed within a second are written together.
func (l *Log) storeConsumers() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.stopped.Done():
			return
		}
		if err := l.consumers.flush(); l.stopped.Err() == nil {
			l.storingConsumers.Note(l.cfg.Log, "storing acknowledged cursors", err)
		}
	}
}

// run stores sealed blocks and drops those that are too old.
func (l *Log) run() {
	tick := time.NewTicker(storeRetry)
	defer tick.Stop()
	for {
		select {
		case <-l.work:
		case <-tick.C:
		case <-l.stopped.Done():
			return
		}
		l.storeAll()
		l.retain()
	}
}

func (l *Log) storeAll() {
	for _, s := range l.shards {
		s.storing.Note(l.cfg.Log, "storing changes", s.storeSealed(), "shard", s.number)
	}
	if l.memory.Load() > l.cfg.MemoryBytes {
		l.evict()
	}
}

// retain drops the oldest blocks while they use too much disk, and those that are too old.
func (l *Log) retain() {
	oldest := l.cfg.Now().Add(-l.cfg.Age).UnixMilli()
	share := l.cfg.DiskBytes / int64(len(l.shards))
	for _, s := range l.shards {
		freed, err := s.retain(share, oldest)
		l.memory.Add(-freed)
		s.dropping.Note(l.cfg.Log, "dropping old changes", err, "shard", s.number)
	}
}

// shardLog is the log of one shard.
type shardLog struct {
	number      int
	incarnation uint64
	log         *Log
	store       Store       // may be nil
	write       sync.Mutex  // one writer of the store at a time; taken before mu
	points      checkpoints // without a store there are none

	storing, dropping, checkpointing retrylog.Tries // of blocks, old blocks and checkpoints

	mu struct {
		sync.Mutex
		blocks   []*block                 // ascending; the last one may be open
		base     uint64                   // number of blocks[0]
		horizon  Position                 // everything before it is dropped
		head     uint64                   // last entry appended
		held     int64                    // bytes in memory
		dropped  int64                    // greatest At of the dropped changes, Unix ms
		synced   uint64                   // last entry that is durable
		appended chan struct{}            // closed by the next Append; nil while nobody waits
		marks    []mark                   // for the entry that is appended next
		segments map[string]*segmentEntry // segments that have changed recently, by name
		changed  int                      // number of segments changed since the last checkpoint
		fresh    int64                    // bytes appended since the last checkpoint
		group    grouping
	}
}

// openLocked returns the block to append to; sealed reports whether the previous block has become full.
func (s *shardLog) openLocked() (b *block, sealed bool) {
	if n := len(s.mu.blocks); n > 0 {
		if last := s.mu.blocks[n-1]; !last.sealed {
			if len(last.data) < s.log.cfg.BlockBytes {
				return last, false
			}
			last.sealed, sealed = true, true
		}
	}
	b = &block{}
	s.mu.blocks = append(s.mu.blocks, b)
	return b, sealed
}

// forgetLocked drops all blocks from memory; everything before horizon is gone.
func (s *shardLog) forgetLocked(horizon Position) (freed int64) {
	freed, s.mu.held = s.mu.held, 0
	s.mu.base += uint64(len(s.mu.blocks))
	s.mu.blocks, s.mu.horizon = nil, horizon
	return freed
}

func (s *shardLog) held() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.held
}

// evict frees the memory of the oldest block in memory. A block that is not stored is dropped only with
// force, and all earlier blocks with it.
func (s *shardLog) evict(force bool) (freed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.mu.blocks {
		if b.data == nil {
			continue
		}
		switch {
		case b.stored:
			freed, b.data, b.segments = int64(len(b.data)), nil, nil
		case force:
			freed = int64(len(b.data))
			s.mu.horizon = b.end
			s.mu.dropped = max(s.mu.dropped, b.latest)
			s.mu.base += uint64(i + 1)
			s.mu.blocks = append([]*block(nil), s.mu.blocks[i+1:]...)
		}
		s.mu.held -= freed
		return freed
	}
	return 0
}

// await waits until an entry has been appended. A shard's state may be visible shortly before its changes
// are.
func (s *shardLog) await(ctx context.Context, seq uint64) error {
	for {
		s.mu.Lock()
		if s.mu.head >= seq {
			s.mu.Unlock()
			return nil
		}
		if s.mu.appended == nil {
			s.mu.appended = make(chan struct{})
		}
		appended := s.mu.appended
		s.mu.Unlock()
		select {
		case <-appended:
		case <-s.log.stopped.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waiters are the channels on which readers wait for changes, by segment.
type waiters struct {
	mu struct {
		sync.Mutex
		channels map[string]chan struct{}
	}
}

// watch returns a channel that is closed when a change of the segment is appended.
func (w *waiters) watch(segment string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.channels == nil {
		w.mu.channels = make(map[string]chan struct{})
	}
	if w.mu.channels[segment] == nil {
		w.mu.channels[segment] = make(chan struct{})
	}
	return w.mu.channels[segment]
}

// wake waiters the readers of the changed segments.
func (w *waiters) wake(changes []engine.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.mu.channels) == 0 {
		return
	}
	for i := range changes {
		if waiting := w.mu.channels[changes[i].Segment]; waiting != nil {
			close(waiting)
			delete(w.mu.channels, changes[i].Segment)
		}
	}
}
