package eval

import (
	"errors"
	"testing"

	"github.com/musterdb/muster/query"
)

// What is lent twice is not the same, and what was taken back is lent again, whatever is in it.
func TestStock(t *testing.T) {
	var s Stock
	a, b := s.words.take(1024), s.words.take(1000)
	a[0], b[0] = 1, 2
	if a[0] != 1 || len(b) != 1000 {
		t.Fatal("two at once are one")
	}
	if same := s.words.sized(b, 1024); &same[0] != &b[0] || len(same) != 1024 {
		t.Error("a buffer that suffices was changed for another")
	}
	s.u8.take(1 << 20)
	s.Reclaim()
	c, d, e := s.words.take(10), s.words.take(1024), s.words.take(1024)
	if &c[0] != &b[0] || &d[0] != &a[0] || &e[0] == &a[0] || &e[0] == &b[0] {
		t.Error("buffers do not come back")
	}
	if len(s.u8.free) != 0 {
		t.Error("a large buffer is kept")
	}
}

// What is lent is reserved in bytes, before it is there. Counters are lent once, however many ask for them.
func TestStockReservesWhatItLends(t *testing.T) {
	var s Stock
	reserved := 0
	s.Bind(Bound{Reserve: func(n int) error { reserved += n; return nil }})
	s.words.take(1024)
	s.u32.take(query.ChunkSize)
	first := s.counters(1000)
	if again := s.counters(500); &again[0] != &first[0] {
		t.Error("those who count in turn have counters of their own")
	}
	if got, want := s.Held(), 1024*8+query.ChunkSize*4+1000*8; got != want {
		t.Errorf("%d bytes are held, want %d", got, want)
	}
	if reserved != 0 {
		t.Errorf("%d bytes are reserved for what a stock keeps anyway", reserved)
	}
	s.i64.take(1 << 20)
	if held := s.Held() - freeBytes; reserved < held || reserved > held+quantum {
		t.Errorf("%d bytes are reserved, %d are held beyond the free ones", reserved, held)
	}
	if s.Reclaim(); s.Held() != 0 {
		t.Errorf("%d bytes are held when all came back", s.Held())
	}
}

// The first refusal ends an evaluation, and so does a context that is done, which is looked at now and then.
func TestStockEnds(t *testing.T) {
	full, gone := errors.New("full"), errors.New("gone")
	var s Stock
	var done error
	s.Bind(Bound{Reserve: func(int) error { return full }, Done: func() error { return done }})
	if s.u8.take(freeBytes); s.Err() != nil || !s.Spend(10*lookAfter) {
		t.Fatal("ended without a reason")
	}
	if s.u8.take(1); s.Err() != full || s.Spend(1) {
		t.Error("goes on when it may hold no more")
	}
	if done = gone; s.Spend(lookAfter) || s.Err() != full {
		t.Error("the first reason is not kept")
	}
	s.Reclaim()
	s.Bind(Bound{Done: func() error { return done }})
	for range 2 {
		s.Spend(lookAfter/2 + 1)
	}
	if s.Err() != gone {
		t.Error("goes on when nobody waits")
	}
}
