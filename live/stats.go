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
	if onTheHour {
		if ready, err := l.tallied(ctx, segment, since, stats, count); ready || err != nil {
			stats.sizes(later)
			return stats, err
		}
	}
	sizes, err := l.cfg.Source.SegmentSizes(segment)
	if err != nil {
		return nil, err
	}
	for shard, s := range l.shards {
		size := sizes[shard]
		if err := s.await(ctx, size.Seq); err != nil {
			return nil, err
		}
		stats.Size += size.Members
		err = s.eachPiece(ctx, segment, since, Position{}, after(size.Seq), func(h *head) { count(h.at, int64(h.enters), int64(h.exits)) })
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

// tallied counts by the tally; ready is false while blocks are still being counted.
func (l *Log) tallied(ctx context.Context, segment string, since int64, stats *Stats, count func(at, enters, exits int64)) (ready bool, err error) {
	hours, heads, ready := l.hoursAndHeads(segment, since)
	if !ready {
		return false, nil
	}
	for _, h := range hours {
		count(h.hour*hour, h.enters, h.exits)
	}
	sizes, err := l.cfg.Source.SegmentSizes(segment)
	if err != nil {
		return true, err
	}
	for shard, s := range l.shards {
		size := sizes[shard]
		if err := s.await(ctx, size.Seq); err != nil {
			return true, err
		}
		stats.Size += size.Members
		// What came between is in the size and not in the hours.
		err = s.eachPiece(ctx, segment, 0, after(heads[shard]), after(size.Seq), func(h *head) { count(h.at, int64(h.enters), int64(h.exits)) })
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// hoursAndHeads returns the hours of a segment and the entries up to which they count, of all shards.
func (l *Log) hoursAndHeads(segment string, since int64) (hours []hourly, heads []uint64, ready bool) {
	for _, s := range l.shards {
		s.mu.Lock() // all at once, for a moment: hours and heads are of the same entries
		defer s.mu.Unlock()
		heads = append(heads, s.mu.head)
	}
	hours, ready = l.tally.course(segment, since)
	return hours, heads, ready
}

// since is the time from which on the log tells everything: 0 when nothing was ever dropped.
func (s *shardLog) since() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.dropped
}

// eachPiece calls fn with the pieces of a segment from a position on, before another. Blocks that end
// before since are passed over where that is known.
func (s *shardLog) eachPiece(ctx context.Context, segment string, since int64, from, before Position, fn func(h *head)) error {
	return s.eachBlock(ctx, since, from, before, func(data []byte) error {
		return piecesOf(data, segment, func(h *head) error {
			if at := (Position{h.seq, h.n}); !at.less(from) && at.less(before) {
				fn(h)
			}
			return nil
		})
	})
}
