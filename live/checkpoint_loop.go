package live

import (
	"context"
	"errors"
	"time"
)

// countAndCheckpoint counts the blocks written by earlier processes, recovered blocks in each shard, and
// then makes checkpoints.
func (l *Log) countAndCheckpoint(recovered []int) {
	for i, s := range l.shards {
		if err := s.countRecovered(l.stopped, recovered[i]); err != nil {
			if l.stopped.Err() == nil {
				l.cfg.Log.Warn("cannot count the changes of earlier processes", "shard", i, "err", err)
			}
			return
		}
	}
	l.hours.counted()
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

// checkpointAll makes a checkpoint of each shard where one is due.
func (l *Log) checkpointAll(ctx context.Context) {
	now := l.cfg.Now().UnixMilli()
	l.hours.forget(now)
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
			s.checkpointing.Note(l.cfg.Log, "storing checkpoints", err, "shard", i)
		}
	}
}

// countRecovered counts the blocks that the store held when the log was opened. Segments with changes after
// the last checkpoint are marked for the next one.
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
		s.log.hours.add(name, h.at, int64(h.enters), int64(h.exits))
		if h.seq > checkpoint && s.points.store != nil {
			s.mu.Lock()
			s.changeLocked(s.segmentLocked(name))
			s.mu.fresh += int64(sc.off - before)
			s.mu.Unlock()
		}
	}
}

var errDamaged = errors.New("a block of changes names a segment it does not have")
