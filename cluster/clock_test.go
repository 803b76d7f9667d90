package cluster

import (
	"testing"
	"time"
)

func TestStamperNeverGoesBack(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	s := newStamper(func() time.Time { return at })
	first := s.next()
	at = at.Add(-time.Hour)
	if got := s.next(); got != first {
		t.Errorf("after the clock went back an hour: stamped %d, want %d again", got, first)
	}
	at = at.Add(time.Hour + time.Millisecond)
	if got := s.next(); got != first+1 {
		t.Errorf("after the clock came back: stamped %d, want %d", got, first+1)
	}
}

func TestStamperFollowsTimeThatPassed(t *testing.T) {
	at := time.Now() // with a monotonic reading
	s := newStamper(func() time.Time { return at })
	s.next()
	at = at.Add(time.Hour) // moves both readings: an hour without entries
	if got := s.next(); got != at.UnixMilli() {
		t.Errorf("stamped %d, want %d: the time has really passed", got, at.UnixMilli())
	}
}

func TestStamperLimitsALeap(t *testing.T) {
	at := time.Now()
	leap := time.Duration(0)
	s := newStamper(func() time.Time { return at })
	s.elapsed = func(now, before time.Time) time.Duration { return now.Sub(before) - leap }
	first := s.next()
	leap = time.Hour
	at = at.Add(leap) // only the wall clock
	if got := s.next(); got != first+1000 {
		t.Errorf("after a leap of an hour: stamped %d after %d, want a second more", got, first)
	}
	leap = 0
	at = at.Add(250 * time.Millisecond)
	if got := s.next(); got != first+2250 {
		t.Errorf("for the next entry: stamped %d after %d, want 1.25 seconds more", got, first)
	}
}
