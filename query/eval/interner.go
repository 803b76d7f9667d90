package eval

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Key is a scalar value as a map key: keys are equal exactly if their values are.
type Key struct {
	Type  tree.Type
	Scale int8
	Int   int64
	Str   string
}

// KeyOf returns the key of a value that is not a list.
func KeyOf(v tree.Value) Key { return Key{v.Type, v.Scale, v.Int, v.Str} }

// Value returns the value of a key.
func (k Key) Value() tree.Value {
	return tree.Value{Type: k.Type, Scale: k.Scale, Int: k.Int, Str: k.Str}
}

// interner numbers values, so that rows can be sorted by (position, value). If all values are of one
// dictionary, their codes are the numbers.
type interner struct {
	scratch *Scratch
	one     query.Dict // dictionary of all values; nil if they are interned
	ids     map[Key]uint32
	values  []tree.Value
	dicts   map[query.Dict][]uint32 // code → id + 1
	source  int                     // of dicts, see Scratch.NextSource
	held    int                     // bytes charged
	last    query.Dict
	codes   []uint32
}

// internLimit bounds the number of values an interner keeps between chunks. internBytes is charged for
// each.
const (
	internLimit = 1 << 17
	internBytes = 192
)

// begin starts a chunk. It drops the known values if there are too many of them, or if they belong to
// another source.
func (n *interner) begin(one query.Dict) {
	n.one = one
	if n.ids == nil || len(n.values) > internLimit || n.source != n.scratch.source {
		n.scratch.charge(-n.held)
		*n = interner{scratch: n.scratch, one: one, source: n.scratch.source, ids: map[Key]uint32{}, dicts: map[query.Dict][]uint32{}}
	}
}

// row returns the number of the argument's value in row i; ok is false if it is missing.
func (n *interner) row(arg *argLoader, i int) (id uint32, ok bool) {
	if arg.vec == nil || arg.vec.Dict == nil {
		v := arg.value(i)
		if v.Missing() {
			return 0, false
		}
		return n.id(v), true
	}
	raw, ok := arg.vec.Raw(i)
	if !ok || n.one != nil {
		return uint32(raw), ok
	}
	if n.codes == nil || arg.vec.Dict != n.last {
		n.last = arg.vec.Dict
		n.codes = n.dicts[n.last]
		if n.codes == nil {
			n.growCodes(n.last.Len())
		}
	}
	if raw >= int64(len(n.codes)) { // the dictionary has grown
		n.growCodes(max(int(raw)+1, n.last.Len()))
	}
	if n.codes[raw] == 0 {
		n.codes[raw] = n.id(n.last.Value(uint32(raw))) + 1
	}
	return n.codes[raw] - 1, true
}

// growCodes makes n.codes long enough for some codes of the last dictionary.
func (n *interner) growCodes(codes int) {
	n.charge(4 * max(codes, 1))
	grown := make([]uint32, max(codes, 1))
	copy(grown, n.codes)
	n.codes, n.dicts[n.last] = grown, grown
}

func (n *interner) charge(bytes int) {
	n.held += bytes
	n.scratch.charge(bytes)
}

func (n *interner) id(v tree.Value) uint32 {
	key := KeyOf(v)
	id, ok := n.ids[key]
	if !ok {
		n.charge(internBytes)
		id = uint32(len(n.values))
		n.ids[key] = id
		n.values = append(n.values, v)
	}
	return id
}

// value returns the value with a number.
func (n *interner) value(id uint32) tree.Value {
	if n.one != nil {
		return n.one.Value(id)
	}
	return n.values[id]
}
