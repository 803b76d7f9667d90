package eval

import (
	"strings"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Vector has the values of one expression for the positions of a chunk (or the rows of a block).
// ExprEvaluator.Chunk sets it, and it is reused for the next chunk. Type determines which array has the
// values. Entries whose bit in Has is not set are meaningless.
type Vector struct {
	Type  tree.Type
	Has   []uint64      // bit i: position i has a value
	Nums  []tree.Number // NumberType
	Ints  []int64       // BoolType, TimeType
	Strs  []string      // StringType without Dict
	Lists []tree.Value  // ListType without Dict
	// Dict, if not nil, means that the strings or lists are Codes of it.
	Dict  query.Dict
	Codes []uint32

	scratch *Scratch // that the arrays come from
}

// reset makes v an empty vector of n elements.
func (v *Vector) reset(t tree.Type, n int) {
	if v.scratch == nil {
		v.scratch = &Scratch{}
	}
	v.Type, v.Dict = t, nil
	v.Has = v.scratch.words.sized(v.Has, wordsFor(n))
	clear(v.Has)
	switch t {
	case tree.NumberType:
		v.Nums = v.scratch.nums.sized(v.Nums, n)
	case tree.BoolType, tree.TimeType:
		v.Ints = v.scratch.i64.sized(v.Ints, n)
	case tree.StringType:
		v.Strs = v.scratch.strs.sized(v.Strs, n)
	case tree.ListType:
		v.Lists = v.scratch.lists.sized(v.Lists, n)
	}
}

// Present reports whether position i has a value.
func (v *Vector) Present(i int) bool { return has(v.Has, i) }

// str returns the string at i.
//
// REQUIRES: Type is StringType and position i has a value.
func (v *Vector) str(i int) string {
	if v.Dict != nil {
		return v.Dict.Value(v.Codes[i]).Str
	}
	return v.Strs[i]
}

// Value returns the value at i, the missing value if there is none.
func (v *Vector) Value(i int) tree.Value {
	if !has(v.Has, i) {
		return tree.Value{}
	}
	switch v.Type {
	case tree.NumberType:
		return tree.Num(v.Nums[i])
	case tree.StringType:
		if v.Dict == nil {
			return tree.Str(v.Strs[i])
		}
		return v.Dict.Value(v.Codes[i])
	case tree.ListType:
		if v.Dict == nil {
			return v.Lists[i]
		}
		return v.Dict.Value(v.Codes[i])
	}
	return tree.Value{Type: v.Type, Int: v.Ints[i]}
}

// put stores a value at i. The missing value, or a value of another type, clears the position.
func (v *Vector) put(i int, x tree.Value) {
	if x.Type != v.Type || x.Missing() {
		v.Has[i>>6] &^= 1 << (i & 63)
		return
	}
	set(v.Has, i)
	switch v.Type {
	case tree.NumberType:
		v.Nums[i] = x.Number()
	case tree.StringType:
		v.plain()
		v.Strs[i] = x.Str
	case tree.ListType:
		v.plain()
		v.Lists[i] = x
	default:
		v.Ints[i] = x.Int
	}
}

// plain converts codes to strings or lists, as later values are from another dictionary.
func (v *Vector) plain() {
	if v.Dict == nil {
		return
	}
	d := v.Dict
	eachBit(v.Has, func(i int) {
		if int(i) >= len(v.Codes) {
			return
		}
		if x := d.Value(v.Codes[i]); v.Type == tree.StringType {
			v.Strs[i] = x.Str
		} else {
			v.Lists[i] = x
		}
	})
	v.Dict = nil
}

// compare compares the values at i of v and w, both present and of one type.
func (v *Vector) compare(w *Vector, i int) int {
	switch v.Type {
	case tree.NumberType:
		return v.Nums[i].Compare(w.Nums[i])
	case tree.StringType:
		return strings.Compare(v.str(i), w.str(i))
	case tree.ListType:
		return v.Value(i).Compare(w.Value(i))
	}
	switch a, b := v.Ints[i], w.Ints[i]; {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// fill stores the rows of vec that are in cand at base + row. cand begins at row 0.
func (v *Vector) fill(vec *query.Vec, base int, cand []uint64) {
	if vec.Type != v.Type {
		return
	}
	coded := v.Type == tree.StringType || v.Type == tree.ListType
	if coded {
		v.useDict(vec.Dict)
		if v.Dict != nil && v.fillCodes(vec, base, cand) {
			return
		}
	}
	eachBit(cand, func(i int) {
		if i >= vec.Rows {
			return
		}
		raw, ok := vec.Raw(i)
		if !ok {
			return
		}
		at := base + i
		switch {
		case v.Type == tree.NumberType:
			v.Nums[at] = vec.Value(i).Number()
		case coded && v.Dict != nil:
			v.Codes[at] = uint32(raw)
		case v.Type == tree.StringType:
			v.Strs[at] = vec.Dict.Value(uint32(raw)).Str
		case v.Type == tree.ListType:
			v.Lists[at] = vec.Dict.Value(uint32(raw))
		default:
			v.Ints[at] = raw
		}
		set(v.Has, at)
	})
}

// fillCodes is fill for narrow codes where base begins a word. It returns false for others.
func (v *Vector) fillCodes(vec *query.Vec, base int, cand []uint64) bool {
	switch {
	case base&63 != 0 || vec.Const:
		return false
	case vec.U8 != nil:
		narrowCodesTo(v, vec.U8[:vec.Rows], vec.Base, base, cand)
	case vec.U16 != nil:
		narrowCodesTo(v, vec.U16[:vec.Rows], vec.Base, base, cand)
	case vec.U32 != nil:
		narrowCodesTo(v, vec.U32[:vec.Rows], vec.Base, base, cand)
	default:
		return false
	}
	return true
}

func narrowCodesTo[T uint8 | uint16 | uint32](v *Vector, vals []T, first int64, base int, cand []uint64) {
	for w, c := range cand {
		if c == 0 || w*64 >= len(vals) {
			continue
		}
		rows := vals[w*64 : min(w*64+64, len(vals))]
		codes := v.Codes[base+w*64:][:len(rows)]
		var present uint64
		for i, x := range rows {
			codes[i] = uint32(first + int64(x))
			var has uint64
			if x != 0 {
				has = 1
			}
			present |= has << (i & 63)
		}
		v.Has[base>>6+w] |= present & c
	}
}

// useDict prepares v for codes of d. If v has values of another dictionary, it converts them and stores
// plain values from then on.
func (v *Vector) useDict(d query.Dict) {
	switch {
	case v.Dict == d:
	case v.Dict == nil && !anyBit(v.Has):
		v.Dict = d
		v.Codes = v.scratch.u32.sized(v.Codes, max(len(v.Strs)*b2i(v.Type == tree.StringType), len(v.Lists)*b2i(v.Type == tree.ListType)))
	default:
		v.plain()
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// valueWork is the approximate least time of testing a value, in nanoseconds.
const valueWork = 5

// test sets out to the elements of cand whose value is in the set of t.
func (v *Vector) test(t *test, scratch *Scratch, cand, out []uint64) {
	clear(out)
	if v.Type != t.typ || t.typ == tree.NoType {
		return
	}
	for w := range out {
		out[w] = cand[w] & v.Has[w]
	}
	if t.present {
		return
	}
	drop := func(i int) { out[i>>6] &^= 1 << (i & 63) }
	each := valueWork + len(t.keys) + len(t.nums)
	eachBit(out, func(i int) {
		keep := false
		switch {
		case !scratch.Spend(each):
		case v.Type == tree.NumberType:
			keep = t.number(v.Nums[i])
		case t.holds == nil && (v.Type == tree.BoolType || v.Type == tree.TimeType):
			keep = t.integer(v.Ints[i])
		default:
			x := v.Value(i)
			keep = scratch.Spend(t.workOf(x)) && t.value(x)
		}
		if !keep {
			drop(i)
		}
	})
}
