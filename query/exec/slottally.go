package exec

import (
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// slotTally adds up one meter by slots, in integers: numbers are the coefficients of one scale. What it
// cannot hold goes to the cells of the groups first.
type slotTally struct {
	// Two lanes, so that rows of one slot need not wait for each other. The slot after the last takes
	// what belongs to nobody.
	lanes [2][]slotSum
	scale int8
	typ   tree.Type // of what is least or greatest
	room  uint64    // what the magnitude of every sum may grow by
	dirty bool
	packs [2][]uint64 // see addPacked
}

// slotSum is the number of values and their sum, or the least or greatest of them.
type slotSum struct{ n, sum int64 }

// mostCoef bounds a value and mostTally a sum of a tally. A number beyond 10^18 counts as missing.
const (
	mostCoef  = 1e18
	mostTally = 1 << 62
)

// tallied tells whether the meter's function is taken by slots.
func (t *meter) tallied() bool {
	switch t.of.Fn {
	case tree.CountFn:
		return t.of.Arg == nil
	case tree.SumFn, tree.AvgFn:
		return t.t == tree.NumberType && (t.scan != nil || t.plain)
	case tree.MinFn, tree.MaxFn:
		return (t.t == tree.NumberType || t.t == tree.TimeType) && (t.scan != nil || t.plain)
	}
	return false
}

// slotRows is rows of a column (nil: they have none) whose slots are those of their positions.
type slotRows struct {
	v        *query.Vec
	rows     int
	selected []uint64 // nil: all
	pos      []uint16
	slots    *[query.ChunkSize]uint16
	alone    bool // every row has slot 0
}

// tallyChunk adds up the members of a chunk, whose slots are given.
func (w *worker) tallyChunk(t *meter, members *query.Bits, slots *[query.ChunkSize]uint16) error {
	err := w.charge(t.tally.prepare(w.slots.size))
	if err != nil {
		return err
	}
	alone := w.slots.size == 1 && members.Count() == w.present && !w.hides
	if t.scan != nil {
		t.scan.Blocks(w.chunk, members, func(b *query.Block, selected []uint64) {
			r := slotRows{rows: b.Rows, selected: selected, pos: b.Pos[:b.Rows], slots: slots, alone: alone}
			if t.of.Arg == nil {
				t.tally.count(&r)
				return
			}
			if err != nil {
				return
			}
			if r.v = t.scan.Column(0); r.v != nil && w.fits(t, &r, &err) {
				t.tally.add(t.of.Fn, &r)
				return
			}
			w.addSlowly(t, &r, func(i int) tree.Value { return t.scan.Arg(0, i) }, &err)
		})
		return err
	}
	if t.of.Arg == nil {
		t.tally.count(&slotRows{rows: query.ChunkSize, selected: members[:], pos: w.identity(), slots: slots})
		return nil
	}
	pages := w.src.Attribute(t.attribute, w.chunk)
	for n := range pages {
		const words = query.PageRows / 64
		v, at := &pages[n], n*query.PageRows
		if v.Rows == 0 || v.Type != t.t {
			continue
		}
		r := slotRows{v: v, rows: v.Rows, selected: members[n*words : n*words+(v.Rows+63)/64], pos: w.identity()[at : at+v.Rows], slots: slots}
		if w.fits(t, &r, &err) {
			t.tally.add(t.of.Fn, &r)
		} else {
			w.addSlowly(t, &r, v.Value, &err)
		}
	}
	return err
}

// identity has every position at its own place: the positions of an attribute's rows.
func (w *worker) identity() []uint16 {
	if w.places == nil {
		w.places = make([]uint16, query.ChunkSize)
		for i := range w.places {
			w.places[i] = uint16(i)
		}
	}
	return w.places
}

// laneBytes is what a tally holds for a slot.
const laneBytes = 2 * (16 + 8)

// prepare makes room for all slots, and returns the bytes it takes more than before.
func (s *slotTally) prepare(size int) (more int) {
	had := cap(s.lanes[0])
	for k := range s.lanes {
		if len(s.lanes[k]) != size+1 {
			s.lanes[k], s.packs[k] = grown(s.lanes[k], size+1), grown(s.packs[k], size+1)
			clear(s.lanes[k])
			clear(s.packs[k])
		}
	}
	return (cap(s.lanes[0]) - had) * laneBytes
}

// fits tells whether a column can be tallied, and gives what is there to the groups when it could not
// take it as well.
func (w *worker) fits(t *meter, r *slotRows, err *error) bool {
	v, s := r.v, &t.tally
	lo, hi, ok := v.Bounds()
	if !ok || lo < -mostCoef || hi > mostCoef {
		return false
	}
	switch t.of.Fn {
	case tree.MinFn, tree.MaxFn:
		if s.dirty && (s.scale != v.Scale || s.typ != v.Type) {
			*err = w.flushTally(t)
		}
		s.scale, s.typ, s.dirty = v.Scale, v.Type, true
		return *err == nil
	}
	if v.Scale < 0 || v.Scale > 9 {
		return false
	}
	over, most := bits.Mul64(uint64(max(hi, -lo, 0)), uint64(r.rows))
	if over != 0 || most > mostTally {
		return false
	}
	if s.dirty && (s.scale != v.Scale || s.room < most) {
		*err = w.flushTally(t)
	}
	if !s.dirty {
		s.room = mostTally
	}
	s.scale, s.dirty = v.Scale, true
	s.room -= most
	return *err == nil
}

// addSlowly gives the values of rows to the cells of their groups.
func (w *worker) addSlowly(t *meter, r *slotRows, value func(i int) tree.Value, err *error) {
	eachOf(r.rows, r.selected, func(i int) {
		slot := int(r.slots[r.pos[i]])
		if slot == w.slots.size || *err != nil {
			return
		}
		if x := value(i); !x.Missing() {
			var group int32
			if group, *err = w.slotGroup(slot); *err != nil {
				return
			}
			for _, c := range t.cells {
				w.keep(w.slots.groups.all[group].Cells[c.place].add(c.fn, x))
			}
		}
	})
}

func eachOf(rows int, selected []uint64, fn func(i int)) {
	if selected == nil {
		for i := range rows {
			fn(i)
		}
		return
	}
	for w, x := range selected {
		for ; x != 0; x &= x - 1 {
			if i := w<<6 | bits.TrailingZeros64(x); i < rows {
				fn(i)
			}
		}
	}
}

// flushTally adds what was tallied to the cells of the groups.
func (w *worker) flushTally(t *meter) error {
	s := &t.tally
	if !s.dirty {
		return nil
	}
	s.dirty = false
	for slot := range w.slots.size {
		a, b := s.lanes[0][slot], s.lanes[1][slot]
		if a.n+b.n == 0 {
			continue
		}
		s.lanes[0][slot], s.lanes[1][slot] = slotSum{}, slotSum{}
		group, err := w.slotGroup(slot)
		if err != nil {
			return err
		}
		for _, c := range t.cells {
			s.give(&w.slots.groups.all[group].Cells[c.place], c.fn, a, b)
		}
	}
	s.lanes[0][w.slots.size], s.lanes[1][w.slots.size] = slotSum{}, slotSum{}
	return nil
}

// give adds two lanes to a cell.
func (s *slotTally) give(c *Cell, fn tree.Fn, a, b slotSum) {
	switch fn {
	case tree.MinFn, tree.MaxFn:
		for _, x := range []slotSum{a, b} {
			if x.n == 0 {
				continue
			}
			best := tree.Time(x.sum)
			if s.typ == tree.NumberType {
				best = tree.Num(tree.Decimal(x.sum, s.scale))
			}
			c.add(fn, best)
			c.N += x.n - 1
		}
		return
	case tree.SumFn, tree.AvgFn:
		for _, x := range []slotSum{a, b} {
			hi, lo := bits.Mul64(uint64(max(x.sum, -x.sum)), uint64(tree.Pow10(9-s.scale)))
			sum := tree.Sum{Hi: int64(hi), Lo: lo}
			if x.sum < 0 {
				sum = sum.Neg()
			}
			c.Sum = c.Sum.Add(sum)
		}
	}
	c.N += a.n + b.n
}

// count counts rows.
func (s *slotTally) count(r *slotRows) {
	s.dirty = true
	a, b := s.lanes[0], s.lanes[1]
	if r.selected == nil {
		if r.alone {
			a[0].n += int64(r.rows)
			return
		}
		pos := r.pos
		for ; len(pos) >= 2; pos = pos[2:] {
			a[r.slots[pos[0]]].n++
			b[r.slots[pos[1]]].n++
		}
		for _, p := range pos {
			a[r.slots[p]].n++
		}
		return
	}
	eachOf(r.rows, r.selected, func(i int) { a[r.slots[r.pos[i]]].n++ })
}

// add takes in the values of rows.
func (s *slotTally) add(fn tree.Fn, r *slotRows) {
	switch v := r.v; {
	case fn == tree.MinFn || fn == tree.MaxFn:
		s.best(fn == tree.MaxFn, r)
	case v.U8 != nil:
		addNarrow(s, r, v.U8[:r.rows])
	case v.U16 != nil:
		addNarrow(s, r, v.U16[:r.rows])
	case v.U32 != nil:
		addNarrow(s, r, v.U32[:r.rows])
	default:
		eachOf(r.rows, r.selected, func(i int) {
			if raw, ok := v.Raw(i); ok {
				sum := &s.lanes[0][r.slots[r.pos[i]]]
				sum.n++
				sum.sum += raw
			}
		})
	}
}

func addNarrow[T uint8 | uint16 | uint32](s *slotTally, r *slotRows, vals []T) {
	switch {
	case r.selected != nil:
	case r.alone:
		addAll(s, r.v.Base, vals)
		return
	case len(vals) < 1<<16 && len(vals) >= 8*len(s.lanes[0]):
		addPacked(s, r, vals)
		return
	}
	for w := range (len(vals) + 63) / 64 {
		m := ^uint64(0)
		if r.selected != nil {
			m = r.selected[w]
		}
		rows := vals[w*64 : min(w*64+64, len(vals))]
		pos := r.pos[w*64:][:len(rows)]
		switch {
		case m == 0:
		case m == ^uint64(0):
			addWord(s, rows, pos, r.slots, r.v.Base)
		default:
			a := s.lanes[0]
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros64(m)
				if i >= len(rows) {
					break
				}
				if x := rows[i]; x != 0 {
					sum := &a[r.slots[pos[i]]]
					sum.n++
					sum.sum += r.v.Base + int64(x)
				}
			}
		}
	}
}

// addAll adds rows of slot 0.
func addAll[T uint8 | uint16 | uint32](s *slotTally, base int64, vals []T) {
	var sum, missing uint64
	for _, x := range vals {
		sum += uint64(x)
		if x == 0 {
			missing++
		}
	}
	n := int64(len(vals)) - int64(missing)
	s.lanes[0][0].n += n
	s.lanes[0][0].sum += base*n + int64(sum)
}

// packedOne is one value in a word that has their number above the 48 bits of the sum of their cells.
const packedOne = 1 << 48

// addPacked adds rows with one addition each: fewer than 2^16 cells of up to 32 bits fit below their
// number. A missing value is a cell of 0 and adds nothing.
func addPacked[T uint8 | uint16 | uint32](s *slotTally, r *slotRows, vals []T) {
	a, b := s.packs[0], s.packs[1]
	pos, slots := r.pos[:len(vals)], r.slots
	for i := 1; i < len(vals); i += 2 {
		x, y := uint64(vals[i-1]), uint64(vals[i])
		a[slots[pos[i-1]]] += x | (x+packedOne-1)&packedOne
		b[slots[pos[i]]] += y | (y+packedOne-1)&packedOne
	}
	if n := len(vals); n&1 != 0 {
		x := uint64(vals[n-1])
		a[slots[pos[n-1]]] += x | (x+packedOne-1)&packedOne
	}
	for k, packs := range s.packs {
		for slot, x := range packs {
			if x != 0 {
				n := int64(x / packedOne)
				s.lanes[k][slot].n += n
				s.lanes[k][slot].sum += n*r.v.Base + int64(x%packedOne)
				packs[slot] = 0
			}
		}
	}
}

// addWord adds up to 64 rows without a branch: a missing value is none of nothing.
func addWord[T uint8 | uint16 | uint32](s *slotTally, rows []T, pos []uint16, slots *[query.ChunkSize]uint16, base int64) {
	a, b := s.lanes[0], s.lanes[1]
	pos = pos[:len(rows)]
	for i, x := range rows {
		n, raw := int64(1), base+int64(x)
		if x == 0 {
			n = 0
		}
		sum := &a[slots[pos[i]]]
		sum.n += n
		sum.sum += raw & -n
		a, b = b, a
	}
}

// best keeps the least or greatest value of each slot.
func (s *slotTally) best(greatest bool, r *slotRows) {
	a := s.lanes[0]
	if r.selected == nil {
		switch v := r.v; {
		case v.U8 != nil:
			bestNarrow(a, greatest, r, v.U8[:r.rows])
			return
		case v.U16 != nil:
			bestNarrow(a, greatest, r, v.U16[:r.rows])
			return
		case v.U32 != nil:
			bestNarrow(a, greatest, r, v.U32[:r.rows])
			return
		}
	}
	eachOf(r.rows, r.selected, func(i int) {
		raw, ok := r.v.Raw(i)
		if !ok {
			return
		}
		x := &a[r.slots[r.pos[i]]]
		if x.n == 0 || (raw > x.sum) == greatest && raw != x.sum {
			x.sum = raw
		}
		x.n++
	})
}

// bestNarrow is best for all rows of a narrow column.
func bestNarrow[T uint8 | uint16 | uint32](a []slotSum, greatest bool, r *slotRows, vals []T) {
	pos, slots, base := r.pos[:len(vals)], r.slots, r.v.Base
	for i, x := range vals {
		if x == 0 {
			continue
		}
		raw, to := base+int64(x), &a[slots[pos[i]]]
		if to.n == 0 || (raw > to.sum) == greatest && raw != to.sum {
			to.sum = raw
		}
		to.n++
	}
}
