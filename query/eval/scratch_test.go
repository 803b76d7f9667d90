package eval

import (
	"errors"
	"testing"

	"github.com/musterdb/muster/query"
)

// TestScratch: two buffers in use are distinct, and after Reclaim they are handed out again, with any
// content.
func TestScratch(t *testing.T) {
	var s Scratch
	a, b := s.words.get(1024), s.words.get(1000)
	a[0], b[0] = 1, 2
	if a[0] != 1 || len(b) != 1000 {
		t.Fatal("two buffers in use are the same")
	}
	if same := s.words.sized(b, 1024); &same[0] != &b[0] || len(same) != 1024 {
		t.Error("a buffer that is large enough was replaced")
	}
	s.u8.get(1 << 20)
	s.Reclaim()
	c, d, e := s.words.get(10), s.words.get(1024), s.words.get(1024)
	if &c[0] != &b[0] || &d[0] != &a[0] || &e[0] == &a[0] || &e[0] == &b[0] {
		t.Error("buffers are not reused")
	}
	if len(s.u8.free) != 0 {
		t.Error("a large buffer is kept")
	}
}

// TestScratchReserves: memory is reserved, in bytes, before it is taken. Counters are shared and
// charged once.
func TestScratchReserves(t *testing.T) {
	var s Scratch
	reserved := 0
	s.Bind(Limits{Reserve: func(n int) error { reserved += n; return nil }})
	s.words.get(1024)
	s.u32.get(query.ChunkSize)
	first := s.counters(1000)
	if again := s.counters(500); &again[0] != &first[0] {
		t.Error("counters are not shared")
	}
	if got, want := s.Held(), 1024*8+query.ChunkSize*4+1000*8; got != want {
		t.Errorf("%d bytes are held, want %d", got, want)
	}
	if reserved != 0 {
		t.Errorf("%d bytes are reserved below the free allowance", reserved)
	}
	s.i64.get(1 << 20)
	if held := s.Held() - freeBytes; reserved < held || reserved > held+reserveStep {
		t.Errorf("%d bytes are reserved, %d are held beyond the free ones", reserved, held)
	}
	if s.Reclaim(); s.Held() != 0 {
		t.Errorf("%d bytes are held after Reclaim", s.Held())
	}
}

// TestScratchEnds: the first refusal ends an evaluation, and so does Done, which is called from time to
// time.
func TestScratchEnds(t *testing.T) {
	full, gone := errors.New("full"), errors.New("gone")
	var s Scratch
	var done error
	s.Bind(Limits{Reserve: func(int) error { return full }, Done: func() error { return done }})
	if s.u8.get(freeBytes); s.Err() != nil || !s.Spend(10*doneInterval) {
		t.Fatal("the evaluation ended without a reason")
	}
	if s.u8.get(1); s.Err() != full || s.Spend(1) {
		t.Error("the evaluation continues after a refusal")
	}
	if done = gone; s.Spend(doneInterval) || s.Err() != full {
		t.Error("the first reason was replaced")
	}
	s.Reclaim()
	s.Bind(Limits{Done: func() error { return done }})
	for range 2 {
		s.Spend(doneInterval/2 + 1)
	}
	if s.Err() != gone {
		t.Error("the evaluation continues after Done returned an error")
	}
}
