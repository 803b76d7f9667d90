package eval

import (
	"unsafe"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Stock lends buffers to what is bound and keeps them for what is bound after: a statement that takes
// some microseconds should not leave hundreds of kilobytes behind, which all others pay for. It is for
// one goroutine at a time. The zero Stock is ready.
type Stock struct {
	words pile[uint64]
	u8    pile[uint8]
	u16   pile[uint16]
	u32   pile[uint32]
	i64   pile[int64]
	sums  pile[tree.Sum]
	wide  []uint64 // see counters
}

// Lent returns the bytes that are lent.
func (s *Stock) Lent() int {
	return s.words.bytes + s.u8.bytes + s.u16.bytes + s.u32.bytes + s.i64.bytes + s.sums.bytes + 8*cap(s.wide)
}

// counters returns n counters of any content, until it is asked again: there are so many that all who
// count in turn share them.
func (s *Stock) counters(n int) []uint64 {
	s.wide = sized(s.wide, n)
	return s.wide
}

// Reclaim takes back everything that was lent.
//
// REQUIRES: nothing is evaluated any more by what was bound with the stock.
func (s *Stock) Reclaim() {
	s.words.reclaim(64)
	s.u8.reclaim(8)
	s.u16.reclaim(2)
	s.u32.reclaim(4)
	s.i64.reclaim(2)
	s.sums.reclaim(1)
	s.wide = nil
}

// pile is the buffers of one type, most of one size.
type pile[T any] struct {
	free, lent [][]T
	bytes      int // of lent
}

// sized returns s with n elements of any content, or a buffer of the pile where s is too small.
func (p *pile[T]) sized(s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return p.take(n)
}

// take lends a buffer of n elements of any content.
func (p *pile[T]) take(n int) []T {
	if k := len(p.free); k > 0 && cap(p.free[k-1]) >= n {
		s := p.free[k-1][:n]
		p.free = p.free[:k-1]
		return p.lend(s)
	}
	return p.lend(make([]T, n, max(n, query.ChunkSize/64)))
}

func (p *pile[T]) lend(s []T) []T {
	var one T
	p.bytes += cap(s) * int(unsafe.Sizeof(one))
	p.lent = append(p.lent, s)
	return s
}

// reclaim keeps a few buffers. Large ones are rare: the rows of a tail, say.
func (p *pile[T]) reclaim(most int) {
	for _, s := range p.lent {
		if len(p.free) < most && cap(s) <= query.ChunkSize {
			p.free = append(p.free, s)
		}
	}
	clear(p.lent)
	p.lent, p.bytes = p.lent[:0], 0
}
