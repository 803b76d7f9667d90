package exec

import (
	"math"
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// slotNumbering numbers the combinations of values of dictionary attributes, numbers in a small range,
// booleans and segments. The slot of a profile is the sum over the dimensions of (1 + code, or 0 if not
// set) × stride. So members are counted by small integers, and values and groups are looked up once per
// slot. Several slots may have the same group, for example numbers of one step.
type slotNumbering struct {
	dims      []slotDim
	size      int     // slots in use
	known     []int32 // by slot: 1 + group; 0: not known yet
	ungrouped int     // slots whose group is not known yet
	groups    *groups
	owner     *dimension // the first dimension: identifies the dimensions that the slots are for
	next      []slotDim  // scratch

	slots  *[query.ChunkSize]uint16 // by position, see fillSlots
	counts [4][]uint32              // by slot, see countSlots
	dirty  bool
	bytes  byteHistogram
}

// reset forgets the previous statement.
func (s *slotNumbering) reset() {
	s.groups, s.owner, s.dims, s.dirty = nil, nil, s.dims[:0], false
	if s.bytes.used { // the statement ended in the middle of a chunk
		s.bytes = byteHistogram{}
	}
}

// slotDim is how one dimension contributes to slots.
type slotDim struct {
	kind   slotKind
	dict   query.Dict
	least  int64 // of numbers: the coefficient with code 0; coefficients have scale decimals
	scale  int8
	size   int // number of values, including not set
	stride int
}

type slotKind uint8

const (
	segmentSlots slotKind = iota // 0 outside, 1 inside
	boolSlots                    // 0 not set, 1 false, 2 true
	codeSlots                    // 0 not set, 1 + code
	numberSlots                  // 0 not set, 1 + coefficient - least
)

// maxSlots is the most combinations that are numbered. One more number is left for profiles that are not
// members.
const maxSlots = 1<<16 - 1

// slotted prepares the slots of the worker's dimensions for a chunk. It returns false if they have none.
// If the slots differ from those of the previous chunk, it first calls flush to move what was counted by
// the old ones.
func (w *worker) slotted(g *groups, flush func() error) (bool, error) {
	s := &w.slots
	var owner *dimension
	if len(w.dims) > 0 {
		owner = w.dims[0]
	}
	same := s.groups == g && s.owner == owner && len(s.dims) == len(w.dims)
	s.next = s.next[:0]
	stride := 1
	for i, d := range w.dims {
		var before slotDim
		if same {
			before = s.dims[i]
		}
		next, ok := d.slots(w, before)
		if !ok || stride*next.size > maxSlots {
			return false, nil
		}
		next.stride = stride
		stride *= next.size
		s.next = append(s.next, next)
	}
	if same && slices.Equal(s.next, s.dims) {
		return true, nil
	}
	if err := flush(); err != nil {
		return false, err
	}
	s.groups, s.owner, s.size = g, owner, stride
	s.dims = append(s.dims[:0], s.next...)
	s.known = grown(s.known, stride)
	clear(s.known)
	s.ungrouped = stride
	return true, nil
}

// slots returns how d contributes to the slots of the chunk; before is how it did in the previous chunk.
func (d *dimension) slots(w *worker, before slotDim) (next slotDim, ok bool) {
	switch {
	case d.segment != nil:
		return slotDim{kind: segmentSlots, size: 2}, true
	case !d.plain:
		return next, false
	case d.t == tree.BoolType:
		return slotDim{kind: boolSlots, size: 3}, true
	case d.t == tree.NumberType:
		return d.numberSlots(w, before)
	}
	dict, ok := d.dictOf(w)
	switch {
	case !ok:
		return next, false
	case before.size > 1 && (dict == before.dict || dict == nil):
		return slotDim{kind: codeSlots, dict: before.dict, size: before.size}, true
	case dict == nil: // no profile has a value
		return slotDim{kind: codeSlots, size: 1}, true
	}
	return slotDim{kind: codeSlots, dict: dict, size: dict.Len() + 1}, true
}

// maxNumberRange is the largest range of coefficients for which numbers have slots.
const maxNumberRange = 1 << 14

// numberSlots is slots for numbers. They have slots if all pages have the same scale and the range of
// coefficients is small.
func (d *dimension) numberSlots(w *worker, before slotDim) (next slotDim, ok bool) {
	next = slotDim{kind: numberSlots, size: 1}
	lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
	if before.size > 1 {
		next.scale, lo, hi = before.scale, before.least, before.least+int64(before.size)-2
	}
	pages := w.src.Attribute(d.attribute, w.chunk)
	for i := range pages {
		v := &pages[i]
		if v.Rows == 0 {
			continue
		}
		from, to, ok := v.Bounds()
		if !ok || v.Type != tree.NumberType || lo <= hi && v.Scale != next.scale {
			return next, false
		}
		next.scale, lo, hi = v.Scale, min(lo, from), max(hi, to)
	}
	if lo > hi { // no profile has a value
		return next, true
	}
	if uint64(hi)-uint64(lo) >= maxNumberRange {
		return next, false
	}
	next.least, next.size = lo, int(hi-lo)+2
	return next, true
}

// dictOf returns the dictionary of an attribute's values in the chunk, nil if there are no values; ok is
// false if there are several dictionaries.
func (d *dimension) dictOf(w *worker) (dict query.Dict, ok bool) {
	if sets := w.src.ValueSets(d.attribute, w.chunk); sets != nil {
		return sets.Dict(), true
	}
	pages := w.src.Attribute(d.attribute, w.chunk)
	for i := range pages {
		switch {
		case pages[i].Dict == nil || pages[i].Rows == 0:
		case dict == nil:
			dict = pages[i].Dict
		case dict != pages[i].Dict:
			return nil, false
		}
	}
	return dict, true
}

// slotGroup returns the number of the group of a slot.
func (w *worker) slotGroup(slot int) (int32, error) {
	s := &w.slots
	if known := s.known[slot]; known > 0 {
		return known - 1, nil
	}
	w.key = w.key[:0]
	for i, d := range s.dims {
		v := d.value(slot / d.stride % d.size)
		if step := w.dims[i].of.Step; step != nil && !v.Missing() {
			v = lowerEnd(v.Number(), *step)
		}
		w.key = append(w.key, v)
	}
	i, err := s.groups.at(w.key)
	if err == nil {
		s.known[slot] = i + 1
		s.ungrouped--
	}
	return i, err
}

func (d *slotDim) value(n int) tree.Value {
	switch {
	case d.kind == segmentSlots:
		return tree.Bool(n == 1)
	case n == 0:
		return tree.Value{}
	case d.kind == boolSlots:
		return tree.Bool(n == 2)
	case d.kind == numberSlots:
		return tree.Num(tree.Decimal(d.least+int64(n)-1, d.scale))
	}
	return d.dict.Value(uint32(n - 1))
}

// fillSlots sets the slots of the members of the chunk. The slots of other positions are undefined.
func (w *worker) fillSlots(members *query.Bits) *[query.ChunkSize]uint16 {
	s := &w.slots
	if s.slots == nil {
		s.slots = new([query.ChunkSize]uint16)
	}
	clear(s.slots[:])
	for i, d := range s.dims {
		if d.kind == segmentSlots {
			bound := w.dims[i]
			bound.segment.Chunk(w.chunk, members, bound.inside)
			for pos := range bound.inside.All {
				s.slots[pos] += uint16(d.stride)
			}
			continue
		}
		pages := w.src.Attribute(w.dims[i].attribute, w.chunk)
		for n := range pages {
			const words = query.PageRows / 64
			at := n * query.PageRows
			addSlots(&pages[n], d.least, d.stride, members[n*words:(n+1)*words], s.slots[at:at+query.PageRows])
		}
	}
	return s.slots
}

// makeSlotGroups makes the groups of the members' slots.
func (w *worker) makeSlotGroups(members *query.Bits) error {
	if s := &w.slots; len(s.dims) == 1 && s.dims[0].kind != segmentSlots {
		if sets := w.src.ValueSets(w.dims[0].attribute, w.chunk); sets != nil {
			if all, err := w.makeSetGroups(sets, members); all || err != nil {
				return err
			}
		}
	}
	slots, known := w.slots.slots, w.slots.known
	for i, m := range members {
		if w.slots.ungrouped == 0 {
			return nil
		}
		rows := slots[i*64 : i*64+64]
		for ; m != 0; m &= m - 1 {
			if slot := rows[bits.TrailingZeros64(m)]; known[slot] == 0 {
				if _, err := w.slotGroup(int(slot)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// makeSetGroups is makeSlotGroups for one attribute with value sets. It returns false if there may be
// members without a value, whose group it has not made.
func (w *worker) makeSetGroups(sets query.ValueSets, members *query.Bits) (all bool, err error) {
	known, have, n := w.slots.known, 0, members.Count()
	for _, code := range sets.Codes() {
		h := sets.Holders(code)
		have += h.Count()
		if known[code+1] != 0 {
			continue
		}
		var with query.Bits
		if h.Among(members[:], n, with[:]) > 0 {
			if _, err := w.slotGroup(int(code) + 1); err != nil {
				return false, err
			}
		}
	}
	return have == w.present && !w.hides || known[0] != 0, nil
}

// markOthers gives profiles that are not members the slot after the last.
func (w *worker) markOthers(members *query.Bits) {
	s := &w.slots
	for i, m := range members {
		switch rows := s.slots[i*64 : i*64+64]; m {
		case ^uint64(0):
		case 0:
			for k := range rows {
				rows[k] = uint16(s.size)
			}
		default:
			for m = ^m; m != 0; m &= m - 1 {
				rows[bits.TrailingZeros64(m)] = uint16(s.size)
			}
		}
	}
}

// addSlots adds the contribution of one dimension to the slots of the members among the rows of a page.
func addSlots(v *query.Vec, least int64, stride int, members []uint64, slots []uint16) {
	switch {
	case v.U8 != nil:
		if lanes.Count(members) > 0 {
			lanes.AddScaled(slots[:v.Rows], v.U8[:v.Rows], uint16(int(v.Base-least+1)*stride), uint16(stride))
		}
	case v.U16 != nil:
		addWideSlots(v.U16[:v.Rows], v.Base-least, stride, members, slots)
	default:
		for w, m := range members {
			for ; m != 0; m &= m - 1 {
				i := w<<6 | bits.TrailingZeros64(m)
				if i >= v.Rows {
					return
				}
				if raw, ok := v.Raw(i); ok {
					slots[i] += uint16(int(raw-least+1) * stride)
				}
			}
		}
	}
}

func addWideSlots(vals []uint16, base int64, stride int, members []uint64, slots []uint16) {
	first, step := uint16(int(base+1)*stride), uint16(stride)
	for w, m := range members {
		if m == 0 || w*64 >= len(vals) {
			continue
		}
		rows := vals[w*64 : min(w*64+64, len(vals))]
		to := slots[w*64:][:len(rows)]
		for i, x := range rows {
			share := first + step*x
			if x == 0 {
				share = 0
			}
			to[i] += share
		}
	}
}

// countSlots adds the members of a chunk to the counts of their slots.
func (w *worker) countSlots(members *query.Bits, everyone bool) {
	s := &w.slots
	if !s.dirty {
		s.dirty = true
		for k := range s.counts {
			s.counts[k] = grown(s.counts[k], s.size)
			clear(s.counts[k])
		}
	}
	if len(s.dims) == 1 && s.dims[0].kind != segmentSlots {
		w.countPages(members, everyone)
		return
	}
	slots := w.fillSlots(members)
	a, b, c, d := s.counts[0], s.counts[1], s.counts[2], s.counts[3]
	for i, m := range members {
		if m == ^uint64(0) {
			rows := slots[i*64 : i*64+64]
			for k := 0; k < 64; k += 4 {
				r := rows[k : k+4 : k+4]
				a[r[0]]++
				b[r[1]]++
				c[r[2]]++
				d[r[3]]++
			}
			continue
		}
		for ; m != 0; m &= m - 1 {
			a[slots[i<<6|bits.TrailingZeros64(m)]]++
		}
	}
}

// countPages is countSlots for one attribute, directly from its codes. If all profiles are counted, it
// uses the sizes of the value sets.
func (w *worker) countPages(members *query.Bits, everyone bool) {
	counts, id := w.slots.counts[0], w.dims[0].attribute
	if sets := w.src.ValueSets(id, w.chunk); everyone && sets != nil && !w.hides {
		left := members.Count()
		for _, code := range sets.Codes() {
			n := sets.Holders(code).Count()
			counts[code+1] += uint32(n)
			left -= n
		}
		counts[0] += uint32(left)
		return
	}
	const words = query.PageRows / 64
	pages := w.src.Attribute(id, w.chunk)
	for n := range pages {
		w.slots.bytes.page(&pages[n], w.slots.dims[0].least, members[n*words:(n+1)*words], counts)
	}
	w.slots.bytes.flush(counts)
	for _, m := range members[len(pages)*words:] {
		counts[0] += uint32(bits.OnesCount64(m))
	}
}

// flushCounts adds the counts to the cells of their groups.
func (w *worker) flushCounts() error {
	s := &w.slots
	if !s.dirty {
		return nil
	}
	s.dirty = false
	for slot := range s.size {
		n := uint32(0)
		for k := range s.counts {
			n += s.counts[k][slot]
		}
		if n == 0 {
			continue
		}
		i, err := w.slotGroup(slot)
		if err != nil {
			return err
		}
		s.groups.count(i, int64(n))
	}
	return nil
}

// byteHistogram counts the bytes of pages that have one base, in four lanes: with one lane, equal bytes
// in a row would wait for the previous count to be stored.
type byteHistogram struct {
	lanes [4][256]uint32
	base  int64
	used  bool
}

// page counts the members among the rows of a page by 1 + code, or 0 for missing values. The code of the
// integer least is 0.
func (h *byteHistogram) page(v *query.Vec, least int64, members []uint64, counts []uint32) {
	for w, m := range members {
		if beyond := v.Rows - w*64; beyond < 64 { // positions beyond the page have no value
			covered := uint64(1)<<max(beyond, 0) - 1
			counts[0] += uint32(bits.OnesCount64(m &^ covered))
			m &= covered
		}
		switch {
		case m == 0:
		case v.U8 != nil:
			if h.used && h.base != v.Base-least {
				h.flush(counts)
			}
			h.base, h.used = v.Base-least, true
			h.word(v.U8[w*64:v.Rows], m)
		default:
			for ; m != 0; m &= m - 1 {
				if raw, ok := v.Raw(w<<6 | bits.TrailingZeros64(m)); ok {
					counts[raw-least+1]++
				} else {
					counts[0]++
				}
			}
		}
	}
}

func (h *byteHistogram) word(rows []uint8, m uint64) {
	if m == ^uint64(0) && len(rows) >= 64 {
		rows := (*[64]uint8)(rows)
		for k := 0; k < 64; k += 4 {
			h.lanes[0][rows[k]]++
			h.lanes[1][rows[k+1]]++
			h.lanes[2][rows[k+2]]++
			h.lanes[3][rows[k+3]]++
		}
		return
	}
	for ; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		h.lanes[i&3][rows[i]]++
	}
}

// flush adds the histogram to the counts by 1 + code.
func (h *byteHistogram) flush(counts []uint32) {
	if !h.used {
		return
	}
	h.used = false
	for x := range 256 {
		n := h.lanes[0][x] + h.lanes[1][x] + h.lanes[2][x] + h.lanes[3][x]
		switch {
		case n == 0:
		case x == 0:
			counts[0] += n
		default:
			counts[h.base+int64(x)+1] += n
		}
	}
	h.lanes = [4][256]uint32{}
}
