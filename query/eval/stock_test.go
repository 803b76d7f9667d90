package eval

import (
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

// What is lent is told in bytes. Counters are lent once, however many ask for them.
func TestStockTellsWhatItLends(t *testing.T) {
	var s Stock
	s.words.take(1024)
	s.u32.take(query.ChunkSize)
	first := s.counters(1000)
	if again := s.counters(500); &again[0] != &first[0] {
		t.Error("those who count in turn have counters of their own")
	}
	if got, want := s.Lent(), 1024*8+query.ChunkSize*4+1000*8; got != want {
		t.Errorf("%d bytes are lent, want %d", got, want)
	}
	if s.Reclaim(); s.Lent() != 0 {
		t.Errorf("%d bytes are lent when all came back", s.Lent())
	}
}
