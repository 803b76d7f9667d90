package exec

import (
	"math/big"
	"slices"

	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// add adds one value to the cell of a measure. A missing value stands for an event or member if the
// measure has no argument; for days the value is the day. add returns by how many bytes the cell grew.
func (c *Cell) add(fn tree.Fn, v tree.Value) int {
	switch fn {
	case tree.CountFn:
		c.N++
		return 0
	case tree.SumFn, tree.AvgFn:
		if v.Type != tree.NumberType {
			return 0
		}
		if s, ok := tree.Billionths(v.Number()); ok {
			c.N++
			c.Sum = c.Sum.Add(s)
		} else {
			c.More = leftSome
		}
		return 0
	}
	if v.Missing() {
		return 0
	}
	c.N++
	if c.More == nil {
		c.More = &Values{}
	}
	return c.More.add(fn, v)
}

// leftSome marks a sum or average that left a value out. It is shared and must not be changed.
var leftSome = &Values{Beyond: true}

// beyond reports whether a cell is a sum or average that left a value out.
func (c *Cell) beyond() bool { return c.More != nil && c.More.Beyond }

// setKeyBytes is the size of a value in a set, without its text.
const setKeyBytes = 96

// numberBytes is charged for a stored number: 16 bytes, the spare capacity of its slice, and its copy
// during a merge.
const numberBytes = 48

func (c *Values) add(fn tree.Fn, v tree.Value) int {
	switch fn {
	case tree.MinFn:
		if c.Best.Missing() || v.Compare(c.Best) < 0 {
			c.Best = v
		}
	case tree.MaxFn:
		if c.Best.Missing() || v.Compare(c.Best) > 0 {
			c.Best = v
		}
	case tree.MedianFn, tree.PercentileFn:
		c.All = append(c.All, v.Number())
		return numberBytes
	case tree.DistinctFn, tree.DaysFn:
		key := eval.KeyOf(v)
		if _, known := c.Set[key]; !known {
			if c.Set == nil {
				c.Set = map[eval.Key]struct{}{}
			}
			c.Set[key] = struct{}{}
			return setKeyBytes + len(key.Str)
		}
	}
	return 0
}

// merge adds the cell of another partial.
func (c *Cell) merge(fn tree.Fn, d *Cell) {
	c.N += d.N
	c.Sum = c.Sum.Add(d.Sum)
	switch {
	case d.More == nil:
	case c.More == nil || d.beyond():
		c.More = d.More
	default:
		c.More.merge(fn, d.More)
	}
}

func (c *Values) merge(fn tree.Fn, d *Values) {
	if !d.Best.Missing() {
		o := d.Best.Compare(c.Best)
		if c.Best.Missing() || fn == tree.MinFn && o < 0 || fn == tree.MaxFn && o > 0 {
			c.Best = d.Best
		}
	}
	c.All = append(c.All, d.All...)
	if c.Set == nil {
		c.Set = d.Set
		return
	}
	for key := range d.Set {
		c.Set[key] = struct{}{}
	}
}

// result returns the value of a measure.
func (c *Cell) result(fn tree.Fn, percent tree.Number) tree.Value {
	values := c.More
	if values == nil {
		values = &Values{}
	}
	switch fn {
	case tree.CountFn:
		return tree.NumInt(c.N)
	case tree.DistinctFn, tree.DaysFn:
		return tree.NumInt(int64(len(values.Set)))
	case tree.SumFn:
		return tree.Num(c.Sum.Number())
	case tree.AvgFn:
		if n, ok := c.Sum.Average(c.N); ok {
			return tree.Num(n)
		}
	case tree.MinFn, tree.MaxFn:
		return values.Best
	case tree.MedianFn:
		return values.percentile(tree.Int(50))
	case tree.PercentileFn:
		return values.percentile(percent)
	}
	return tree.Value{}
}

// percentile interpolates linearly at rank p × (n − 1), exactly, and rounds once to a float64.
func (c *Values) percentile(percent tree.Number) tree.Value {
	if len(c.All) == 0 {
		return tree.Value{}
	}
	slices.SortFunc(c.All, tree.Number.Compare)
	rank := percent.Rat()
	rank.Mul(rank, big.NewRat(int64(len(c.All)-1), 100))
	below, rest := new(big.Int).QuoRem(rank.Num(), rank.Denom(), new(big.Int))
	lo := c.All[below.Int64()]
	if rest.Sign() == 0 {
		return tree.Num(lo)
	}
	hi := c.All[below.Int64()+1]
	at := new(big.Rat).Sub(hi.Rat(), lo.Rat())
	at.Mul(at, new(big.Rat).SetFrac(rest, rank.Denom())).Add(at, lo.Rat())
	f, _ := at.Float64()
	n, ok := tree.FromFloat(f)
	if !ok {
		return tree.Value{}
	}
	return tree.Num(n)
}
