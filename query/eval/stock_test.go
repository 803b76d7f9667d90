package eval

import "testing"

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
