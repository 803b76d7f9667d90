package eval

import (
	"math"
	"time"
	"unsafe"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// Bound is what an evaluation is held to by who asked for it.
type Bound struct {
	// Reserve asks for more bytes before they are taken; its error ends the evaluation.
	Reserve func(bytes int) error
	// Done returns why nobody waits for the answer any more, nil as long as somebody does.
	Done func() error
}

// Stock lends buffers to what is bound and keeps them for what is bound after: a statement that takes
// some microseconds should not leave hundreds of kilobytes behind, which all others pay for. It is for
// one goroutine at a time. The zero Stock is ready.
//
// All memory of an evaluation that grows with profiles, events, values or clauses is lent by its stock,
// or told to it (charge), so that it is reserved before it is taken. When the bound of the stock says
// no, or nobody waits any more, Err tells why: what is evaluated then goes to its end without looking at
// anything else, and its sets and values mean nothing.
type Stock struct {
	words pile[uint64]
	u8    pile[uint8]
	u16   pile[uint16]
	u32   pile[uint32]
	i64   pile[int64]
	sums  pile[tree.Sum]
	nums  pile[tree.Number]
	strs  pile[string]
	lists pile[tree.Value]

	visits  pile[visit]
	seen    pile[sighting]
	days    map[*time.Location]*calendar.Days
	ranks   ranks     // of moments that are being sorted
	wide    []uint64  // see counters
	vectors []*Vector // free ones

	bound    Bound
	err      error
	held     int // bytes
	reserved int
	work     int // since Done was asked, see Spend
	source   int // see Move
}

const (
	// freeBytes is what an evaluation holds without a word: about what a stock keeps between statements.
	freeBytes = 4 << 20
	// quantum is how much is reserved at once.
	quantum = 256 << 10
	// lookAfter is the work, in about nanoseconds, after which Done is asked again.
	lookAfter = 1 << 19
)

// Bind begins a statement: what is lent from now on is reserved from b. The stock must be whole, as it is
// at first and after Reclaim.
func (s *Stock) Bind(b Bound) {
	s.bound, s.err, s.held, s.reserved, s.work = b, nil, 0, freeBytes, 0
	s.words.of, s.u8.of, s.u16.of, s.u32.of, s.i64.of, s.sums.of = s, s, s, s, s, s
	s.nums.of, s.strs.of, s.lists.of, s.visits.of, s.seen.of = s, s, s, s, s
}

// Err tells why evaluation has ended early, nil where it has not.
func (s *Stock) Err() error { return s.err }

// Held returns the bytes that are held.
func (s *Stock) Held() int { return s.held }

// Move says that the next chunks are of another source: what is remembered of the dictionaries of the
// one before is given up.
func (s *Stock) Move() { s.source++ }

// charge tells the stock of bytes that are going to be held; a negative number gives them back.
func (s *Stock) charge(bytes int) {
	if s.held += bytes; s.held > s.reserved {
		s.reserve()
	}
}

func (s *Stock) reserve() {
	if s.bound.Reserve == nil {
		s.reserved = math.MaxInt
		return
	}
	more := (s.held - s.reserved + quantum - 1) / quantum * quantum
	if err := s.bound.Reserve(more); err != nil {
		s.Fail(err)
		return
	}
	s.reserved += more
}

// Fail ends evaluation for a reason, if it has not ended before.
func (s *Stock) Fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Spend says that work of about so many nanoseconds is to be done, and reports whether to do it.
func (s *Stock) Spend(work int) bool {
	if s.work += work; s.work >= lookAfter {
		s.work = 0
		if s.bound.Done != nil && s.err == nil {
			if err := s.bound.Done(); err != nil {
				s.Fail(err)
			}
		}
	}
	return s.err == nil
}

// counters returns n counters of any content, until it is asked again: there are so many that all who
// count in turn share them.
func (s *Stock) counters(n int) []uint64 {
	if more := n - cap(s.wide); more > 0 {
		s.charge(8 * more)
		s.wide = make([]uint64, n)
	}
	return s.wide[:n]
}

// daysBytes is about what the days of a zone take.
const daysBytes = 64 << 10

// daysOf returns the days of a zone, which all who count days share.
func (s *Stock) daysOf(zone *time.Location) *calendar.Days {
	d := s.days[zone]
	if d == nil {
		s.charge(daysBytes)
		if s.days == nil {
			s.days = map[*time.Location]*calendar.Days{}
		}
		d = calendar.NewDays(zone)
		s.days[zone] = d
	}
	return d
}

// Vector lends a vector until it is given back.
func (s *Stock) Vector() *Vector {
	if n := len(s.vectors); n > 0 {
		v := s.vectors[n-1]
		s.vectors = s.vectors[:n-1]
		return v
	}
	return &Vector{stock: s}
}

// Return takes back a vector that Vector has lent.
func (s *Stock) Return(v *Vector) { s.vectors = append(s.vectors, v) }

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
	s.nums.reclaim(2)
	s.strs.reclaim(0)
	s.lists.reclaim(0)
	s.visits.reclaim(0)
	s.seen.reclaim(0)
	s.wide, s.vectors, s.days, s.ranks.starts = nil, nil, nil, nil
	s.bound, s.err, s.held, s.reserved = Bound{}, nil, 0, 0
}

// pile is the buffers of one type, most of one size.
type pile[T any] struct {
	free, lent [][]T
	of         *Stock // that the bytes are charged to; nil: nobody
}

// keptPile bounds the bytes a pile keeps.
const keptPile = 4 << 20

func (p *pile[T]) bytes(s []T) int {
	var one T
	return cap(s) * int(unsafe.Sizeof(one))
}

// sized returns s with n elements of any content, or a buffer of the pile where s is too small.
func (p *pile[T]) sized(s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return p.take(n)
}

// more returns s with room for n elements more. What it held before stays lent, as it may be looked at
// still: it is at most as much again.
func (p *pile[T]) more(s []T, n int) []T {
	if len(s)+n <= cap(s) {
		return s
	}
	return append(p.take(max(len(s)+n, 2*cap(s)))[:0], s...)
}

// take lends a buffer of n elements of any content.
func (p *pile[T]) take(n int) []T {
	if k := len(p.free); k > 0 && cap(p.free[k-1]) >= n {
		s := p.free[k-1][:n]
		p.free = p.free[:k-1]
		p.charge(cap(s))
		return p.lend(s)
	}
	room := max(n, query.ChunkSize/64)
	p.charge(room)
	return p.lend(make([]T, n, room))
}

func (p *pile[T]) charge(n int) {
	if p.of != nil {
		var one T
		p.of.charge(n * int(unsafe.Sizeof(one)))
	}
}

func (p *pile[T]) lend(s []T) []T {
	p.lent = append(p.lent, s)
	return s
}

// reclaim keeps a few buffers. Large ones are rare: the rows of a tail, say.
func (p *pile[T]) reclaim(most int) {
	kept := 0
	for _, s := range p.free {
		kept += p.bytes(s)
	}
	for _, s := range p.lent {
		if len(p.free) < most && cap(s) <= query.ChunkSize && kept+p.bytes(s) <= keptPile {
			p.free = append(p.free, s)
			kept += p.bytes(s)
		}
	}
	clear(p.lent)
	p.lent = p.lent[:0]
}
