package engine

import (
	"math/bits"
	"sync/atomic"
)

// codeIndex finds codes by hash: open addressing over 4-byte slots without hashes or pointers. From
// indexSplit codes on it is cut into 256 tables by the top bits of the hash, and each grows by a
// quarter, so that no single insert moves more than 1/256 of it.
//
// Readers need no lock: slots and tables are published atomically, nothing is ever removed, and a
// table that was replaced still has all a reader of an older view can look for.
type codeIndex struct {
	root atomic.Pointer[indexRoot]
	n    int // of the writer
}

type indexRoot struct {
	shift  uint8 // 64: one table; 56: 256 tables
	tables []atomic.Pointer[indexTable]
}

// indexTable has a code + 1 in each slot that is taken. used is the writer's.
type indexTable struct {
	slots []uint32
	used  int
}

const indexSplit = 8192

func (x *codeIndex) find(hash uint64, equal func(code uint32) bool) (code uint32, ok bool) {
	root := x.root.Load()
	if root == nil {
		return 0, false
	}
	t := root.tables[tableOf(hash, root.shift)].Load()
	if t == nil {
		return 0, false
	}
	for i := t.start(hash); ; i++ {
		if i == len(t.slots) {
			i = 0
		}
		slot := atomic.LoadUint32(&t.slots[i])
		if slot == 0 {
			return 0, false
		}
		if equal(slot - 1) {
			return slot - 1, true
		}
	}
}

func tableOf(hash uint64, shift uint8) int { return int(hash >> shift) } // 0 for a shift of 64

// start is the slot a hash looks at first: its middle bits scaled to the number of slots.
func (t *indexTable) start(hash uint64) int {
	hi, _ := bits.Mul64(hash<<8, uint64(len(t.slots)))
	return int(hi)
}

func (t *indexTable) put(hash uint64, code uint32) {
	i := t.start(hash)
	for t.slots[i] != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	atomic.StoreUint32(&t.slots[i], code+1)
	t.used++
}

// add enters a code that find does not know. hashOf gives the hash of an older code.
func (x *codeIndex) add(hash uint64, code uint32, hashOf func(code uint32) uint64) {
	root := x.root.Load()
	if root == nil {
		root = &indexRoot{shift: 64, tables: make([]atomic.Pointer[indexTable], 1)}
		x.root.Store(root)
	}
	if root.shift == 64 && x.n == indexSplit {
		root = x.split(root.tables[0].Load(), hashOf)
	}
	x.n++
	place := &root.tables[tableOf(hash, root.shift)]
	t := place.Load()
	if t == nil {
		t = &indexTable{slots: make([]uint32, 8)}
		place.Store(t)
	}
	if (t.used+1)*5 > len(t.slots)*4 {
		size := len(t.slots)
		if size < 4096 {
			size *= 2
		} else {
			size += size / 4
		}
		grown := &indexTable{slots: make([]uint32, size)}
		for _, slot := range t.slots {
			if slot != 0 {
				grown.put(hashOf(slot-1), slot-1)
			}
		}
		place.Store(grown)
		t = grown
	}
	t.put(hash, code)
}

func (x *codeIndex) split(old *indexTable, hashOf func(code uint32) uint64) *indexRoot {
	root := &indexRoot{shift: 56, tables: make([]atomic.Pointer[indexTable], 256)}
	for i := range root.tables {
		root.tables[i].Store(&indexTable{slots: make([]uint32, 64)})
	}
	for _, slot := range old.slots {
		if slot == 0 {
			continue
		}
		hash := hashOf(slot - 1)
		place := &root.tables[tableOf(hash, root.shift)]
		t := place.Load()
		if (t.used+1)*5 > len(t.slots)*4 {
			grown := &indexTable{slots: make([]uint32, 2*len(t.slots))}
			for _, s := range t.slots {
				if s != 0 {
					grown.put(hashOf(s-1), s-1)
				}
			}
			place.Store(grown)
			t = grown
		}
		t.put(hash, slot-1)
	}
	x.root.Store(root)
	return root
}

func (x *codeIndex) memory() (bytes int64) {
	root := x.root.Load()
	if root == nil {
		return 0
	}
	for i := range root.tables {
		if t := root.tables[i].Load(); t != nil {
			bytes += int64(40 + 4*cap(t.slots))
		}
	}
	return bytes
}
