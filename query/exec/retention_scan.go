package exec

import (
	"math"
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// retentionScan computes a retention over the chunks of a worker. It needs no sorting: of the first
// event only the earliest row of each profile counts, and of the later rows only the distinct profiles
// of each bucket.
type retentionScan struct {
	first, then *eval.EventScan
	buckets     *bucketer
	seen        *visitors
	table       cellTable // by the cohort's bucket and by 1 + bucket, 0 for the cohort's size
	made        int       // cells not charged yet

	members *query.Bits
	since   []int64 // by position: time of the earliest first event, or noTime
	cohorts []int32 // by position: bucket of that event
	block   query.Block
	rows    []uint64
	counts  []int64 // of one bucket, by cohort
}

// noTime is later than every event.
const noTime = math.MaxInt64

func newRetentionScan(scans []*eval.EventScan, c bucketCalendar, seen *visitors) *retentionScan {
	r := &retentionScan{
		first: scans[0], then: scans[1], buckets: newBucketer(c), seen: seen,
		since: make([]int64, query.ChunkSize), cohorts: make([]int32, query.ChunkSize),
	}
	from, _ := r.first.Window()
	r.then.Narrow(from, math.MaxInt64)
	return r
}

// chunk counts the members of a chunk that have a first event.
func (r *retentionScan) chunk(chunk int, members *query.Bits) {
	if r.members = members; !r.begin(chunk) {
		return
	}
	from, to := r.then.Window()
	r.then.Blocks(chunk, members, func(b *query.Block, selected []uint64) {
		rows := r.after(b, selected)
		parts, few := r.buckets.parts(b, rows, from, to)
		if !few {
			r.seen.addRows(b, rows, r.buckets, r.buckets.of(b, rows, from, to))
			return
		}
		for _, p := range parts {
			r.seen.add(b, p.rows, p.bucket)
		}
	})
	r.seen.each(func(bucket int32, among *query.Bits, _ *query.Block) { r.count(1+bucket, among) })
}

// begin finds the cohorts. It returns false if no member has a first event.
func (r *retentionScan) begin(chunk int) bool {
	for i := range r.since {
		r.since[i] = noTime
	}
	r.first.Blocks(chunk, r.members, func(b *query.Block, selected []uint64) { r.earliest(b, selected) })
	// The earliest rows form a block, so that buckets can find their cohorts.
	b := &r.block
	b.Pos, b.Times, b.Min, b.Max = b.Pos[:0], b.Times[:0], noTime, math.MinInt64
	var among query.Bits
	for w, m := range r.members {
		since := r.since[w*64 : w*64+64]
		for k := range since {
			if t := since[k]; t != noTime && m>>k&1 != 0 {
				b.Pos, b.Times = append(b.Pos, uint16(w<<6|k)), append(b.Times, t)
				b.Min, b.Max = min(b.Min, t), max(b.Max, t)
				among[w] |= 1 << k
			} else {
				since[k] = noTime
			}
		}
	}
	if b.Rows = len(b.Pos); b.Rows == 0 {
		return false
	}
	for i, n := range r.buckets.of(b, nil, b.Min, b.Max+1) {
		r.cohorts[b.Pos[i]] = n
	}
	r.count(0, &among)
	return true
}

// earliest reads rows of the first event.
func (r *retentionScan) earliest(b *query.Block, selected []uint64) {
	since := (*[query.ChunkSize]int64)(r.since)
	if selected == nil && b.Off != nil {
		pos, base := b.Pos[:b.Rows], b.Base
		for i, o := range b.Off[:len(pos)] {
			p := pos[i]
			since[p] = min(since[p], base+int64(o))
		}
		return
	}
	eachRow(b, selected, func(i int) {
		p := b.Pos[i]
		since[p] = min(since[p], b.Time(i))
	})
}

// after returns the selected rows (nil: all) that are not earlier than the first event of their profile.
func (r *retentionScan) after(b *query.Block, selected []uint64) []uint64 {
	since := (*[query.ChunkSize]int64)(r.since)
	r.rows = grown(r.rows, (b.Rows+63)/64)
	pos := b.Pos[:b.Rows]
	for w := range r.rows {
		r.rows[w] = 0
		switch {
		case selected != nil:
			for m := selected[w]; m != 0; m &= m - 1 {
				i := w<<6 | bits.TrailingZeros64(m)
				if b.Time(i) >= since[pos[i]] {
					r.rows[w] |= m & -m
				}
			}
		case b.Off != nil:
			var in uint64
			off := b.Off[w*64 : min(w*64+64, len(pos))]
			at := pos[w*64:][:len(off)]
			for k, o := range off {
				var hit uint64
				if b.Base+int64(o) >= since[at[k]] {
					hit = 1
				}
				in |= hit << (k & 63)
			}
			r.rows[w] = in
		default:
			for i := w * 64; i < min(w*64+64, len(pos)); i++ {
				if b.Times[i] >= since[pos[i]] {
					r.rows[w] |= 1 << (i & 63)
				}
			}
		}
	}
	return r.rows
}

// count adds the profiles of a set to the cells of a bucket and of their cohorts.
func (r *retentionScan) count(bucket int32, among *query.Bits) {
	if len(r.buckets.starts) > maxDense {
		for pos := range among.All {
			r.add(bucket, r.cohorts[pos], 1)
		}
		return
	}
	r.counts = grown(r.counts, len(r.buckets.starts))
	clear(r.counts)
	counts, cohorts := r.counts, (*[query.ChunkSize]int32)(r.cohorts)
	for w, x := range among {
		for ; x != 0; x &= x - 1 {
			counts[cohorts[w<<6|bits.TrailingZeros64(x)]]++
		}
	}
	for cohort, n := range counts {
		if n > 0 {
			r.add(bucket, int32(cohort), n)
		}
	}
}

func (r *retentionScan) add(bucket, cohort int32, n int64) {
	cell, made := r.table.at(bucket, cohort)
	cell.N += n
	if made {
		r.made++
	}
}

// groups returns the cells as groups.
func (r *retentionScan) groups() []Group {
	all := make([]Group, len(r.table.cells))
	for i := range r.table.cells {
		c := &r.table.cells[i]
		key := []tree.Value{tree.Time(r.buckets.starts[c.group]), {}}
		if c.bucket > 0 {
			key[1] = tree.Time(r.buckets.starts[c.bucket-1])
		}
		all[i] = Group{Key: key, Cells: []Cell{c.Cell}}
	}
	return all
}
