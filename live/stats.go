package live

import (
	"context"
	"errors"
)

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

// Stats counts the changes of a segment from since until until, in stretches of step ms.
//
// REQUIRES: since ≤ until, step > 0, and (until-since)/step is a sensible number.
func (l *Log) Stats(ctx context.Context, segment string, since, until, step int64) (*Stats, error) {
	stats := &Stats{Since: since, Stretches: make([]Stretch, (until-since+step-1)/step)}
	for i := range stats.Stretches {
		stats.Stretches[i].From = since + int64(i)*step
	}
	later := int64(0) // net of what came after until
	for shard, s := range l.shards {
		m, err := l.cfg.Source.Members(ctx, shard, segment)
		if err != nil {
			return nil, err
		}
		if err := s.await(ctx, m.Seq); err != nil {
			return nil, err
		}
		stats.Size += int64(m.Count())
		err = s.eachPiece(ctx, segment, since, after(m.Seq), func(h *head) {
			exits, enters := h.counts()
			switch {
			case h.at < since:
			case h.at >= until:
				later += int64(enters - exits)
			default:
				x := &stats.Stretches[(h.at-since)/step]
				x.Enters += int64(enters)
				x.Exits += int64(exits)
			}
		})
		if err != nil {
			return nil, err
		}
		stats.Since = max(stats.Since, s.since())
	}
	size := stats.Size - later
	for i := len(stats.Stretches) - 1; i >= 0; i-- {
		x := &stats.Stretches[i]
		x.Size = size
		size -= x.Enters - x.Exits
	}
	return stats, nil
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
	s.mu.Lock()
	number := s.mu.base
	s.mu.Unlock()
	for ; ; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		number = max(number, s.mu.base)
		i := int(number - s.mu.base)
		if i >= len(s.mu.blocks) || !s.mu.blocks[i].first.less(before) {
			s.mu.Unlock()
			return nil
		}
		b := s.mu.blocks[i]
		data, old := b.data, b.latest != 0 && b.latest < since
		stub := data == nil && b.stored
		s.mu.Unlock()
		if old {
			continue
		}
		if stub {
			loaded, err := s.load(b)
			if errors.Is(err, errGone) {
				continue
			}
			if err != nil {
				return err
			}
			s.mu.Lock()
			b.latest = loaded.latest
			s.mu.Unlock()
			data = loaded.data
		}
		if err := countPieces(data, segment, before, fn); err != nil {
			return err
		}
	}
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
