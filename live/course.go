package live

import (
	"context"
	"errors"
	"time"
)

// keepCourse counts the blocks of earlier lives, recovered of each shard, and from then on keeps
// checkpoints.
func (l *Log) keepCourse(recovered []int) {
	for i, s := range l.shards {
		if err := s.countRecovered(l.stopped, recovered[i]); err != nil {
			if l.stopped.Err() == nil {
				l.cfg.Log.Warn("count changes of earlier lives", "shard", i, "err", err)
			}
			return
		}
	}
	l.tally.counted()
	tick := time.NewTicker(storeRetry)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.stopped.Done():
			return
		}
		l.checkpointAll(l.stopped)
	}
}

// checkpointAll keeps a checkpoint of each shard where it is time.
func (l *Log) checkpointAll(ctx context.Context) {
	now := l.cfg.Now().UnixMilli()
	l.tally.forget(now)
	for i, s := range l.shards {
		seq, due := s.checkpointDue(now)
		if !due {
			continue
		}
		err := s.checkpoint(ctx, seq)
		if err == nil {
			err = s.dropCheckpoints()
		}
		if ctx.Err() == nil {
			s.marking.Note(l.cfg.Log, "keeping memberships", err, "shard", i)
		}
	}
}

// countRecovered counts the first blocks, those that the store held when the log was opened. What lies
// behind the last checkpoint is what the next one is to have.
func (s *shardLog) countRecovered(ctx context.Context, blocks int) error {
	s.mu.Lock()
	last := uint64(0)
	if n := len(s.points.all); n > 0 {
		last = s.points.all[n-1].seq
	}
	first := s.mu.blocks[:min(blocks, len(s.mu.blocks))]
	s.mu.Unlock()
	for _, b := range first {
		if err := ctx.Err(); err != nil {
			return err
		}
		loaded, err := s.load(b)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.countBlock(loaded, last); err != nil {
			return err
		}
		s.mu.Lock()
		b.latest = loaded.latest
		s.mu.Unlock()
	}
	return nil
}

func (s *shardLog) countBlock(b *block, checkpoint uint64) error {
	sc := scanner{data: b.data}
	for {
		before := sc.off
		h, ok, err := sc.next()
		if err != nil || !ok {
			return err
		}
		if h.code >= len(b.segments) {
			return errDamaged
		}
		name := b.segments[h.code]
		s.log.tally.add(name, h.at, int64(h.enters), int64(h.exits))
		if h.seq > checkpoint && s.points.store != nil {
			s.mu.Lock()
			s.changeLocked(s.knownLocked(name))
			s.mu.fresh += int64(sc.off - before)
			s.mu.Unlock()
		}
	}
}

var errDamaged = errors.New("a block of changes names a segment it does not have")
