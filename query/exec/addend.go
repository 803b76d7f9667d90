package exec

import (
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// addend adds the numbers of a column to sums without making a value of each: in a column of one scale,
// one multiplication turns a coefficient into billionths.
type addend struct {
	v    *query.Vec
	unit int64 // billionths that a coefficient of 1 stands for
	most int64 // greatest coefficient that can be multiplied without overflow
	ok   bool
}

// newAddend returns the addend of a column for a function; ok is false if the column or the function has
// none.
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
