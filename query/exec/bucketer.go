package exec

import (
	"math"
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// bucketer numbers the buckets of a calendar in the order in which they first occur, and finds the
// buckets of the rows of a block. It is for one goroutine.
type bucketer struct {
	calendar bucketCalendar
	starts   []int64 // by number: start of the bucket
	numbers  map[int64]int32

	// Of the last block whose rows are in at most fewBuckets buckets:
	cut   [fewBuckets]part
	words []uint64

	// Of the last block whose rows are in more buckets:
	rows     []int32
	hasTable bool          // local has all buckets of the block, in order of time
	local    []localBucket // by cell: index of the first bucket that may hold a row of the cell
	cells    []uint16
}

// localBucket is a bucket with rows of the current block. end is in ms after the start of the block's
// first bucket.
type localBucket struct {
	end    uint64
	number int32
}

// maxLocal is the most buckets of one block for which a table is built; the table has up to 4 times as
// many cells.
const maxLocal = 4096

func newBucketer(c bucketCalendar) *bucketer {
	return &bucketer{calendar: c, numbers: map[int64]int32{}}
}

func (k *bucketer) number(b bucket) int32 {
	n, known := k.numbers[b.from]
	if !known {
		n = int32(len(k.starts))
		k.numbers[b.from] = n
		k.starts = append(k.starts, b.from)
	}
	return n
}

// part is the rows of a block that are in one bucket; nil rows are all of them.
type part struct {
	bucket int32
	rows   []uint64
}

// fewBuckets is the most buckets for which a block is divided into parts.
const fewBuckets = 4

// parts divides the selected rows (nil: all) of a block by bucket; ok is false when they are in too many
// buckets. The selected rows are in [from, to). The parts are valid until the next call.
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
		if i > 0 { // rows from here on do not belong to the previous bucket
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

// left returns word w of a selection of rows; a nil selection has all rows.
func (k *bucketer) left(selected []uint64, rows, w int) uint64 {
	if selected != nil {
		return selected[w]
	}
	if rest := rows - w*64; rest < 64 {
		return 1<<rest - 1
	}
	return ^uint64(0)
}

// of returns the numbers of the buckets of the selected rows (nil: all), by row. The selected rows are
// in [from, to).
func (k *bucketer) of(b *query.Block, selected []uint64, from, to int64) []int32 {
	lo, hi := max(b.Min, from), min(b.Max, to-1)
	first := k.calendar.at(lo)
	k.rows = grown(k.rows, b.Rows)
	var shift uint
	shift, k.hasTable = k.prepare(first, hi)
	switch {
	case !k.hasTable:
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

// offsets is the loop of of for rows whose times are offsets; base is the distance from the start of the
// first bucket to the base of the offsets.
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

// prepare builds the table of the buckets from first to the one of hi. A cell is no longer than the
// shortest bucket, so at most one bucket begins within a cell. ok is false when the table would be too
// large.
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

// eachRow calls fn with each selected row; nil selects all rows.
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

// grown returns s with n elements of unspecified content.
func grown[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
