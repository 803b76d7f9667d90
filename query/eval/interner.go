package eval

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Key is a scalar value as a map key: two values are equal exactly when their keys are.
type Key struct {
	Type  tree.Type
	Scale int8
	Int   int64
	Str   string
}

// KeyOf returns the key of a value that is no list.
func KeyOf(v tree.Value) Key { return Key{v.Type, v.Scale, v.Int, v.Str} }

// Value returns the value of a key.
func (k Key) Value() tree.Value {
	return tree.Value{Type: k.Type, Scale: k.Scale, Int: k.Int, Str: k.Str}
}

// interner gives values small numbers, so that rows can be sorted by (position, value).
type interner struct {
	ids    map[Key]uint32
	values []tree.Value
	dicts  map[query.Dict][]uint32 // code → id + 1
	last   query.Dict
	codes  []uint32
}

// internLimit bounds what an interner keeps between chunks.
const internLimit = 1 << 20

// trim forgets everything when it has become too much. Call it between chunks only.
func (n *interner) trim() {
	if n.ids == nil || len(n.values) > internLimit {
		*n = interner{ids: map[Key]uint32{}, dicts: map[query.Dict][]uint32{}}
	}
}

// row returns the number of the argument's value in row i; ok is false where it is missing.
func (n *interner) row(arg *argLoader, i int) (id uint32, ok bool) {
	if arg.vec == nil || arg.vec.Dict == nil {
		v := arg.value(i)
		if v.Missing() {
			return 0, false
		}
		return n.id(v), true
	}
	raw, ok := arg.vec.Raw(i)
	if !ok {
		return 0, false
	}
	if n.codes == nil || arg.vec.Dict != n.last {
		n.last = arg.vec.Dict
		n.codes = n.dicts[n.last]
		if n.codes == nil {
			n.codes = make([]uint32, max(n.last.Len(), 1))
			n.dicts[n.last] = n.codes
		}
	}
	if raw >= int64(len(n.codes)) { // the dictionary has grown since
		grown := make([]uint32, max(int(raw)+1, n.last.Len()))
		copy(grown, n.codes)
		n.codes, n.dicts[n.last] = grown, grown
	}
	if n.codes[raw] == 0 {
		n.codes[raw] = n.id(n.last.Value(uint32(raw))) + 1
	}
	return n.codes[raw] - 1, true
}

func (n *interner) id(v tree.Value) uint32 {
	key := KeyOf(v)
	id, ok := n.ids[key]
	if !ok {
		id = uint32(len(n.values))
		n.ids[key] = id
		n.values = append(n.values, v)
	}
	return id
}
