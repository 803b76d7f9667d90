package live

import "context"

// StatsStep counts the profiles that entered and left a segment in one step of time.
type StatsStep struct {
	From   int64 // Unix ms
	Enters int64
	Exits  int64
	Size   int64 // members at the end of the step
}

// Stats is the history of a segment's size.
type Stats struct {
	Size  int64 // current members
	Since int64 // the log is complete from here, Unix ms; later than requested if it is shorter
	Steps []StatsStep
}

// Stats counts the changes of a segment between since and until, in steps of step ms. Whole hours that
// begin on the hour are counted already; for other steps the log is read.
//
// REQUIRES: since ≤ until, step > 0, and (until-since)/step is small enough to allocate.
func (l *Log) Stats(ctx context.Context, segment string, since, until, step int64) (*Stats, error) {
	stats := &Stats{Since: since, Steps: make([]StatsStep, (until-since+step-1)/step)}
	for i := range stats.Steps {
		stats.Steps[i].From = since + int64(i)*step
	}
	for _, s := range l.shards {
		stats.Since = max(stats.Since, s.since())
	}
	later := int64(0) // enters less exits after until
	count := func(at, enters, exits int64) {
		switch {
		case at < since:
		case at >= until:
			later += enters - exits
		default:
			x := &stats.Steps[(at-since)/step]
			x.Enters += enters
			x.Exits += exits
		}
	}
	onTheHour := since%hour == 0 && step%hour == 0 && (until%hour == 0 || until > l.cfg.Now().UnixMilli())
	if onTheHour {
		if ready, err := l.statsFromHours(ctx, segment, since, stats, count); ready || err != nil {
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

// sizes computes the sizes backwards from the current size.
func (stats *Stats) sizes(later int64) {
	size := stats.Size - later
	for i := len(stats.Steps) - 1; i >= 0; i-- {
		x := &stats.Steps[i]
		x.Size = size
		size -= x.Enters - x.Exits
	}
}

// statsFromHours counts by hour; ready is false while recovered blocks are still being counted.
func (l *Log) statsFromHours(ctx context.Context, segment string, since int64, stats *Stats, count func(at, enters, exits int64)) (ready bool, err error) {
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
		// Changes appended since the hours were read are in the size but not in the hours.
		err = s.eachPiece(ctx, segment, 0, after(heads[shard]), after(size.Seq), func(h *head) { count(h.at, int64(h.enters), int64(h.exits)) })
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// hoursAndHeads returns the hours of a segment, and for each shard the entry up to which they count.
func (l *Log) hoursAndHeads(segment string, since int64) (hours []hourCount, heads []uint64, ready bool) {
	for _, s := range l.shards {
		s.mu.Lock() // all locks together: hours and heads must cover the same entries
		defer s.mu.Unlock()
		heads = append(heads, s.mu.head)
	}
	hours, ready = l.hours.hoursSince(segment, since)
	return hours, heads, ready
}

// since returns the time from which the log is complete: 0 if nothing was ever dropped.
func (s *shardLog) since() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.dropped
}

// eachPiece calls fn with the pieces of a segment from a position on, before another. Blocks known to end
// before since are skipped.
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
