package exec

import (
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// bucketer numbers the buckets of a calendar as they are met, and finds those of the rows of a block.
// It is for one goroutine.
type bucketer struct {
	calendar calendarOf
	starts   []int64 // of the buckets, by number
	numbers  map[int64]int32

	// Of the last block whose rows are in several buckets:
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

// of returns the numbers of the buckets of the selected rows (nil: all) by row, or, when it is the
// same for all rows, nil and the number. The selected rows lie in [from, to).
func (k *bucketer) of(b *query.Block, selected []uint64, from, to int64) (rows []int32, one int32) {
	lo, hi := max(b.Min, from), min(b.Max, to-1)
	first := k.calendar.at(lo)
	if hi < first.to {
		return nil, k.number(first)
	}
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
	return k.rows[:b.Rows], -1
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

// visitors counts the different profiles of one chunk in each bucket: a set a bucket.
type visitors struct {
	planes []*query.Bits // by number of the bucket; nil, or empty between chunks
	dirty  []int32       // numbers of the planes that are not empty
	marked []bool        // by number: is in dirty
	pairs  []uint64      // bucket << 16 | position, of the buckets beyond maxPlanes
}

// maxPlanes bounds the sets of a worker to 32 MiB.
const maxPlanes = 4096

// plane returns the set of a bucket below maxPlanes.
func (v *visitors) plane(bucket int32) *query.Bits {
	for int(bucket) >= len(v.planes) {
		v.planes, v.marked = append(v.planes, nil), append(v.marked, false)
	}
	if v.planes[bucket] == nil {
		v.planes[bucket] = new(query.Bits)
	}
	if !v.marked[bucket] {
		v.marked[bucket] = true
		v.dirty = append(v.dirty, bucket)
	}
	return v.planes[bucket]
}

// add takes in the selected rows (nil: all) of a block, in the buckets a bucketer found.
func (v *visitors) add(b *query.Block, selected []uint64, k *bucketer, rows []int32, one int32) {
	pos := b.Pos[:b.Rows]
	switch {
	case len(k.starts) > maxPlanes:
		eachRow(b, selected, func(i int) {
			n := one
			if rows != nil {
				n = rows[i]
			}
			if n >= maxPlanes {
				v.pairs = append(v.pairs, uint64(n)<<16|uint64(pos[i]))
			} else {
				v.plane(n).Set(pos[i])
			}
		})
	case rows == nil && selected == nil:
		plane := v.plane(one)
		for _, p := range pos {
			plane[p>>6] |= 1 << (p & 63)
		}
	case rows == nil:
		plane := v.plane(one)
		eachRow(b, selected, func(i int) { plane.Set(pos[i]) })
	case selected == nil && k.tabled:
		v.addAll(pos, k, rows)
	default:
		eachRow(b, selected, func(i int) { v.plane(rows[i]).Set(pos[i]) })
	}
}

// addAll is add of all rows, in the buckets of k's table.
func (v *visitors) addAll(pos []uint16, k *bucketer, rows []int32) {
	for _, l := range k.local {
		v.plane(l.number)
	}
	planes := v.planes
	rows = rows[:len(pos)]
	for i, p := range pos {
		planes[rows[i]][p>>6] |= 1 << (p & 63)
	}
}

// each calls fn with the bucket and the profiles of each set that is not empty, and empties it.
func (v *visitors) each(members *query.Bits, fn func(bucket int32, among *query.Bits)) {
	for _, n := range v.dirty {
		plane := v.planes[n]
		for w := range plane {
			plane[w] &= members[w]
		}
		fn(n, plane)
		*plane, v.marked[n] = query.Bits{}, false
	}
	v.dirty = v.dirty[:0]
	slices.Sort(v.pairs)
	for from := 0; from < len(v.pairs); {
		var among query.Bits
		bucket := v.pairs[from] >> 16
		for ; from < len(v.pairs) && v.pairs[from]>>16 == bucket; from++ {
			if pos := uint16(v.pairs[from]); members.Has(pos) {
				among.Set(pos)
			}
		}
		fn(int32(bucket), &among)
	}
	v.pairs = v.pairs[:0]
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
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
