package engine

import (
	"slices"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
)

// rows reads a leaf or a tail.
func (x *restorer) rows(r *wire.Reader, kind uint8, key [4]uint64) {
	event, chunk := key[0], key[1]
	if event >= uint64(len(x.r.events)) || chunk >= uint64(len(x.r.profiles)) {
		r.Fail("place of events")
		return
	}
	future := kind == pageLeaf && r.Bool()
	table := x.r.events[event]
	b := x.block(r, table, x.r.catalog.EventByID(uint32(event)).Properties())
	if r.Err() != nil || b.Rows == 0 {
		r.Fail("rows")
		return
	}
	s := table.series(&x.s.epochs, int(chunk))
	if !x.addEver(s, x.r.profiles[chunk], b.Pos) {
		r.Fail("event of no profile")
		return
	}
	table.rows += int64(b.Rows)
	if kind == pageLeaf {
		x.leaf(r, s, b, future)
		return
	}
	place := &s.main
	if key[2] == 1 {
		place = &s.late
	}
	if *place != nil || key[2] > 1 {
		r.Fail("tail twice")
		return
	}
	*place = tailOf(b)
}

// manyRows is the number of rows from which on operating on the bits of a chunk is faster than one
// look-up per row.
const manyRows = 256

// addEver adds the positions of rows to the ever set of a series. It returns false if one of them is
// not the position of a profile.
func (x *restorer) addEver(s *series, profiles *set, rows []uint16) bool {
	if len(rows) < manyRows {
		for i, pos := range rows {
			if i > 0 && pos == rows[i-1] {
				continue
			}
			if !profiles.has(pos) {
				return false
			}
			s.ever, _ = s.ever.add(&x.s.epochs, pos)
		}
		return true
	}
	bits := &x.present
	*bits = query.Bits{}
	at, word := rows[0]>>6, uint64(0)
	for _, pos := range rows { // mostly in order
		if pos>>6 != at {
			bits[at] |= word
			at, word = pos>>6, 0
		}
		word |= 1 << (pos & 63)
	}
	bits[at] |= word
	var all query.Bits
	profiles.fill(&all)
	unknown := *bits
	unknown.AndNot(&all)
	s.ever = s.ever.union(&x.s.epochs, bits)
	return !unknown.Any()
}

// inOrder reports whether rows are ordered by (position, time).
func inOrder(b *query.Block) bool {
	if b.Off != nil {
		last := uint64(0)
		for i, off := range b.Off {
			key := uint64(b.Pos[i])<<32 | uint64(off)
			if key < last {
				return false
			}
			last = key
		}
		return true
	}
	for i := 1; i < b.Rows; i++ {
		if b.Pos[i] < b.Pos[i-1] || b.Pos[i] == b.Pos[i-1] && b.Times[i] < b.Times[i-1] {
			return false
		}
	}
	return true
}

// boundTimes sets Min and Max. REQUIRES: b has rows.
func boundTimes(b *query.Block) {
	if b.Off != nil {
		b.Min, b.Max = b.Base+int64(slices.Min(b.Off)), b.Base+int64(slices.Max(b.Off))
		return
	}
	b.Min, b.Max = slices.Min(b.Times), slices.Max(b.Times)
}

func (x *restorer) leaf(r *wire.Reader, s *series, b *query.Block, future bool) {
	if !inOrder(b) {
		r.Fail("order of a leaf")
		return
	}
	if b.Rows > leafRows || s.main != nil || s.late != nil {
		r.Fail("place of a leaf")
		return
	}
	b.Sorted = true
	l := &leaf{block: *b, future: future, bytes: int64(200 + 2*cap(b.Pos) + 4*cap(b.Off) + 8*cap(b.Times))}
	for _, v := range b.Cols {
		if v != nil {
			l.bytes += int64(200 + len(v.U8) + 2*len(v.U16) + 4*len(v.U32) + 8*len(v.I64) + len(v.Scales))
		}
	}
	s.leaves = append(s.leaves, l)
}

// block reads rows into new memory.
func (x *restorer) block(r *wire.Reader, table *eventTable, props []catalog.Property) *query.Block {
	n := r.Count(6)
	b := &query.Block{Rows: n, Pos: make([]uint16, n)}
	copy(bytesOf(b.Pos), r.Take(2*n))
	b.Base = r.Varint()
	if r.Byte() == 4 {
		b.Off = make([]uint32, n)
		copy(bytesOf(b.Off), r.Take(4*n))
	} else if data := r.Take(8 * n); data != nil {
		b.Times = make([]int64, n)
		copy(bytesOf(b.Times), data)
	}
	if r.Err() != nil || n == 0 || b.Base > 2*maxTime || b.Base < -2*maxTime {
		r.Fail("times")
		return b
	}
	boundTimes(b)
	if b.Min < -maxTime || b.Max > maxTime {
		r.Fail("times")
	}
	for range r.Count(4) {
		id := r.Uint32()
		if int(id) >= len(props) || int(id) < len(b.Cols) || r.Err() != nil {
			r.Fail("property")
			return b
		}
		p := table.property(id, props[id].Type)
		c := readVec(r, n)
		if r.Err() != nil || !c.check(props[id].Type, p.codes, n) {
			r.Fail("column of a property")
			return b
		}
		for len(b.Cols) <= int(id) {
			b.Cols = append(b.Cols, nil)
		}
		v := c.vec(props[id].Type, dictOrNil(p.dict), n)
		b.Cols[id] = &v
	}
	return b
}

// readVec reads a column that appendVec wrote.
func readVec(r *wire.Reader, rows int) cells {
	width, scale, base := r.Byte(), int8(r.Byte()), r.Varint()
	c := cells{width: width, scale: scale, base: base}
	switch width {
	case vecConst:
		c.same = true
	case 1, 2, 4, 8:
		c.words = wordsOf(r.Take(rows * int(width)))
	case vecScales:
		c.width = 8
		c.words = wordsOf(r.Take(8 * rows))
		c.scales = make([]int8, rows)
		copy(bytesOf(c.scales), r.Take(rows))
	default:
		r.Fail("encoding of a column")
	}
	if r.Err() != nil {
		return cells{}
	}
	return c
}

// tailOf makes a tail of rows.
func tailOf(b *query.Block) *tail {
	t := newTail(b.Time(0))
	for row := range b.Rows {
		at := t.append(b.Pos[row], b.Time(row))
		for id, v := range b.Cols {
			if v == nil {
				continue
			}
			value := v.Value(row)
			if raw, ok := v.Raw(row); ok {
				dict, _ := v.Dict.(*dictionary)
				c := t.column(uint32(id), v.Type, dict)
				if v.Type == tree.NumberType {
					c.setNumber(at, value.Number(), t.capacity)
				} else {
					c.set(at, raw, t.capacity)
				}
			}
		}
	}
	return t
}

func (x *restorer) dedup(r *wire.Reader, key [4]uint64) {
	d := x.r.dedup
	if key[0] < d.first || key[0]-d.first >= uint64(len(d.gens)) || key[1] >= dedupParts/dedupGroupParts {
		r.Fail("generation")
		return
	}
	for i := range dedupGroupParts {
		at := int(key[1])*dedupGroupParts + i
		part := &d.parts[at]
		n := r.Count(8)
		data := r.Take(8 * n)
		if n == 0 {
			continue
		}
		if last := len(part.starts); last > 0 && part.starts[last-1].gen >= key[0] {
			r.Fail("order of generations")
			return
		}
		part.starts = append(part.starts, genStart{key[0], len(part.hashes)})
		hashes := make([]uint64, n)
		copy(bytesOf(hashes), data)
		for _, hash := range hashes {
			if int(hash>>56) != at {
				r.Fail("hash in the wrong part")
				return
			}
			part.hashes = append(part.hashes, hash)
			x.s.dedupIndex[at].put(part.hashes)
		}
		x.total += n
	}
}

func (x *restorer) imports(r *wire.Reader, number uint64) {
	name := textOf(r.String())
	if number == uint64(len(x.r.imports)) {
		if _, duplicate := x.s.importIndex[name]; duplicate {
			r.Fail("source twice")
			return
		}
		x.s.importIndex[name] = len(x.r.imports)
		x.r.imports = append(x.r.imports, &importSource{name: name})
	}
	if number >= uint64(len(x.r.imports)) || x.r.imports[number].name != name {
		r.Fail("source")
		return
	}
	source := x.r.imports[number]
	for range r.Count(3) {
		set := lineSet{number: r.Uvarint()}
		set.lines = x.set(r)
		if n := len(source.sets); r.Err() != nil || n > 0 && source.sets[n-1].number >= set.number {
			r.Fail("lines of a source")
			return
		}
		source.sets = append(source.sets, set)
	}
}

// finish rebuilds what is derived and checks what must hold across pages.
func (x *restorer) finish() error {
	if !x.ended {
		return errPage
	}
	if x.r.userCodes != x.userN || x.r.anonCodes != x.anonN || x.total != x.r.dedup.total {
		return errPage
	}
	if len(x.r.profiles) != int((uint64(x.r.ordinals)+query.ChunkSize-1)>>query.ChunkBits) {
		return errPage
	}
	if err := x.r.checkIDs(); err != nil && !x.damaged {
		return err
	}
	for event, table := range x.r.events {
		for chunk, s := range table.chunks {
			if s != nil {
				s.measure()
				s.totals = totalsOf(s.leaves, x.s.config.TotalsRows)
				x.s.markDue(seriesKey{uint32(event), chunk}, s)
			}
		}
	}
	x.fillLists()
	return x.s.restoreLive(x.damaged)
}
