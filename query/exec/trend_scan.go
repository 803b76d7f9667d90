package exec

import (
	"math"
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// trendScan computes a trend over the chunks of a worker. It handles the rows of one block and one
// bucket at a time: most leaves are in one bucket, and then a count is the number of their rows.
type trendScan struct {
	*trend
	worker  *worker
	scan    *eval.EventScan
	arg     bool
	buckets *bucketer
	seen    *visitors
	table   cellTable

	members *query.Bits
	within  bool // all rows belong to members
	groups  *assignment
	counts  []int64 // of one bucket, by group
	spread  []int64 // of a block, by bucket
}

// chunk adds the rows of the members of a chunk. n is the number of groups.
func (c *trendScan) chunk(chunk, n int) {
	c.counts = grown(c.counts, n)
	c.within = c.scan.Within(chunk, c.members)
	c.scan.Blocks(chunk, c.members, func(b *query.Block, selected []uint64) {
		parts, few := c.buckets.parts(b, selected, c.from, c.to)
		switch {
		case !few:
			c.scattered(b, selected)
		case c.stmt.Users:
			for _, p := range parts {
				c.seen.add(b, p.rows, p.bucket)
			}
		case c.arg:
			for _, p := range parts {
				c.measure(b, p.rows, p.bucket)
			}
		default:
			for _, p := range parts {
				c.count(b, p.rows, p.bucket)
			}
		}
	})
	if c.stmt.Users {
		c.seen.each(c.users)
	}
}

// scattered adds the rows of a block that are in many buckets.
func (c *trendScan) scattered(b *query.Block, selected []uint64) {
	buckets := c.buckets.of(b, selected, c.from, c.to)
	if c.stmt.Users {
		c.seen.addRows(b, selected, c.buckets, buckets)
		return
	}
	if !c.arg && c.groups.alone && len(c.buckets.starts) <= maxDense {
		c.spread = grown(c.spread, len(c.buckets.starts))
		clear(c.spread)
		eachRow(b, selected, func(i int) { c.spread[buckets[i]] += int64(c.member(b.Pos[i])) })
		for n, count := range c.spread {
			c.countIn(int32(n), 0, count)
		}
		return
	}
	take := c.taker(b)
	eachRow(b, selected, func(i int) {
		for _, g := range c.groups.of(b.Pos[i]) {
			take(c.cell(buckets[i], g), i)
		}
	})
}

// member returns 1 for a member, else 0.
func (c *trendScan) member(pos uint16) uint64 { return c.members[pos>>6] >> (pos & 63) & 1 }

// taker returns a function that adds a row to a cell.
func (c *trendScan) taker(b *query.Block) func(cell *Cell, row int) {
	if !c.arg {
		return func(cell *Cell, _ int) { cell.N++ }
	}
	if add := newAddend(c.fn, c.scan.Column(0)); add.ok {
		return add.add
	}
	return func(cell *Cell, row int) {
		if v := c.scan.Arg(0, row); !v.Missing() {
			c.worker.keep(cell.add(c.fn, v))
		}
	}
}

// count counts the selected rows (nil: all) of a block that are in one bucket.
func (c *trendScan) count(b *query.Block, selected []uint64, bucket int32) {
	switch {
	case c.groups.alone:
		c.countIn(bucket, 0, c.countMembers(b, selected))
	case c.groups.single != nil && len(c.counts) <= maxDense:
		c.countSingle(b, selected, bucket)
	default:
		eachRow(b, selected, func(i int) {
			for _, g := range c.groups.of(b.Pos[i]) {
				c.cell(bucket, g).N++
			}
		})
	}
}

// countMembers counts the selected rows that belong to members.
func (c *trendScan) countMembers(b *query.Block, selected []uint64) int64 {
	n := uint64(0)
	switch {
	case c.within && selected == nil:
		return int64(b.Rows)
	case c.within:
		for _, x := range selected {
			n += uint64(bits.OnesCount64(x))
		}
	case selected == nil:
		for _, p := range b.Pos[:b.Rows] {
			n += c.member(p)
		}
	default:
		for w, x := range selected {
			for ; x != 0; x &= x - 1 {
				n += c.member(b.Pos[w<<6|bits.TrailingZeros64(x)])
			}
		}
	}
	return int64(n)
}

// countSingle counts rows by group if each member is in one group.
func (c *trendScan) countSingle(b *query.Block, selected []uint64, bucket int32) {
	clear(c.counts)
	counts, group, pos := c.counts, c.groups.single[:query.ChunkSize], b.Pos[:b.Rows]
	if c.within && selected == nil {
		for _, p := range pos {
			counts[group[p]]++
		}
	} else {
		eachRow(b, selected, func(i int) {
			if p := pos[i]; c.within || c.members.Has(p) {
				counts[group[p]]++
			}
		})
	}
	for g, n := range counts {
		c.countIn(bucket, int32(g), n)
	}
}

func (c *trendScan) countIn(bucket, group int32, n int64) {
	if n > 0 {
		c.cell(bucket, group).N += n
	}
}

// measure adds the argument of the selected rows (nil: all) of a block that are in one bucket.
func (c *trendScan) measure(b *query.Block, selected []uint64, bucket int32) {
	if c.groups.alone && c.within && selected == nil {
		if n, sum, ok := columnSum(c.fn, c.scan.Column(0)); ok {
			cell := c.cell(bucket, 0)
			cell.N, cell.Sum = cell.N+n, cell.Sum.AddInt(sum)
			return
		}
	}
	take := c.taker(b)
	if c.groups.alone {
		var all *Cell // made by the first row, even if that has no value
		eachRow(b, selected, func(i int) {
			if c.within || c.members.Has(b.Pos[i]) {
				if all == nil {
					all = c.cell(bucket, 0)
				}
				take(all, i)
			}
		})
		return
	}
	eachRow(b, selected, func(i int) {
		for _, g := range c.groups.of(b.Pos[i]) {
			take(c.cell(bucket, g), i)
		}
	})
}

// users counts the distinct profiles of one bucket: those of a set, or those of a block sorted by
// position.
func (c *trendScan) users(bucket int32, among *query.Bits, lone *query.Block) {
	if among != nil && !c.within {
		among.And(c.members)
	}
	switch {
	case c.groups.alone && among != nil:
		c.countIn(bucket, 0, int64(among.Count()))
	case c.groups.alone && c.within:
		c.countIn(bucket, 0, int64(differentPositions(lone.Pos[:lone.Rows])))
	case c.groups.alone:
		c.countIn(bucket, 0, int64(differentMembers(lone.Pos[:lone.Rows], c.members)))
	case c.groups.single != nil && len(c.counts) <= maxDense:
		c.usersSingle(bucket, among, lone)
	default:
		count := func(pos uint16) {
			for _, g := range c.groups.of(pos) {
				c.cell(bucket, g).N++
			}
		}
		if among == nil {
			eachDifferent(lone, count)
			return
		}
		for pos := range among.All {
			count(pos)
		}
	}
}

// usersSingle is users if each member is in one group.
func (c *trendScan) usersSingle(bucket int32, among *query.Bits, lone *query.Block) {
	clear(c.counts)
	counts, group := c.counts, c.groups.single[:query.ChunkSize]
	switch {
	case among != nil:
		for w, x := range among {
			for ; x != 0; x &= x - 1 {
				counts[group[w<<6|bits.TrailingZeros64(x)]]++
			}
		}
	case c.within: // without a branch, because about every other row is of another profile
		last := uint32(lone.Pos[0]) ^ 1
		for _, p := range lone.Pos[:lone.Rows] {
			counts[group[p]] += int64(lanes.Differ(last, uint32(p)))
			last = uint32(p)
		}
	default:
		eachDifferent(lone, func(pos uint16) {
			if c.members.Has(pos) {
				counts[group[pos]]++
			}
		})
	}
	for g, n := range counts {
		c.countIn(bucket, int32(g), n)
	}
}

// eachDifferent calls fn with each position of a sorted block once.
func eachDifferent(b *query.Block, fn func(pos uint16)) {
	for i, p := range b.Pos[:b.Rows] {
		if i == 0 || p != b.Pos[i-1] {
			fn(p)
		}
	}
}

// cell returns the cell of a bucket and a group of dimensions.
func (c *trendScan) cell(bucket, group int32) *Cell {
	cell, made := c.table.at(bucket, group)
	if made {
		c.worker.keep(groupBytes + keyBytes*(1+len(c.by)) + cellBytes)
	}
	return cell
}

// found returns the cells as groups.
func (c *trendScan) found(keys *groups) []Group {
	all, cells := make([]Group, len(c.table.cells)), make([]Cell, len(c.table.cells))
	values := make([]tree.Value, 0, len(all)*(1+len(c.by)))
	for i, cell := range c.table.cells {
		from := len(values)
		values = append(append(values, tree.Time(c.buckets.starts[cell.bucket])), keys.all[cell.group].Key...)
		cells[i] = cell.Cell
		all[i] = Group{Key: values[from:len(values):len(values)], Cells: cells[i : i+1 : i+1]}
	}
	return all
}

// columnSum adds up a whole column. It returns how many rows have a number, and their sum in billionths.
// ok is false if fn or the column does not allow it, or if the sum could overflow.
func columnSum(fn tree.Fn, v *query.Vec) (n, sum int64, ok bool) {
	add := newAddend(fn, v)
	if !add.ok || v.Rows == 0 {
		return 0, 0, false
	}
	lo, hi := v.Lo, v.Hi
	switch {
	case v.Const:
		lo, hi = v.Base, v.Base
	case v.U8 != nil:
		lo, hi = v.Base, v.Base+math.MaxUint8
	case v.U16 != nil:
		lo, hi = v.Base, v.Base+math.MaxUint16
	case !v.Bounded:
		return 0, 0, false
	}
	if most := add.most / int64(v.Rows); lo < -most || hi > most || lo > hi {
		return 0, 0, false
	}
	switch {
	case v.Const:
		n, sum = int64(v.Rows), int64(v.Rows)*v.Base
	case v.U8 != nil:
		n, sum = offsetSum(v.U8[:v.Rows], v.Base)
	case v.U16 != nil:
		n, sum = offsetSum(v.U16[:v.Rows], v.Base)
	case v.U32 != nil:
		n, sum = offsetSum(v.U32[:v.Rows], v.Base)
	case v.I64 != nil:
		for _, x := range v.I64[:v.Rows] {
			if x != query.VecMissing {
				n++
				sum += x
			}
		}
	}
	return n, sum * add.unit, true
}

// offsetSum adds up base + offset of the rows that have a value; a missing one is 0.
func offsetSum[T uint8 | uint16 | uint32](rows []T, base int64) (n, sum int64) {
	missing := int64(0)
	for _, x := range rows {
		sum += int64(x)
		missing += int64((uint64(x) - 1) >> 63)
	}
	n = int64(len(rows)) - missing
	return n, sum + n*base
}
