package exec

import (
	"fmt"
	"math/big"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// dimension is one `by D` bound to a source. It has the value, or several values, of every position of a
// chunk.
type dimension struct {
	of      tree.Dimension
	zone    *time.Location
	expr    *eval.ExprEvaluator
	segment *eval.Evaluator
	// plain is true if the values are those of a string, boolean or number attribute, or steps of such
	// numbers.
	plain     bool
	attribute uint32
	t         tree.Type

	values *eval.Vector
	inside *query.Bits          // positions in the segment
	starts map[int64]tree.Value // names of days, by day

	dict  query.Dict // the dictionary that lists and codes are for
	lists [][]int32  // by code: groups of a list
	codes []int32    // by code: 1 + group of a string; 0: not known yet
	other [3]int32   // 1 + group of false, true, and not set; 0: not known yet
}

// ordered reports whether rows with d as first dimension are ordered by d instead of by size.
func ordered(d tree.Dimension) bool { return d.Step != nil || d.Unit != tree.NoUnit }

// dimensionColumn returns the name of a dimension's column and the type of its values.
func dimensionColumn(d tree.Dimension, env *eval.Env) (query.Column, error) {
	c := query.Column{Name: dimensionTitle(d)}
	var x tree.Expr = d.Name
	switch {
	case d.Segment != nil:
		c.Type = tree.BoolType.String()
		return c, nil
	case d.Unit != tree.NoUnit:
		c.Type = "date"
		return c, nil
	case d.Measure != nil:
		x = d.Measure
	}
	compiled, err := eval.CompileExpr(env, x)
	if err != nil {
		return c, fmt.Errorf("prepare %s: %w", c.Name, err)
	}
	c.Type = columnType(compiled.Type())
	if compiled.Type() == tree.ListType {
		c.Type = tree.StringType.String() // a row per item
	}
	return c, nil
}

func columnType(t tree.Type) string {
	if t == tree.NoType {
		return tree.StringType.String()
	}
	return t.String()
}

// newDimension binds a dimension. Its values are loaded into the given vector, which others may
// overwrite before the next load; nil: into a new one.
func (w *worker) newDimension(d tree.Dimension, values *eval.Vector) (*dimension, error) {
	bound := &dimension{of: d, zone: w.env.Zone, starts: map[int64]tree.Value{}}
	if d.Segment != nil {
		p, err := eval.Compile(w.env, d.Segment)
		if err != nil {
			return nil, err
		}
		if err := w.charge(query.ChunkSize / 8); err != nil {
			return nil, err
		}
		bound.segment, bound.inside = p.On(w.src), new(query.Bits)
		return bound, nil
	}
	var x tree.Expr = d.Name
	if d.Measure != nil {
		x = d.Measure
	}
	compiled, err := eval.CompileExpr(w.env, x)
	if err != nil {
		return nil, err
	}
	if values == nil {
		values = w.scratch.Vector()
	}
	bound.expr, bound.values = compiled.On(w.src), values
	if d.Measure == nil && d.Unit == tree.NoUnit {
		id, t, known := w.env.Schema.Attribute(d.Name.Name)
		bound.attribute, bound.t = id, t
		bound.plain = known && id >= query.FirstAttribute &&
			(t == tree.NumberType || d.Step == nil && (t == tree.StringType || t == tree.BoolType))
	}
	return bound, nil
}

func (d *dimension) load(w *worker, members *query.Bits) error {
	if d.segment != nil {
		d.segment.Chunk(w.chunk, members, d.inside)
		return w.scratch.Err()
	}
	d.expr.Chunk(w.chunk, members, d.values)
	if err := w.scratch.Err(); err != nil || d.values.Dict == d.dict {
		return err
	}
	held := 24*len(d.lists) + 4*len(d.codes)
	d.dict, d.lists, d.codes = d.values.Dict, nil, nil
	if d.dict == nil {
		return nil
	}
	each := 4
	if d.listed() {
		each = 24
	}
	if err := w.charge(each*d.dict.Len() - held); err != nil {
		return err
	}
	if d.listed() {
		d.lists = make([][]int32, d.dict.Len())
	} else {
		d.codes = make([]int32, d.dict.Len())
	}
	return nil
}

// listed reports whether a profile may have several values. REQUIRES: d is loaded.
func (d *dimension) listed() bool { return d.segment == nil && d.values.Type == tree.ListType }

// known returns where 1 + the group of a position is cached, 0 if it is not known yet. It returns nil
// for values that are not cached.
func (d *dimension) known(pos int) *int32 {
	switch {
	case d.segment != nil:
		if d.inside.Has(uint16(pos)) {
			return &d.other[1]
		}
		return &d.other[0]
	case !d.values.Present(pos):
		return &d.other[2]
	case ordered(d.of):
		return nil
	case d.codes != nil && int(d.values.Codes[pos]) < len(d.codes):
		return &d.codes[d.values.Codes[pos]]
	case d.values.Type == tree.BoolType:
		return &d.other[d.values.Ints[pos]&1]
	}
	return nil
}

// coded reports whether the groups of a position depend on its dictionary code alone.
func (d *dimension) coded(pos int) bool {
	return d.lists != nil && !ordered(d.of) && d.values.Present(pos) && int(d.values.Codes[pos]) < len(d.lists)
}

func (d *dimension) cached(pos int) ([]int32, bool) {
	if !d.coded(pos) {
		return nil, false
	}
	known := d.lists[d.values.Codes[pos]]
	return known, known != nil
}

func (d *dimension) remember(pos int, groups []int32) {
	if d.coded(pos) {
		d.lists[d.values.Codes[pos]] = append([]int32{}, groups...)
	}
}

// value returns the value by which a position is grouped. A list means a group for each of its items.
func (d *dimension) value(pos int) tree.Value {
	if d.segment != nil {
		return tree.Bool(d.inside.Has(uint16(pos)))
	}
	v := d.values.Value(pos)
	switch {
	case v.Missing():
		return v
	case d.of.Step != nil:
		return lowerEnd(v.Number(), *d.of.Step)
	case d.of.Unit != tree.NoUnit:
		day := calendar.UnitStart(d.of.Unit, calendar.DayOf(v.Int, d.zone))
		if _, known := d.starts[day]; !known {
			d.starts[day] = dateValue(day)
		}
		return d.starts[day]
	}
	return v
}

// dateValue returns the text of a civil day.
func dateValue(day int64) tree.Value {
	return tree.Str(time.Unix(day*86_400, 0).UTC().Format(time.DateOnly))
}

// lowerEnd returns ⌊x ÷ step⌋ × step, exactly. REQUIRES: step is positive.
func lowerEnd(x, step tree.Number) tree.Value {
	if x.Scale == 0 && step.Scale == 0 {
		q := x.Coef / step.Coef
		if x.Coef%step.Coef < 0 {
			q--
		}
		if low := q * step.Coef; low <= x.Coef {
			return tree.NumInt(low)
		}
	}
	quotient := new(big.Rat).Quo(x.Rat(), step.Rat())
	whole := new(big.Int).Div(quotient.Num(), quotient.Denom())
	low := new(big.Rat).Mul(new(big.Rat).SetInt(whole), step.Rat())
	n, ok := tree.ParseNumber(low.FloatString(tree.MaxScale))
	if !ok {
		return tree.Value{}
	}
	return tree.Num(n)
}
