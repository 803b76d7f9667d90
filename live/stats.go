package live

import "context"

// Stretch counts who entered and left a segment from one time on, until the next Stretch.
type Stretch struct {
	From   int64 // Unix ms
	Enters int64
	Exits  int64
	Size   int64 // members at its end
}

// Stats is the course of a segment over time.
type Stats struct {
	Size      int64 // members as of now
	Since     int64 // the log tells everything from here on; later than asked for where it is shorter
	Stretches []Stretch
}

// Stats counts the changes of a segment from since until until, in stretches of step ms. Stretches of
// whole hours that begin on the hour are counted already; others are read from the log, from since on.
//
// REQUIRES: since ≤ until, step > 0, and (until-since)/step is a sensible number.
func (l *Log) Stats(ctx context.Context, segment string, since, until, step int64) (*Stats, error) {
	stats := &Stats{Since: since, Stretches: make([]Stretch, (until-since+step-1)/step)}
	for i := range stats.Stretches {
		stats.Stretches[i].From = since + int64(i)*step
	}
	for _, s := range l.shards {
		stats.Since = max(stats.Since, s.since())
	}
	later := int64(0) // net of what came after until
	count := func(at, enters, exits int64) {
		switch {
		case at < since:
		case at >= until:
			later += enters - exits
		default:
			x := &stats.Stretches[(at-since)/step]
			x.Enters += enters
			x.Exits += exits
		}
	}
	onTheHour := since%hour == 0 && step%hour == 0 && (until%hour == 0 || until > l.cfg.Now().UnixMilli())
	if onTheHour && l.tallied(segment, since, stats, count) {
		stats.sizes(later)
		return stats, nil
	}
	for shard, s := range l.shards {
		seq, size, err := l.cfg.Source.Count(shard, segment)
		if err != nil {
			return nil, err
		}
		if err := s.await(ctx, seq); err != nil {
			return nil, err
		}
		stats.Size += size
		err = s.eachPiece(ctx, segment, since, after(seq), func(h *head) { count(h.at, int64(h.enters), int64(h.exits)) })
		if err != nil {
			return nil, err
		}
	}
	stats.sizes(later)
	return stats, nil
}

// sizes goes back from the size of now.
func (stats *Stats) sizes(later int64) {
	size := stats.Size - later
	for i := len(stats.Stretches) - 1; i >= 0; i-- {
		x := &stats.Stretches[i]
		x.Size = size
		size -= x.Enters - x.Exits
	}
}

// tallied counts by the tally. It is false where that cannot be: the blocks are still being counted, or a
// shard has applied an entry whose changes are on their way.
func (l *Log) tallied(segment string, since int64, stats *Stats, count func(at, enters, exits int64)) bool {
	for _, s := range l.shards {
		s.mu.Lock() // all at once: sizes and counts are of the same entries
		defer s.mu.Unlock()
	}
	size := int64(0)
	for shard, s := range l.shards {
		seq, n, err := l.cfg.Source.Count(shard, segment)
		if err != nil || seq > s.mu.head {
			return false
		}
		size += n
	}
	hours, ready := l.tally.course(segment, since)
	if !ready {
		return false
	}
	stats.Size = size
	for _, h := range hours {
		count(h.hour*hour, h.enters, h.exits)
	}
	return true
}

// since is the time from which on the log tells everything: 0 when nothing was ever dropped.
func (s *shardLog) since() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.dropped
}

// eachPiece calls fn with the pieces of a segment before a position. Blocks that end before since are
// passed over where that is known.
func (s *shardLog) eachPiece(ctx context.Context, segment string, since int64, before Position, fn func(h *head)) error {
	return s.eachBlock(ctx, since, before, func(data []byte) error { return countPieces(data, segment, before, fn) })
}

func countPieces(data []byte, segment string, before Position, fn func(h *head)) error {
	code := -1
	sc := scanner{data: data}
	for {
		h, ok, err := sc.next()
		if err != nil || !ok {
			return err
		}
		if h.name == segment && h.name != "" {
			code = h.code
		}
		if h.code == code && (Position{h.seq, h.n}).less(before) {
			fn(&h)
		}
	}
}
