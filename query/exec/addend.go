package exec

import (
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// addend adds the numbers of a column to sums without making values of them: what has one scale is
// turned into billionths by one multiplication.
type addend struct {
	v    *query.Vec
	unit int64 // billionths of a coefficient of 1
	most int64 // greatest coefficient that may be multiplied
	ok   bool
}

// newAddend returns the addend of a column for a function; its ok is false where there is none.
func newAddend(fn tree.Fn, v *query.Vec) addend {
	if fn != tree.SumFn && fn != tree.AvgFn || v == nil || v.Type != tree.NumberType || v.Scales != nil || v.Scale < 0 || v.Scale > 9 {
		return addend{}
	}
	unit := tree.Pow10(9 - v.Scale)
	return addend{v: v, unit: unit, most: math.MaxInt64 / unit, ok: true}
}

// add adds the number of a row, if it has one.
func (a *addend) add(c *Cell, row int) {
	raw, ok := a.v.Raw(row)
	switch {
	case !ok:
	case -a.most <= raw && raw <= a.most:
		c.N++
		c.Sum = c.Sum.AddInt(raw * a.unit)
	default:
		c.add(tree.SumFn, a.v.Value(row))
	}
}
