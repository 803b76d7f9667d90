package cluster

import (
	"sync"
	"time"
)

// maxLeap is how far the wall clock may run ahead of the monotonic one before it is believed slowly.
const maxLeap = 5 * time.Second

// stamper gives a shard's entries their time: Unix milliseconds that never go back. A clock that
// leaps forward while the node runs (set by hand, a wrong NTP answer) moves replicated time by at
// most a second an entry: memberships would otherwise lapse by the thousand for a time that never
// was. Time that passed while the node was down is taken at once: there the clock is all there is.
type stamper struct {
	clock  func() time.Time
	steady func(now, before time.Time) time.Duration // by the monotonic clock
	mu     struct {
		sync.Mutex
		last int64     // given last
		wall time.Time // at last, with its monotonic reading
	}
}

func newStamper(clock func() time.Time) *stamper {
	return &stamper{clock: clock, steady: time.Time.Sub}
}

// next returns the time of the next entry.
func (s *stamper) next() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	wall := s.clock()
	now := wall.UnixMilli()
	if s.mu.last != 0 {
		steady := s.mu.last + s.steady(wall, s.mu.wall).Milliseconds()
		if now-steady > maxLeap.Milliseconds() {
			now = max(steady, s.mu.last) + time.Second.Milliseconds()
		}
	}
	s.mu.last, s.mu.wall = max(now, s.mu.last), wall
	return s.mu.last
}
