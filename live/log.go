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

// Log is the change log of all shards of a node. Append, Restored and Sync of one shard come from one
// goroutine at a time; everything else may be called from any.
type Log struct {
	cfg     Config
	cluster uint64
	shards  []*shardLog
	// incarnations are those of the shards; they never change
	incarnations []uint64
	consumers    *Consumers
	tally        *tally
	wakes        wakes
	memory       atomic.Int64 // bytes of blocks in memory

	stop    context.CancelFunc
	stopped context.Context
	work    chan struct{} // capacity 1: there may be blocks to store
	running sync.WaitGroup
	keeping retrylog.Tries // of acknowledged cursors
}

// Open opens a log with what its stores hold. It must be closed.
func Open(cfg Config) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l := &Log{cfg: cfg, cluster: xxh3.HashString(cfg.Cluster), work: make(chan struct{}, 1)}
	l.tally = newTally(cfg.Age)
	for i := range cfg.Shards {
		s := &shardLog{number: i, log: l, incarnation: cfg.incarnation(i)}
		s.mu.known = map[string]*known{}
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
	l.running.Go(l.keepConsumers)
	l.running.Go(func() { l.keepCourse(recovered) })
	return l, nil
}

// Flush keeps the cursors acknowledged so far.
func (l *Log) Flush() error { return l.consumers.flush() }

// Close stores what it can and ends every subscription with ErrClosed. It does not flush: where consumers
// are kept may be closed before the log is.
func (l *Log) Close() error {
	l.stop()
	l.running.Wait()
	var errs []error
	for _, s := range l.shards {
		errs = append(errs, s.sync(0))
	}
	return errors.Join(errs...)
}

// Consumers are the durable subscribers.
func (l *Log) Consumers() *Consumers { return l.consumers }

// Append adds the changes of one entry of a shard's log, of every entry in order, also when there are
// none. An entry that is there already is ignored: the log is being replayed. It does not wait for
// anybody.
func (l *Log) Append(shard int, seq uint64, changes []engine.Change) {
	s := l.shards[shard]
	s.mu.Lock()
	grown, sealed := s.appendLocked(seq, changes)
	s.mu.Unlock()
	l.grew(grown, sealed)
	if len(changes) > 0 {
		l.wakes.wake(changes)
	}
}

// Mark says that at an instant a segment of a shard begins or ends to be. It belongs to the entry that is
// appended next.
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

// Restored says that a shard's state was restored as of seq and of an instant: what happened before is
// known only if the log has it.
func (l *Log) Restored(shard int, seq uint64, at int64) {
	s := l.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > s.mu.head {
		l.memory.Add(-s.forgetLocked(after(seq)))
		s.mu.head, s.mu.dropped = seq, max(s.mu.dropped, at)
	}
}

// Sync makes the changes of a shard durable up to seq, which has been appended.
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

// evict gives back memory: of the shard that takes most, the oldest block. One that is nowhere else is
// given up only when the bound is passed by half: then the disk does not follow.
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

// storeRetry is how long the log waits after the disk has refused a block.
const storeRetry = time.Second

// keepConsumers keeps acknowledged cursors, all that have moved in a second at once.
func (l *Log) keepConsumers() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.stopped.Done():
			return
		}
		if err := l.consumers.flush(); l.stopped.Err() == nil {
			l.keeping.Note(l.cfg.Log, "keeping acknowledged cursors", err)
		}
	}
}

// run stores sealed blocks and drops what is too old.
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

// retain drops the oldest blocks while the disk holds too much, and those that are too old.
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

	storing, dropping, marking retrylog.Tries // of blocks, old blocks, and checkpoints

	mu struct {
		sync.Mutex
		blocks  []*block          // ascending; the last one may be open
		base    uint64            // number of blocks[0]
		horizon Position          // what is before it is gone
		head    uint64            // last entry appended
		held    int64             // bytes in memory
		dropped int64             // greatest At of what was dropped, Unix ms
		synced  uint64            // as the store's state says
		behind  chan struct{}     // closed by the next Append; nil while nobody waits
		marks   []mark            // of the entry that is appended next
		known   map[string]*known // segments with changes, but for those long ago
		changed int               // of them since the last checkpoint
		fresh   int64             // bytes since then
		group   grouping
	}
}

// openLocked returns the block to append to; sealed tells that the one before it is full.
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

// forgetLocked empties the log in memory; everything before horizon is gone.
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

// evict gives up the memory of the oldest block that has some. One that is not stored goes only by
// force, and with it everything before.
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

// await waits until an entry has been appended: a state can be seen a moment before its changes.
func (s *shardLog) await(ctx context.Context, seq uint64) error {
	for {
		s.mu.Lock()
		if s.mu.head >= seq {
			s.mu.Unlock()
			return nil
		}
		if s.mu.behind == nil {
			s.mu.behind = make(chan struct{})
		}
		behind := s.mu.behind
		s.mu.Unlock()
		select {
		case <-behind:
		case <-s.log.stopped.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wakes are the channels of those who wait for changes, by segment.
type wakes struct {
	mu struct {
		sync.Mutex
		channels map[string]chan struct{}
	}
}

// watch returns a channel that is closed when something about the segment is appended next.
func (w *wakes) watch(segment string) <-chan struct{} {
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

// wake wakes those who wait for one of the changes.
func (w *wakes) wake(changes []engine.Change) {
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
