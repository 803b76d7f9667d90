package exec

import (
	"math"
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// bucketer numbers the buckets of a calendar as they are met, and finds those of the rows of a block.
// It is for one goroutine.
type bucketer struct {
	calendar calendarOf
	starts   []int64 // of the buckets, by number
	numbers  map[int64]int32

	// Of the last block whose rows are in few buckets:
	cut   [fewBuckets]part
	words []uint64

	// Of the last block whose rows are in many:
	rows   []int32
	tabled bool          // local holds all its buckets, in order of time
	local  []localBucket // by cell, the first that may hold a row of the cell
	cells  []uint16
}

// localBucket is a bucket with rows of the block being looked at; it ends so many ms after the first
// of them begins.
type localBucket struct {
	end    uint64
	number int32
}

// maxLocal is the number of buckets of one block, and of cells, up to which a table finds them.
const maxLocal = 4096

func newBucketer(c calendarOf) *bucketer { return &bucketer{calendar: c, numbers: map[int64]int32{}} }

func (k *bucketer) number(b bucket) int32 {
	n, known := k.numbers[b.from]
	if !known {
		n = int32(len(k.starts))
		k.numbers[b.from] = n
		k.starts = append(k.starts, b.from)
	}
	return n
}

// part is the rows of a block that are in one bucket; nil is all of them.
type part struct {
	bucket int32
	rows   []uint64
}

// fewBuckets is the number of buckets up to which a block is cut into parts.
const fewBuckets = 4

// parts cuts the selected rows (nil: all) of a block into parts; ok is false when they are in too many
// buckets. The selected rows lie in [from, to). The parts are valid until the next call.
func (k *bucketer) parts(b *query.Block, selected []uint64, from, to int64) (parts []part, ok bool) {
	lo, hi := max(b.Min, from), min(b.Max, to-1)
	first := k.calendar.at(lo)
	if hi < first.to {
		k.cut[0] = part{k.number(first), selected}
		return k.cut[:1], true
	}
	if b.Off == nil {
		return nil, false
	}
	var buckets [fewBuckets]bucket
	n := 0
	for next := first; ; next = k.calendar.at(next.to) {
		if n == fewBuckets {
			return nil, false
		}
		buckets[n] = next
		n++
		if hi < next.to {
			break
		}
	}
	words := (b.Rows + 63) / 64
	k.words = grown(k.words, n*words)
	for i := range n {
		out := k.words[i*words : (i+1)*words]
		k.cut[i] = part{k.number(buckets[i]), out}
		if i > 0 { // what begins later is no part of the bucket before
			lanes.Within(b.Off[:b.Rows], uint32(buckets[i].from-b.Base), math.MaxUint32, out)
			before := k.cut[i-1].rows
			for w, x := range out {
				out[w] = x & k.left(selected, b.Rows, w)
				before[w] &^= x
			}
			continue
		}
		for w := range out {
			out[w] = k.left(selected, b.Rows, w)
		}
	}
	return k.cut[:n], true
}

// left returns a word of a selection of rows; nil is all of them.
func (k *bucketer) left(selected []uint64, rows, w int) uint64 {
	if selected != nil {
		return selected[w]
	}
	if rest := rows - w*64; rest < 64 {
		return 1<<rest - 1
	}
	return ^uint64(0)
}

// of returns the numbers of the buckets of the selected rows (nil: all), by row. The selected rows lie in
// [from, to).
func (k *bucketer) of(b *query.Block, selected []uint64, from, to int64) []int32 {
	lo, hi := max(b.Min, from), min(b.Max, to-1)
	first := k.calendar.at(lo)
	k.rows = grown(k.rows, b.Rows)
	var shift uint
	shift, k.tabled = k.prepare(first, hi)
	switch {
	case !k.tabled:
		eachRow(b, selected, func(i int) { k.rows[i] = k.number(k.calendar.at(b.Time(i))) })
	case selected == nil && b.Off != nil:
		k.offsets(b.Off[:b.Rows], uint64(b.Base-first.from), shift)
	default:
		eachRow(b, selected, func(i int) {
			at := uint64(b.Time(i) - first.from)
			n := int(k.cells[at>>shift])
			if at >= k.local[n].end {
				n++
			}
			k.rows[i] = k.local[n].number
		})
	}
	return k.rows[:b.Rows]
}

// offsets is the loop of of for rows whose times are offsets; the first bucket begins base before them.
func (k *bucketer) offsets(off []uint32, base uint64, shift uint) {
	rows, cells, local := k.rows[:len(off)], k.cells, k.local
	for i, o := range off {
		at := base + uint64(o)
		n := int(cells[at>>shift])
		if at >= local[n].end {
			n++
		}
		rows[i] = local[n].number
	}
}

// prepare makes the table of the buckets from first to the one that holds hi. Its cells are no longer
// than the shortest bucket, so that at most one bucket begins within a cell; false when it grows too large.
func (k *bucketer) prepare(first bucket, hi int64) (shift uint, ok bool) {
	usual := uint64(20 * 3_600_000) // ms; no day is shorter
	if k.calendar.unit == tree.Hour {
		usual = 3_600_000
	}
	if uint64(hi-first.from)/usual >= maxLocal {
		return 0, false
	}
	k.local = k.local[:0]
	width := first.to - first.from
	for b := first; ; b = k.calendar.at(b.to) {
		k.local = append(k.local, localBucket{uint64(b.to - first.from), k.number(b)})
		width = min(width, b.to-b.from)
		if hi < b.to {
			break
		}
		if len(k.local) == maxLocal {
			return 0, false
		}
	}
	shift = uint(bits.Len64(uint64(width)) - 1)
	n := int(uint64(hi-first.from)>>shift) + 1
	if n > 4*maxLocal {
		return 0, false
	}
	k.cells = grown(k.cells, n)
	at := 0
	for c := range k.cells {
		for uint64(c)<<shift >= k.local[at].end {
			at++
		}
		k.cells[c] = uint16(at)
	}
	return shift, true
}

// eachRow calls fn with the rows of a set, all rows for nil.
func eachRow(b *query.Block, selected []uint64, fn func(row int)) {
	if selected == nil {
		for i := range b.Rows {
			fn(i)
		}
		return
	}
	for w, x := range selected {
		for ; x != 0; x &= x - 1 {
			fn(w<<6 | bits.TrailingZeros64(x))
		}
	}
}

// grown returns s with n elements of any content.
func grown[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
