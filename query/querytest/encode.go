package querytest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// dict is a dictionary that grows while a column is encoded.
type dict struct {
	values []tree.Value
	codes  map[string]uint32
}

var _ query.Dict = (*dict)(nil)

func newDict() *dict { return &dict{codes: map[string]uint32{}} }

func dictKey(v tree.Value) string {
	if v.Type == tree.StringType {
		return "s" + v.Str
	}
	return fmt.Sprintf("%v", v)
}

// Len implements query.Dict.
func (d *dict) Len() int { return len(d.values) }

// Value implements query.Dict.
func (d *dict) Value(code uint32) tree.Value { return d.values[code] }

// Find implements query.Dict.
func (d *dict) Find(v tree.Value) (uint32, bool) {
	code, ok := d.codes[dictKey(v)]
	return code, ok
}

func (d *dict) code(v tree.Value) uint32 {
	code, ok := d.Find(v)
	if !ok {
		code = uint32(len(d.values))
		d.values, d.codes[dictKey(v)] = append(d.values, v), code
	}
	return code
}

// encode returns the values as one Vec, in a random encoding of those that can hold them. Values of another
// type than t become missing.
func encode(values []tree.Value, t tree.Type, d *dict, rng *rand.Rand) query.Vec {
	v := query.Vec{Type: t, Rows: len(values)}
	if t == tree.StringType || t == tree.ListType {
		v.Dict = d
	}
	raw, present := make([]int64, len(values)), make([]bool, len(values))
	if t == tree.NumberType {
		v.Scale, v.Scales = scales(values, rng)
	}
	for i, value := range values {
		if value.Type != t {
			continue
		}
		present[i] = true
		switch {
		case v.Dict != nil:
			raw[i] = int64(d.code(value))
		case v.Scales != nil:
			raw[i], v.Scales[i] = value.Int, value.Scale
		case t == tree.NumberType:
			raw[i] = value.Int * tree.Pow10(v.Scale-value.Scale)
		default:
			raw[i] = value.Int
		}
	}
	pack(&v, raw, present, rng)
	return v
}

// scales draws a common scale for the numbers. If there is none, and sometimes if there is, it returns a slice
// for the scale of each row instead.
func scales(values []tree.Value, rng *rand.Rand) (int8, []int8) {
	common, limit := int8(0), int8(tree.MaxScale)
	for _, v := range values {
		if v.Type == tree.NumberType {
			if v.Scale == tree.FloatScale {
				return 0, make([]int8, len(values))
			}
			common = max(common, v.Scale)
		}
	}
	for _, v := range values {
		if v.Type != tree.NumberType {
			continue
		}
		for coef := v.Int; limit > 0; limit-- {
			if s := limit - v.Scale; s < 0 || coef < math.MaxInt64/tree.Pow10(s) && coef > -math.MaxInt64/tree.Pow10(s) {
				break
			}
		}
	}
	if common > limit || rng.IntN(5) == 0 {
		return 0, make([]int8, len(values))
	}
	if rng.IntN(3) == 0 {
		common = min(limit, common+int8(rng.IntN(3)))
	}
	return common, nil
}

// pack stores the raw values in v with a random width of those that fit.
func pack(v *query.Vec, raw []int64, present []bool, rng *rand.Rand) {
	lo, hi, all, n := int64(math.MaxInt64), int64(math.MinInt64), true, 0
	for i := range raw {
		if !present[i] {
			all = false
			continue
		}
		lo, hi, n = min(lo, raw[i]), max(hi, raw[i]), n+1
	}
	if n == 0 {
		lo, hi = 0, 0
	}
	if v.Scales == nil && rng.IntN(3) > 0 {
		v.Bounded, v.Lo, v.Hi = true, lo, hi
		if rng.IntN(2) == 0 && lo > math.MinInt64+10 && hi < math.MaxInt64-10 {
			v.Lo, v.Hi = lo-int64(rng.IntN(5)), hi+int64(rng.IntN(5))
		}
	}
	width := uint64(hi) - uint64(lo)
	fits := func(limit uint64) bool { return v.Scales == nil && lo > math.MinInt64 && width < limit }
	v.Base = lo - 1
	switch {
	case v.Scales == nil && all && n > 0 && lo == hi && rng.IntN(4) > 0:
		v.Const, v.Base = true, lo
	case fits(math.MaxUint8) && rng.IntN(3) > 0:
		v.U8 = packed[uint8](raw, present, v.Base)
	case fits(math.MaxUint16) && rng.IntN(3) > 0:
		v.U16 = packed[uint16](raw, present, v.Base)
	case fits(math.MaxUint32) && rng.IntN(3) > 0:
		v.U32 = packed[uint32](raw, present, v.Base)
	default:
		v.Base = 0
		v.I64 = make([]int64, len(raw))
		for i := range raw {
			v.I64[i] = raw[i]
			if !present[i] {
				v.I64[i] = query.VecMissing
			}
		}
	}
}

func packed[T uint8 | uint16 | uint32](raw []int64, present []bool, base int64) []T {
	codes := make([]T, len(raw))
	for i := range raw {
		if present[i] {
			codes[i] = T(uint64(raw[i]) - uint64(base))
		}
	}
	return codes
}
