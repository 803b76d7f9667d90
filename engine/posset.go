package engine

import (
	"slices"

	"github.com/musterdb/muster/query"
)

// posSetList is the largest number of positions kept as a list; more are kept as bits.
const posSetList = 1024

// posSet is a set of positions of one chunk: a sorted list while it is sparse, bits after that.
type posSet struct {
	epoch uint64
	n     int
	list  []uint16
	bits  *query.Bits
}

// holders returns the set as the language reads it.
func (p *posSet) holders() query.Holders {
	if p == nil {
		return query.Holders{}
	}
	return query.Holders{N: p.n, List: p.list, Bits: p.bits}
}

func (p *posSet) has(pos uint16) bool {
	if p == nil {
		return false
	}
	if p.bits != nil {
		return p.bits.Has(pos)
	}
	_, ok := slices.BinarySearch(p.list, pos)
	return ok
}

// add returns the set with pos; it is p itself where that may be written. added is false when pos
// was there.
func (p *posSet) add(e *epochs, pos uint16) (with *posSet, added bool) {
	return p.addUpTo(e, pos, posSetList)
}

// addUpTo is add with another number of positions up to which they are kept as a list.
func (p *posSet) addUpTo(e *epochs, pos uint16, most int) (with *posSet, added bool) {
	if p == nil {
		return &posSet{epoch: e.current, n: 1, list: []uint16{pos}}, true
	}
	if p.has(pos) {
		return p, false
	}
	p = p.own(e)
	p.n++
	if p.bits == nil && len(p.list) < most {
		if n := len(p.list); n == cap(p.list) {
			// An eighth of room, so that lists waste little memory.
			p.list = append(make([]uint16, 0, min(n+n/8+4, most)), p.list...)
		}
		if n := len(p.list); n > 0 && p.list[n-1] < pos {
			p.list = append(p.list, pos)
			return p, true
		}
		i, _ := slices.BinarySearch(p.list, pos)
		p.list = slices.Insert(p.list, i, pos)
		return p, true
	}
	if p.bits == nil {
		p.bits = new(query.Bits)
		for _, x := range p.list {
			p.bits.Set(x)
		}
		p.list = nil
	}
	p.bits.Set(pos)
	return p, true
}

// remove returns the set without pos.
func (p *posSet) remove(e *epochs, pos uint16) (without *posSet, removed bool) {
	if !p.has(pos) {
		return p, false
	}
	p = p.own(e)
	p.n--
	if p.bits != nil {
		p.bits.Clear(pos)
		return p, true
	}
	i, _ := slices.BinarySearch(p.list, pos)
	p.list = slices.Delete(p.list, i, i+1)
	return p, true
}

// insert returns the set with positions, ascending, that it does not have.
func (p *posSet) insert(e *epochs, ordinals []uint32) *posSet {
	if p == nil || len(p.list)+len(ordinals) > posSetList {
		for _, ordinal := range ordinals {
			p, _ = p.add(e, uint16(ordinal))
		}
		return p
	}
	p = p.own(e)
	n := len(p.list) + len(ordinals)
	if n > cap(p.list) { // an eighth of room
		p.list = append(make([]uint16, 0, min(n+n/8+4, posSetList)), p.list...)
	}
	from := len(p.list)
	p.list, p.n = p.list[:n], n
	for i := len(ordinals) - 1; i >= 0; i-- {
		pos := uint16(ordinals[i])
		at, _ := slices.BinarySearch(p.list[:from], pos)
		copy(p.list[at+i+1:], p.list[at:from])
		p.list[at+i], from = pos, at
	}
	return p
}

func (p *posSet) own(e *epochs) *posSet {
	if !e.isFrozen(p.epoch) {
		return p
	}
	copied := &posSet{epoch: e.current, n: p.n, list: slices.Clone(p.list)}
	if p.bits != nil {
		bits := *p.bits
		copied.bits = &bits
	}
	return copied
}

// listed returns the set with its positions as a list. REQUIRES: they are bits, and p may be written.
func (p *posSet) listed(e *epochs) *posSet {
	list := slices.AppendSeq(make([]uint16, 0, p.n), p.each)
	return &posSet{epoch: e.current, n: p.n, list: list}
}

// fill sets out to exactly the positions of p and returns how many they are.
func (p *posSet) fill(out *query.Bits) int {
	if p != nil && p.bits != nil {
		*out = *p.bits
		return p.n
	}
	*out = query.Bits{}
	if p == nil {
		return 0
	}
	for _, pos := range p.list {
		out.Set(pos)
	}
	return p.n
}

// each calls yield for every position, ascending.
func (p *posSet) each(yield func(uint16) bool) {
	if p == nil {
		return
	}
	if p.bits != nil {
		p.bits.All(yield)
		return
	}
	for _, pos := range p.list {
		if !yield(pos) {
			return
		}
	}
}

func (p *posSet) memory() int64 {
	if p == nil {
		return 0
	}
	bytes := int64(48 + 2*cap(p.list))
	if p.bits != nil {
		bytes += query.ChunkSize / 8
	}
	return bytes
}
