package engine

import (
	"slices"
	"sort"

	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
)

// liveTail is what live segments read of a tail while it is being written: its rows as a block that
// is reused, and an index of the rows by position, made on first use. Only the writer uses it; views
// never look here.
type liveTail struct {
	block query.Block
	vecs  []query.Vec

	slots   []uint32 // by a hash of the position: the number of the latest row there + 1
	earlier []uint32 // by row: the previous row at the same position + 1
}

// liveBlock returns the rows as a block that is valid until the next row is appended.
func (t *tail) liveBlock() *query.Block {
	if t.live == nil {
		t.live = &liveTail{}
	}
	x := t.live
	b := &x.block
	b.Rows, b.Pos, b.Base, b.Min, b.Max = t.n, t.pos[:t.n], t.base, t.min, t.max
	b.Off, b.Times = nil, nil
	if t.off != nil {
		b.Off = t.off[:t.n]
	} else {
		b.Times = t.times[:t.n]
	}
	if len(x.vecs) < len(t.cols) {
		x.vecs = make([]query.Vec, len(t.cols))
	}
	clear(b.Cols)
	for i := range t.cols {
		c := &t.cols[i]
		for len(b.Cols) <= int(c.property) {
			b.Cols = append(b.Cols, nil)
		}
		if x.vecs[i] = c.vec(c.t, dictOrNil(c.dict), t.n); x.vecs[i].Rows > 0 {
			b.Cols[c.property] = &x.vecs[i]
		}
	}
	return b
}

// last returns the latest row at a position + 1, 0 if there is none; live.earlier has the rows before
// it.
func (t *tail) last(pos uint16) uint32 {
	x := t.live
	if x == nil || x.block.Rows != t.n {
		t.liveBlock()
		x = t.live
	}
	if len(x.earlier) < t.n {
		x.index(t.pos[:t.n])
	}
	return x.slots[x.slot(pos, t.pos)]
}

// index adds the rows that were appended since the last call.
func (x *liveTail) index(pos []uint16) {
	if size := 64; 2*len(pos) > len(x.slots) {
		for size < 4*len(pos) && size < 2*query.ChunkSize {
			size *= 2
		}
		if size > len(x.slots) {
			x.slots = make([]uint32, size)
			x.earlier = slices.Grow(x.earlier[:0], size/2)
		}
	}
	for row := len(x.earlier); row < len(pos); row++ {
		slot := x.slot(pos[row], pos)
		x.earlier = append(x.earlier, x.slots[slot])
		x.slots[slot] = uint32(row + 1)
	}
}

// slot returns the slot of a position, or the free one where it belongs.
func (x *liveTail) slot(p uint16, pos []uint16) int {
	mask := len(x.slots) - 1
	for i := int(p) * 0x9e35 & mask; ; i = (i + 1) & mask {
		if row := x.slots[i]; row == 0 || pos[row-1] == p {
			return i
		}
	}
}

func (x *liveTail) memory() int64 {
	if x == nil {
		return 0
	}
	return int64(200 + 160*cap(x.vecs) + 4*cap(x.slots) + 4*cap(x.earlier))
}

// Rows implements member.Host.
func (l *live) Rows(ordinal, event uint32, from, to int64, into []member.Row) []member.Row {
	s := l.s.root.series(event, int(ordinal>>query.ChunkBits))
	pos := uint16(ordinal)
	if s == nil || s.max < from || s.min > to || from > to || !s.ever.has(pos) {
		return into
	}
	for _, t := range [...]*tail{s.main, s.late} {
		if t == nil || t.max < from || t.min > to {
			continue
		}
		for row := t.last(pos); row > 0; row = t.live.earlier[row-1] {
			if at := t.live.block.Time(int(row - 1)); from <= at && at <= to {
				into = append(into, member.Row{At: at, Block: &t.live.block, Row: int(row - 1)})
			}
		}
	}
	first := sort.Search(len(s.leaves), func(i int) bool { return s.leaves[i].block.Max >= from })
	for _, leaf := range s.leaves[first:] {
		b := &leaf.block
		if b.Min > to {
			break
		}
		row, _ := slices.BinarySearch(b.Pos, pos)
		for ; row < b.Rows && b.Pos[row] == pos; row++ {
			if at := b.Time(row); from <= at && at <= to {
				into = append(into, member.Row{At: at, Block: b, Row: row})
			}
		}
	}
	return into
}

// liveMemory returns the memory of live segments. r is a view's root; the rest is read under the lock.
func (s *Shard) liveMemory(r *root) []MemoryLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		return nil
	}
	members := int64(0)
	for _, x := range r.segments {
		if x != nil {
			for _, set := range x.members {
				members += set.memory()
			}
		}
	}
	m := s.live.tracker.Memory()
	return []MemoryLine{
		{Name: "memberships", Bytes: members}, {Name: "live rows", Bytes: m.Rows}, {Name: "live queue", Bytes: m.Queue},
		{Name: "live definitions", Bytes: m.Others}, {Name: "live index", Bytes: s.live.indexMemory()},
	}
}

// indexMemory returns the bytes that live segments have added to tails.
func (l *live) indexMemory() (bytes int64) {
	for _, table := range l.s.root.events {
		for _, s := range table.chunks {
			if s == nil {
				continue
			}
			for _, t := range [...]*tail{s.main, s.late} {
				if t != nil {
					bytes += t.live.memory()
				}
			}
		}
	}
	return bytes
}
