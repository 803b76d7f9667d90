package engine

import (
	"cmp"
	"math"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// leaf is up to 16,384 rows of a series, sorted by (position, time), immutable. Its span of time
// overlaps no other leaf's, except those of future rows. Its columns share one allocation without
// pointers.
type leaf struct {
	block query.Block
	bytes int64
	// future means that all rows were in the future when the leaf was made. Such rows (mostly from
	// wrong clocks) are ignored when the series decides which rows are late.
	future bool
}

// leafBuilder sorts rows of several blocks and divides them into leaves.
type leafBuilder struct {
	parts []*query.Block
	first []int // number of the first row of each part, counted over all parts
	times []int64
	pos   []uint16
}

// newLeafBuilder collects the rows of parts.
func newLeafBuilder(parts []*query.Block) *leafBuilder {
	b := &leafBuilder{parts: parts}
	rows := 0
	for _, p := range parts {
		b.first = append(b.first, rows)
		rows += p.Rows
	}
	b.times = make([]int64, 0, rows)
	b.pos = make([]uint16, 0, rows)
	for _, p := range parts {
		for i := range p.Rows {
			b.times = append(b.times, p.Time(i))
		}
		b.pos = append(b.pos, p.Pos...)
	}
	return b
}

// byTime returns the numbers of the rows that keep accepts (all if it is nil), ordered by time, then
// number.
func (b *leafBuilder) byTime(keep func(row uint32) bool) []uint32 {
	order := make([]uint32, 0, len(b.times))
	sorted, last := true, int64(math.MinInt64)
	lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
	for row, t := range b.times {
		if keep != nil && !keep(uint32(row)) {
			continue
		}
		order = append(order, uint32(row))
		sorted = sorted && t >= last
		last = t
		lo, hi = min(lo, t), max(hi, t)
	}
	switch {
	case sorted:
	case uint64(hi)-uint64(lo) < 1<<40 && len(b.times) < 1<<24:
		keys := make([]uint64, len(order))
		for i, row := range order {
			keys[i] = uint64(b.times[row]-lo)<<24 | uint64(row)
		}
		slices.Sort(keys)
		for i, key := range keys {
			order[i] = uint32(key & (1<<24 - 1))
		}
	default:
		slices.SortStableFunc(order, func(x, y uint32) int {
			switch a, b := b.times[x], b.times[y]; {
			case a < b:
				return -1
			case a > b:
				return 1
			}
			return 0
		})
	}
	return order
}

// build makes leaves of rows in order of time. Each but the last has at least minRows rows.
func (b *leafBuilder) build(order []uint32, minRows int, future bool) []*leaf {
	if len(order) == 0 {
		return nil
	}
	columns := b.columns()
	var leaves []*leaf
	for len(order) > 0 {
		days := b.wholeDays(order, minRows)
		pieces := (days + leafRows - 1) / leafRows
		size := (days + pieces - 1) / pieces
		for from := 0; from < days; from += size {
			piece := order[from:min(from+size, days)]
			lo, hi := b.times[piece[0]], b.times[piece[len(piece)-1]]
			leaves = append(leaves, b.leaf(b.byPosition(piece), columns, lo, hi, future))
		}
		order = order[days:]
	}
	return leaves
}

const dayMillis = 24 * 60 * 60 * 1000

// dayOf returns the number of the UTC day of a time.
func dayOf(time int64) int64 {
	d := time / dayMillis
	if time%dayMillis < 0 {
		d--
	}
	return d
}

// wholeDays returns how many of the first rows make up whole UTC days: the smallest such number that
// is at least minRows. Windows and trends mostly begin and end at midnight, and leaves that do so too
// are read without looking at their times.
func (b *leafBuilder) wholeDays(order []uint32, minRows int) int {
	if len(order) <= minRows {
		return len(order)
	}
	last := dayOf(b.times[order[minRows-1]])
	after, _ := slices.BinarySearchFunc(order, last, func(row uint32, day int64) int {
		return cmp.Compare(dayOf(b.times[row]), day+1)
	})
	return after
}

// byPosition sorts rows by position with two counting passes. It is stable.
func (b *leafBuilder) byPosition(rows []uint32) []uint32 {
	from, to := rows, make([]uint32, len(rows))
	spare := make([]uint32, len(rows))
	for _, shift := range [2]uint{0, 8} {
		var starts [257]int
		for _, row := range from {
			starts[(b.pos[row]>>shift&0xff)+1]++
		}
		for i := 1; i < len(starts); i++ {
			starts[i] += starts[i-1]
		}
		for _, row := range from {
			digit := b.pos[row] >> shift & 0xff
			to[starts[digit]] = row
			starts[digit]++
		}
		from, to = to, spare
	}
	return from
}

// leafColumn is one property of all collected rows: raw integers at one scale, or numbers with a
// scale each where they have none in common.
type leafColumn struct {
	t      tree.Type
	dict   query.Dict
	raws   []int64
	scale  int8
	scales []int8
}

func (b *leafBuilder) columns() []*leafColumn {
	var columns []*leafColumn
	for _, p := range b.parts {
		for id, v := range p.Cols {
			for len(columns) <= id {
				columns = append(columns, nil)
			}
			if v != nil && columns[id] == nil {
				columns[id] = &leafColumn{t: v.Type, dict: v.Dict}
			}
		}
	}
	for id, c := range columns {
		if c != nil {
			b.collect(uint32(id), c)
		}
	}
	return columns
}

func (b *leafBuilder) collect(property uint32, c *leafColumn) {
	c.raws = make([]int64, len(b.times))
	common := true
	for _, p := range b.parts {
		if v := p.Col(property); v != nil {
			common = common && v.Scales == nil
			c.scale = max(c.scale, v.Scale)
		}
	}
	for i, p := range b.parts {
		out := c.raws[b.first[i] : b.first[i]+p.Rows]
		v := p.Col(property)
		rawsOf(v, out)
		if !common || v == nil || v.Scale == c.scale {
			continue
		}
		factor := tree.Pow10(c.scale - v.Scale)
		for row, raw := range out {
			if raw == query.VecMissing {
				continue
			}
			if out[row], common = times(raw, factor); !common {
				break
			}
		}
	}
	if common {
		return
	}
	c.scales = make([]int8, len(c.raws))
	for i, p := range b.parts {
		v := p.Col(property)
		for row := range p.Rows {
			at := b.first[i] + row
			c.raws[at] = query.VecMissing
			if v == nil {
				continue
			}
			if n := v.Value(row); !n.Missing() {
				c.raws[at], c.scales[at] = n.Int, n.Scale
			}
		}
	}
}

// rawsOf writes the raw integers of all rows, query.VecMissing where there is none.
func rawsOf(v *query.Vec, out []int64) {
	for row := range out {
		out[row] = query.VecMissing
	}
	if v == nil {
		return
	}
	for row := range out {
		if raw, ok := v.Raw(row); ok {
			out[row] = raw
		}
	}
}

// leaf makes a leaf of rows that are sorted by (position, time).
func (b *leafBuilder) leaf(rows []uint32, columns []*leafColumn, lo, hi int64, future bool) *leaf {
	encoded := make([]cells, len(columns))
	wide := uint64(hi)-uint64(lo) > math.MaxUint32
	words := wordsFor(len(rows), 2)
	if wide {
		words += len(rows)
	} else {
		words += wordsFor(len(rows), 4)
	}
	used := 0
	for id, c := range columns {
		if c == nil {
			continue
		}
		encoded[id] = c.encode(rows)
		if encoded[id].width > 0 || encoded[id].same {
			used++
		}
		if encoded[id].words == nil {
			words += wordsFor(len(rows), encoded[id].width)
		}
	}
	slab := make([]uint64, words)
	l := &leaf{future: future, bytes: int64(8*words) + 200*int64(1+used)}
	l.block = query.Block{Rows: len(rows), Base: lo, Min: lo, Max: hi, Sorted: true}
	take := func(n int) []uint64 {
		taken := slab[:n:n]
		slab = slab[n:]
		return taken
	}
	l.block.Pos = view16(take(wordsFor(len(rows), 2)), len(rows))
	for i, row := range rows {
		l.block.Pos[i] = b.pos[row]
	}
	b.leafTimes(l, rows, wide, take)
	vecs := make([]query.Vec, 0, used)
	for id := range encoded {
		c := &encoded[id]
		if c.width == 0 && !c.same {
			continue
		}
		if c.words == nil && c.width > 0 {
			c.words = take(wordsFor(len(rows), c.width))
			columns[id].fill(c, rows)
		}
		vecs = append(vecs, c.vec(columns[id].t, columns[id].dict, len(rows)))
		for len(l.block.Cols) <= id {
			l.block.Cols = append(l.block.Cols, nil)
		}
		l.block.Cols[id] = &vecs[len(vecs)-1]
	}
	return l
}

func (b *leafBuilder) leafTimes(l *leaf, rows []uint32, wide bool, take func(int) []uint64) {
	if wide {
		l.block.Base, l.block.Times = 0, view64(take(len(rows)), len(rows))
		for i, row := range rows {
			l.block.Times[i] = b.times[row]
		}
		return
	}
	l.block.Off = view32(take(wordsFor(len(rows), 4)), len(rows))
	for i, row := range rows {
		l.block.Off[i] = uint32(b.times[row] - l.block.Base)
	}
}

// encode chooses the encoding of some rows. It fills a column whose numbers have no common scale
// immediately; fill writes the others.
func (c *leafColumn) encode(rows []uint32) cells {
	if c.scales != nil {
		var out cells
		for i, row := range rows {
			if c.raws[row] != query.VecMissing {
				out.setNumber(i, tree.Number{Coef: c.raws[row], Scale: c.scales[row]}, len(rows))
			}
		}
		return out
	}
	lo, hi, missing := int64(math.MaxInt64), int64(math.MinInt64), false
	for _, row := range rows {
		raw := c.raws[row]
		if raw == query.VecMissing {
			missing = true
			continue
		}
		lo, hi = min(lo, raw), max(hi, raw)
	}
	switch {
	case lo > hi:
		return cells{}
	case lo == hi && !missing:
		return cells{same: true, base: lo, lo: lo, hi: hi, scale: c.scale}
	}
	return cells{lo: lo, hi: hi, base: lo - 1, scale: c.scale, width: widthFor(lo, hi)}
}

// fill writes the values of some rows in the encoding that encode chose.
func (c *leafColumn) fill(out *cells, rows []uint32) {
	for i, row := range rows {
		raw := c.raws[row]
		switch {
		case raw == query.VecMissing:
			out.clear(i)
		case out.width == 1:
			view8(out.words, i+1)[i] = uint8(raw - out.base)
		case out.width == 2:
			view16(out.words, i+1)[i] = uint16(raw - out.base)
		case out.width == 4:
			view32(out.words, i+1)[i] = uint32(raw - out.base)
		default:
			view64(out.words, i+1)[i] = raw
		}
	}
}
