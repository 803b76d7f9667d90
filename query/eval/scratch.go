package eval

import (
	"math"
	"time"
	"unsafe"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// Limits are the limits that a caller sets for an evaluation.
type Limits struct {
	// Reserve is called before more memory is taken. If it returns an error, the evaluation ends.
	Reserve func(bytes int) error
	// Done returns an error once the answer is no longer wanted. It is called from time to time.
	Done func() error
}

// Scratch provides buffers to everything that is bound with it, and keeps them for the next statement.
// So a statement that takes a few microseconds does not leave hundreds of kilobytes to the garbage
// collector. It is for one goroutine at a time. The zero Scratch is ready for use.
//
// All memory of an evaluation that grows with profiles, events, values or clauses comes from its
// Scratch, or is charged to it, so it is reserved before it is taken. If Limits refuse more memory, or
// the answer is no longer wanted, Err returns the reason. The evaluation then runs to its end without
// reading anything else, and its sets and values are meaningless.
type Scratch struct {
	words freeList[uint64]
	u8    freeList[uint8]
	u16   freeList[uint16]
	u32   freeList[uint32]
	i64   freeList[int64]
	sums  freeList[tree.Sum]
	nums  freeList[tree.Number]
	strs  freeList[string]
	lists freeList[tree.Value]

	refs    freeList[rowRef]
	seen    freeList[seenValue]
	days    map[*time.Location]*calendar.Days
	sorter  keySorter // of row keys
	wide    []uint64  // see counters
	vectors []*Vector // not in use

	limits   Limits
	err      error
	held     int // bytes
	reserved int
	work     int // since the last call of Done, see Spend
	source   int // see NextSource
}

const (
	// freeBytes is the memory that an evaluation may take without reserving it: about what a Scratch
	// keeps between statements.
	freeBytes = 4 << 20
	// reserveStep is the unit in which memory is reserved.
	reserveStep = 256 << 10
	// doneInterval is the work, in approximate nanoseconds, between two calls of Done.
	doneInterval = 1 << 19
)

// Bind starts a statement: from now on, memory is reserved from b.
//
// REQUIRES: the Scratch is new, or Reclaim was called since the last Bind.
func (s *Scratch) Bind(b Limits) {
	s.limits, s.err, s.held, s.reserved, s.work = b, nil, 0, freeBytes, 0
	s.words.of, s.u8.of, s.u16.of, s.u32.of, s.i64.of, s.sums.of = s, s, s, s, s, s
	s.nums.of, s.strs.of, s.lists.of, s.refs.of, s.seen.of = s, s, s, s, s
}

// Err returns the reason why evaluation has ended early, nil if it has not.
func (s *Scratch) Err() error { return s.err }

// Held returns the number of bytes in use.
func (s *Scratch) Held() int { return s.held }

// NextSource announces that the next chunks are of another source. What was stored about the
// dictionaries of the last one is dropped.
func (s *Scratch) NextSource() { s.source++ }

// charge records bytes that are about to be taken. A negative number gives them back.
func (s *Scratch) charge(bytes int) {
	if s.held += bytes; s.held > s.reserved {
		s.reserve()
	}
}

func (s *Scratch) reserve() {
	if s.limits.Reserve == nil {
		s.reserved = math.MaxInt
		return
	}
	more := (s.held - s.reserved + reserveStep - 1) / reserveStep * reserveStep
	if err := s.limits.Reserve(more); err != nil {
		s.Fail(err)
		return
	}
	s.reserved += more
}

// Fail ends evaluation with an error, unless it has already ended.
func (s *Scratch) Fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Spend records work of about this many nanoseconds that is about to be done, and reports whether to do
// it.
func (s *Scratch) Spend(work int) bool {
	if s.work += work; s.work >= doneInterval {
		s.work = 0
		if s.limits.Done != nil && s.err == nil {
			if err := s.limits.Done(); err != nil {
				s.Fail(err)
			}
		}
	}
	return s.err == nil
}

// counters returns n counters with any content, valid until the next call. They are large, so
// everything that counts shares them.
func (s *Scratch) counters(n int) []uint64 {
	if more := n - cap(s.wide); more > 0 {
		s.charge(8 * more)
		s.wide = make([]uint64, n)
	}
	return s.wide[:n]
}

// daysBytes is the approximate memory of the days of a zone.
const daysBytes = 64 << 10

// daysOf returns the days of a zone. Everything that counts days shares them.
func (s *Scratch) daysOf(zone *time.Location) *calendar.Days {
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

// Vector returns a vector for use until Return.
func (s *Scratch) Vector() *Vector {
	if n := len(s.vectors); n > 0 {
		v := s.vectors[n-1]
		s.vectors = s.vectors[:n-1]
		return v
	}
	return &Vector{scratch: s}
}

// Return gives back a vector that Vector returned.
func (s *Scratch) Return(v *Vector) { s.vectors = append(s.vectors, v) }

// Reclaim takes back all buffers.
//
// REQUIRES: nothing that was bound with the Scratch is evaluated any more.
func (s *Scratch) Reclaim() {
	s.words.reclaim(64)
	s.u8.reclaim(8)
	s.u16.reclaim(2)
	s.u32.reclaim(4)
	s.i64.reclaim(2)
	s.sums.reclaim(1)
	s.nums.reclaim(2)
	s.strs.reclaim(0)
	s.lists.reclaim(0)
	s.refs.reclaim(0)
	s.seen.reclaim(0)
	s.wide, s.vectors, s.days, s.sorter.starts = nil, nil, nil, nil
	s.limits, s.err, s.held, s.reserved = Limits{}, nil, 0, 0
}

// freeList has the buffers of one type, most of one size.
type freeList[T any] struct {
	free, used [][]T
	of         *Scratch // to which the bytes are charged; nil if to none
}

// freeListBytes bounds the bytes that a free list keeps.
const freeListBytes = 4 << 20

func (p *freeList[T]) bytes(s []T) int {
	var one T
	return cap(s) * int(unsafe.Sizeof(one))
}

// sized returns s with n elements of any content, or another buffer if s is too small.
func (p *freeList[T]) sized(s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return p.get(n)
}

// extend returns s with capacity for n more elements. The old buffer stays in use until reclaim, as it
// may still be read. It adds at most the same amount of memory.
func (p *freeList[T]) extend(s []T, n int) []T {
	if len(s)+n <= cap(s) {
		return s
	}
	return append(p.get(max(len(s)+n, 2*cap(s)))[:0], s...)
}

// get returns a buffer of n elements of any content.
func (p *freeList[T]) get(n int) []T {
	if k := len(p.free); k > 0 && cap(p.free[k-1]) >= n {
		s := p.free[k-1][:n]
		p.free = p.free[:k-1]
		p.charge(cap(s))
		return p.track(s)
	}
	capacity := max(n, query.ChunkSize/64)
	p.charge(capacity)
	return p.track(make([]T, n, capacity))
}

func (p *freeList[T]) charge(n int) {
	if p.of != nil {
		var one T
		p.of.charge(n * int(unsafe.Sizeof(one)))
	}
}

func (p *freeList[T]) track(s []T) []T {
	p.used = append(p.used, s)
	return s
}

// reclaim keeps a few buffers, and no large ones, which are rarely needed: for the rows of a tail, for
// example.
func (p *freeList[T]) reclaim(most int) {
	kept := 0
	for _, s := range p.free {
		kept += p.bytes(s)
	}
	for _, s := range p.used {
		if len(p.free) < most && cap(s) <= query.ChunkSize && kept+p.bytes(s) <= freeListBytes {
			p.free = append(p.free, s)
			kept += p.bytes(s)
		}
	}
	clear(p.used)
	p.used = p.used[:0]
}
