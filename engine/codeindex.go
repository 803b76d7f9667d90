package engine

import (
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/musterdb/muster/internal/invariant"
)

// codeIndex finds codes by hash: open addressing over 4-byte slots without pointers. From indexSplit
// codes on it is split into 256 tables by the top bits of the hash. Each table grows by a quarter, so
// no single insert moves more than 1/256 of the index.
//
// Readers need no lock: slots and tables are published atomically, nothing is ever removed, and a
// table that was replaced still has every code that a reader of an older view can look up.
type codeIndex struct {
	root atomic.Pointer[indexRoot]
	n    int // codes; only the writer uses it
}

type indexRoot struct {
	shift  uint8 // 64: one table; 56: 256 tables
	tables []atomic.Pointer[indexTable]
}

// indexTable has a code + 1 in the low codeBits of each used slot, and low bits of the code's hash
// above them, so that most codes of other values are excluded without reading their values. A table
// is rebuilt when codes outgrow codeBits. Only the writer uses the field used.
type indexTable struct {
	slots    []uint32
	codeBits uint8
	used     int
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
	tag := uint32(hash) >> t.codeBits
	for i := t.start(hash); ; i++ {
		if i == len(t.slots) {
			i = 0
		}
		slot := atomic.LoadUint32(&t.slots[i])
		if slot == 0 {
			return 0, false
		}
		if slot>>t.codeBits != tag {
			continue
		}
		if code := t.code(slot); equal(code) {
			return code, true
		}
	}
}

func tableOf(hash uint64, shift uint8) int { return int(hash >> shift) } // 0 for a shift of 64

// newIndexTable makes a table for codes up to largest and some more.
func newIndexTable(size int, largest uint32) *indexTable {
	return &indexTable{slots: make([]uint32, size), codeBits: uint8(min(max(bits.Len32(largest+1)+1, 8), 32))}
}

// start returns the first slot for a hash: its middle bits scaled to the number of slots.
func (t *indexTable) start(hash uint64) int {
	hi, _ := bits.Mul64(hash<<8, uint64(len(t.slots)))
	return int(hi)
}

func (t *indexTable) code(slot uint32) uint32 { return slot&(1<<t.codeBits-1) - 1 }

func (t *indexTable) put(hash uint64, code uint32) {
	i := t.start(hash)
	for t.slots[i] != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	atomic.StoreUint32(&t.slots[i], (code+1)|uint32(hash)>>t.codeBits<<t.codeBits)
	t.used++
}

// reserve returns t, or a larger table with its codes, with space for one more code. No code of t,
// nor the new one, is above largest.
func (t *indexTable) reserve(largest uint32, hashOf func(code uint32) uint64) *indexTable {
	full := (t.used+1)*5 > len(t.slots)*4
	if !full && bits.Len32(largest+1) <= int(t.codeBits) {
		return t
	}
	size := len(t.slots)
	switch {
	case full && size < 4096:
		size *= 2
	case full:
		size += size / 4
	}
	grown := newIndexTable(size, largest)
	for _, slot := range t.slots {
		if slot != 0 {
			old := t.code(slot)
			grown.put(hashOf(old), old)
		}
	}
	return grown
}

// add inserts a code that find does not know. hashOf returns the hash of an older code.
//
// REQUIRES: code is greater than every code in the index.
func (x *codeIndex) add(hash uint64, code uint32, hashOf func(code uint32) uint64) {
	root := x.root.Load()
	if root == nil {
		root = &indexRoot{shift: 64, tables: make([]atomic.Pointer[indexTable], 1)}
		root.tables[0].Store(newIndexTable(8, code))
		x.root.Store(root)
	}
	if root.shift == 64 && x.n == indexSplit {
		root = x.split(root.tables[0].Load(), code, hashOf)
	}
	x.n++
	if invariant.Forgets(code) {
		return
	}
	root.put(hash, code, code, hashOf)
}

// put inserts a code into its table. largest is the largest code of the whole index, which may be
// above code: split inserts old codes, in the order of their hashes.
func (r *indexRoot) put(hash uint64, code, largest uint32, hashOf func(code uint32) uint64) {
	place := &r.tables[tableOf(hash, r.shift)]
	t := place.Load()
	if grown := t.reserve(largest, hashOf); grown != t {
		place.Store(grown)
		t = grown
	}
	t.put(hash, code)
}

// split replaces the one table by 256, made for codes up to largest.
func (x *codeIndex) split(old *indexTable, largest uint32, hashOf func(code uint32) uint64) *indexRoot {
	root := &indexRoot{shift: 56, tables: make([]atomic.Pointer[indexTable], 256)}
	for i := range root.tables {
		root.tables[i].Store(newIndexTable(64, largest))
	}
	for _, slot := range old.slots {
		if slot != 0 {
			known := old.code(slot)
			root.put(hashOf(known), known, largest, hashOf)
		}
	}
	x.root.Store(root)
	return root
}

// fill builds the index of the codes from 0 to n-1, given their hashes, table by table, each of the
// size it needs. It reports whether two codes have equal values. REQUIRES: the index is empty.
func (x *codeIndex) fill(hashes []uint64, equal func(a, b uint32) bool) (duplicate bool) {
	root := &indexRoot{shift: 64, tables: make([]atomic.Pointer[indexTable], 1)}
	if len(hashes) > indexSplit {
		root = &indexRoot{shift: 56, tables: make([]atomic.Pointer[indexTable], 256)}
	}
	starts := make([]int, len(root.tables)+1)
	for _, hash := range hashes {
		starts[tableOf(hash, root.shift)+1]++
	}
	for i := range root.tables {
		// As full as tables that grew one code at a time.
		root.tables[i].Store(newIndexTable(max(starts[i+1]*7/5, 8), uint32(len(hashes))))
		starts[i+1] += starts[i]
	}
	order := make([]uint32, len(hashes))
	next := slices.Clone(starts)
	for code, hash := range hashes {
		i := tableOf(hash, root.shift)
		order[next[i]] = uint32(code)
		next[i]++
	}
	for i := range root.tables {
		t := root.tables[i].Load()
		for _, code := range order[starts[i]:starts[i+1]] {
			duplicate = t.has(hashes[code], func(other uint32) bool { return equal(code, other) }) || duplicate
			t.put(hashes[code], code)
		}
	}
	x.n = len(hashes)
	x.root.Store(root)
	return duplicate
}

// has reports whether the table has a code with the hash for which equal returns true.
func (t *indexTable) has(hash uint64, equal func(code uint32) bool) bool {
	tag := uint32(hash) >> t.codeBits
	for i := t.start(hash); t.slots[i] != 0; {
		if slot := t.slots[i]; slot>>t.codeBits == tag && equal(t.code(slot)) {
			return true
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	return false
}

func (x *codeIndex) memory() (bytes int64) {
	root := x.root.Load()
	if root == nil {
		return 0
	}
	for i := range root.tables {
		bytes += int64(40 + 4*cap(root.tables[i].Load().slots))
	}
	return bytes
}
