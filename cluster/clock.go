package cluster

import (
	"sync"
	"time"
)

// maxLeap is how far the wall clock may get ahead of the monotonic clock before the leap is limited.
const maxLeap = 5 * time.Second

// stamper gives a shard's entries their time: Unix milliseconds that never go back. If the clock leaps
// forward while the node runs (set by hand, or by a wrong NTP answer), replicated time moves by at most
// a second per entry; otherwise memberships would lapse by the thousand for a time that never was. Time
// that passed while the node was down is accepted immediately, since there is no second clock to compare
// it with.
type stamper struct {
	clock   func() time.Time
	elapsed func(now, before time.Time) time.Duration // by the monotonic clock; tests replace it
	mu      struct {
		sync.Mutex
		last int64     // the last time given
		wall time.Time // when last was given, with its monotonic reading
	}
}

func newStamper(clock func() time.Time) *stamper {
	return &stamper{clock: clock, elapsed: time.Time.Sub}
}

// next returns the time of the next entry.
func (s *stamper) next() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	wall := s.clock()
	now := wall.UnixMilli()
	if s.mu.last != 0 {
		steady := s.mu.last + s.elapsed(wall, s.mu.wall).Milliseconds()
		if now-steady > maxLeap.Milliseconds() {
			now = max(steady, s.mu.last) + time.Second.Milliseconds()
		}
	}
	s.mu.last, s.mu.wall = max(now, s.mu.last), wall
	return s.mu.last
}
