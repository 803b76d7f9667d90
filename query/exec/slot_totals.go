package exec

import (
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// slotTotals adds up the values of one meter by slot, in integers: numbers are coefficients of one
// scale. Before a value that does not fit, the totals so far are moved to the cells of the groups.
type slotTotals struct {
	// Two lanes, so that consecutive rows of one slot do not wait for each other. The last element,
	// after those of all slots, takes the rows of profiles that are not members.
	lanes    [2][]slotSum
	scale    int8
	typ      tree.Type // of the least or greatest value
	headroom uint64    // by how much the magnitude of every sum may still grow
	dirty    bool
	packs    [2][]uint64 // see addPacked
}

// slotSum is the number of values of a slot and their sum, or the least or greatest of them.
type slotSum struct{ n, sum int64 }

// maxCoef is the largest magnitude of a value and maxTotal that of a sum. A number beyond 10^18 counts
// as missing.
const (
	maxCoef  = 1e18
	maxTotal = 1 << 62
)

// bySlot reports whether the meter's function can be computed by slot.
func (t *meter) bySlot() bool {
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

// slotRows are rows of a column (nil if only rows are counted); the slot of a row is that of its
// position.
type slotRows struct {
	v        *query.Vec
	rows     int
	selected []uint64 // nil: all
	pos      []uint16
	slots    *[query.ChunkSize]uint16
	alone    bool // every row has slot 0
}

// totalChunk adds the members of a chunk to the totals of their slots.
func (w *worker) totalChunk(t *meter, members *query.Bits, slots *[query.ChunkSize]uint16) error {
	err := w.charge(t.totals.prepare(w.slots.size))
	if err != nil {
		return err
	}
	alone := w.slots.size == 1 && members.Count() == w.present && !w.hides
	if t.scan != nil {
		t.scan.Blocks(w.chunk, members, func(b *query.Block, selected []uint64) {
			r := slotRows{rows: b.Rows, selected: selected, pos: b.Pos[:b.Rows], slots: slots, alone: alone}
			if t.of.Arg == nil {
				t.totals.count(&r)
				return
			}
			if err != nil {
				return
			}
			if r.v = t.scan.Column(0); r.v != nil && w.fits(t, &r, &err) {
				t.totals.add(t.of.Fn, &r)
				return
			}
			w.addEachValue(t, &r, func(i int) tree.Value { return t.scan.Arg(0, i) }, &err)
		})
		return err
	}
	if t.of.Arg == nil {
		t.totals.count(&slotRows{rows: query.ChunkSize, selected: members[:], pos: w.identity(), slots: slots})
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
			t.totals.add(t.of.Fn, &r)
		} else {
			w.addEachValue(t, &r, v.Value, &err)
		}
	}
	return err
}

// identity returns the slice whose element i is i: the positions of the rows of an attribute.
func (w *worker) identity() []uint16 {
	if w.places == nil {
		w.places = make([]uint16, query.ChunkSize)
		for i := range w.places {
			w.places[i] = uint16(i)
		}
	}
	return w.places
}

// laneBytes is what totals take per slot.
const laneBytes = 2 * (16 + 8)

// prepare allocates totals for size slots, and returns by how many bytes they grew.
func (s *slotTotals) prepare(size int) (more int) {
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

// fits reports whether a column can be added to the totals. If the totals so far leave no space for it,
// fits first flushes them to the groups.
func (w *worker) fits(t *meter, r *slotRows, err *error) bool {
	v, s := r.v, &t.totals
	lo, hi, ok := v.Bounds()
	if !ok || lo < -maxCoef || hi > maxCoef {
		return false
	}
	switch t.of.Fn {
	case tree.MinFn, tree.MaxFn:
		if s.dirty && (s.scale != v.Scale || s.typ != v.Type) {
			*err = w.flushTotals(t)
		}
		s.scale, s.typ, s.dirty = v.Scale, v.Type, true
		return *err == nil
	}
	if v.Scale < 0 || v.Scale > 9 {
		return false
	}
	over, most := bits.Mul64(uint64(max(hi, -lo, 0)), uint64(r.rows))
	if over != 0 || most > maxTotal {
		return false
	}
	if s.dirty && (s.scale != v.Scale || s.headroom < most) {
		*err = w.flushTotals(t)
	}
	if !s.dirty {
		s.headroom = maxTotal
	}
	s.scale, s.dirty = v.Scale, true
	s.headroom -= most
	return *err == nil
}

// addEachValue adds the values of rows to the cells of their groups one by one.
func (w *worker) addEachValue(t *meter, r *slotRows, value func(i int) tree.Value, err *error) {
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

// flushTotals moves the totals to the cells of the groups.
func (w *worker) flushTotals(t *meter) error {
	s := &t.totals
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
			s.addTo(&w.slots.groups.all[group].Cells[c.place], c.fn, a, b)
		}
	}
	s.lanes[0][w.slots.size], s.lanes[1][w.slots.size] = slotSum{}, slotSum{}
	return nil
}

// addTo adds the totals of two lanes to a cell.
func (s *slotTotals) addTo(c *Cell, fn tree.Fn, a, b slotSum) {
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
func (s *slotTotals) count(r *slotRows) {
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

// add adds the values of rows.
func (s *slotTotals) add(fn tree.Fn, r *slotRows) {
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

func addNarrow[T uint8 | uint16 | uint32](s *slotTotals, r *slotRows, vals []T) {
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
func addAll[T uint8 | uint16 | uint32](s *slotTotals, base int64, vals []T) {
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

// packedOne is a count of one in a packed word: the number of values is above the 48 bits of their sum.
const packedOne = 1 << 48

// addPacked adds rows with one addition each: the sum of fewer than 2^16 values of up to 32 bits fits
// into 48 bits. A missing value is 0 and adds nothing.
func addPacked[T uint8 | uint16 | uint32](s *slotTotals, r *slotRows, vals []T) {
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

// addWord adds up to 64 rows without a branch: a missing value adds 0 to the number and to the sum.
func addWord[T uint8 | uint16 | uint32](s *slotTotals, rows []T, pos []uint16, slots *[query.ChunkSize]uint16, base int64) {
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
func (s *slotTotals) best(greatest bool, r *slotRows) {
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
