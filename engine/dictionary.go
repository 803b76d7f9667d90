package engine

import (
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
	"github.com/zeebo/xxh3"
)

// dictBlockCodes is the number of codes whose values share a block.
const dictBlockCodes = 1024

// maxValueBytes is the length of the longest string or list a column holds; longer ones are missing.
const maxValueBytes = 1 << 16

// dictBlock is the values of up to 1,024 codes: value i of the block is bytes[ends[i-1]:ends[i]]. A full
// block of less than 64 KiB has its ends in two bytes each.
type dictBlock struct {
	ends  []uint32
	short []uint16 // instead of ends, in a full small block
	bytes []byte
}

// start returns where value i of the block begins.
func (b *dictBlock) start(i uint32) uint32 {
	if i == 0 {
		return 0
	}
	return b.end(i - 1)
}

// end returns where value i of the block ends.
func (b *dictBlock) end(i uint32) uint32 {
	if b.short != nil {
		return uint32(b.short[i])
	}
	return b.ends[i]
}

// dictionary gives strings or lists dense codes in order of first appearance. It only grows. One
// goroutine adds while others read: the value of every code that a reader met in a view was complete
// before the view was taken, and memory that is replaced is never changed.
type dictionary struct {
	t      tree.Type
	n      atomic.Uint32
	blocks atomic.Pointer[[]*dictBlock]
	index  codeIndex
}

var _ query.Dict = (*dictionary)(nil)

func newDictionary(t tree.Type) *dictionary {
	d := &dictionary{t: t}
	d.blocks.Store(&[]*dictBlock{})
	return d
}

// Len implements query.Dict.
func (d *dictionary) Len() int { return int(d.n.Load()) }

// bytes returns the stored form of a code. REQUIRES: code < Len().
func (d *dictionary) bytes(code uint32) []byte {
	b := (*d.blocks.Load())[code/dictBlockCodes]
	i := code % dictBlockCodes
	from, end := b.start(i), b.end(i)
	return b.bytes[from:end:end]
}

// text returns a code's stored form as a string. REQUIRES: code < Len().
func (d *dictionary) text(code uint32) string {
	b := d.bytes(code)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Value implements query.Dict.
func (d *dictionary) Value(code uint32) tree.Value {
	if d.t == tree.StringType {
		return tree.Str(d.text(code))
	}
	list, _ := decodeList(d.bytes(code))
	return list
}

// Find implements query.Dict.
func (d *dictionary) Find(v tree.Value) (code uint32, ok bool) {
	if v.Type != d.t {
		return 0, false
	}
	if v.Type == tree.StringType {
		return d.find(v.Str, xxh3.HashString(v.Str))
	}
	text := string(encodeList(nil, v))
	return d.find(text, xxh3.HashString(text))
}

// find returns the code of a stored form, given its hash.
func (d *dictionary) find(text string, hash uint64) (code uint32, ok bool) {
	return d.index.find(hash, func(code uint32) bool { return d.text(code) == text })
}

// add gives the next code to a stored form that find does not know.
func (d *dictionary) add(text string, hash uint64) uint32 {
	code := d.append(text)
	d.index.add(hash, code, func(code uint32) uint64 { return xxh3.Hash(d.bytes(code)) })
	return code
}

// append gives a stored form the next code, without adding the code to the index.
func (d *dictionary) append(text string) uint32 {
	code := d.n.Load()
	b := d.blockFor(code, len(text))
	i := code % dictBlockCodes
	from := b.start(i)
	copy(b.bytes[from:], text)
	b.ends[i] = from + uint32(len(text))
	d.n.Store(code + 1)
	return code
}

// blockFor returns the block of the next code, with space for a value of n bytes. It replaces the
// block if that has too little.
func (d *dictionary) blockFor(code uint32, n int) *dictBlock {
	blocks := *d.blocks.Load()
	i := int(code % dictBlockCodes)
	last := int(code / dictBlockCodes)
	if last == len(blocks) {
		if last > 0 {
			d.publish(blocks, last-1, blocks[last-1].full())
			blocks = *d.blocks.Load()
		}
		ends, size := dictBlockCodes, 0
		if last == 0 {
			ends = 8
		} else {
			size = len(blocks[last-1].bytes) + 64 // about what the previous block needed
		}
		grown := append(append(make([]*dictBlock, 0, last+1), blocks...), &dictBlock{ends: make([]uint32, ends), bytes: make([]byte, max(size, n, 64))})
		d.blocks.Store(&grown)
		return grown[last]
	}
	b := blocks[last]
	used := int(b.start(uint32(i)))
	if i < len(b.ends) && used+n <= len(b.bytes) {
		return b
	}
	ends, size := len(b.ends), len(b.bytes)
	if i == ends {
		ends = min(2*ends, dictBlockCodes)
	}
	if used+n > size {
		size = max(used+n, size+size/2)
	}
	return d.replace(blocks, last, ends, size)
}

// replace publishes a copy of a block with space for this many ends and bytes.
func (d *dictionary) replace(blocks []*dictBlock, i, ends, size int) *dictBlock {
	b := &dictBlock{ends: make([]uint32, ends), bytes: make([]byte, size)}
	copy(b.ends, blocks[i].ends)
	copy(b.bytes, blocks[i].bytes)
	return d.publish(blocks, i, b)
}

// full returns a copy of a block that has all its values, without spare space.
func (b *dictBlock) full() *dictBlock {
	size := b.end(dictBlockCodes - 1)
	copied := &dictBlock{ends: b.ends, bytes: append(make([]byte, 0, size), b.bytes[:size]...)}
	if size > math.MaxUint16 {
		return copied
	}
	copied.ends, copied.short = nil, make([]uint16, dictBlockCodes)
	for i, end := range b.ends {
		copied.short[i] = uint16(end)
	}
	return copied
}

// publish replaces block i by b.
func (d *dictionary) publish(blocks []*dictBlock, i int, b *dictBlock) *dictBlock {
	replaced := append([]*dictBlock(nil), blocks...)
	replaced[i] = b
	d.blocks.Store(&replaced)
	return b
}

func (d *dictionary) memory() int64 {
	bytes := d.index.memory()
	for _, b := range *d.blocks.Load() {
		bytes += int64(80 + 4*cap(b.ends) + 2*cap(b.short) + cap(b.bytes))
	}
	return bytes
}

func encodeList(b []byte, v tree.Value) []byte {
	for _, item := range v.List {
		b = wire.AppendValue(b, item)
	}
	return b
}

func decodeList(data []byte) (tree.Value, error) {
	r := wire.NewReader(data)
	var items []tree.Value
	for r.Len() > 0 {
		v := r.Value()
		if v.Type == tree.ListType {
			r.Fail("list in a list")
		}
		items = append(items, v)
	}
	if err := r.Err(); err != nil {
		return tree.Value{}, err
	}
	return tree.ListOf(items...), nil
}
