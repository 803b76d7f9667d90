package member

import (
	"encoding/binary"
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/tree"
)

// amount is what a sum adds for each event. Sums are kept as coefficients of a fixed scale in four bytes per
// profile; a sum that does not fit is kept apart, exactly.
type amount struct {
	arg      tree.Expr
	value    *match.StepValue
	property int // if arg is a property; -1: an expression
	scale    int8
}

// sumSpilled marks a sum that is kept apart.
const sumSpilled = math.MinInt32

// usualScale is the scale of a sum while no event determines one.
const usualScale = 2

// newAmount prepares an argument. The scale is that of the existing amounts.
func newAmount(t *Tracker, s *step, arg tree.Expr, value *match.StepValue) *amount {
	a := &amount{arg: arg, value: value, property: -1, scale: usualScale}
	name, plain := arg.(*tree.Name)
	if !plain || name.Previous {
		return a
	}
	if id, _, ok := t.schema.Property(s.event, name.Name); ok {
		a.property = int(id)
	}
	src := t.host.Source()
	for chunk := range src.Chunks() {
		for _, b := range src.Series(s.event, chunk).Blocks {
			if v := a.column(b); v != nil && v.Scales == nil && v.Scale >= 0 && v.Scale <= 9 {
				a.scale = v.Scale
				return a
			}
		}
	}
	return a
}

func (a *amount) column(b *query.Block) *query.Vec {
	if a.property < 0 {
		return nil
	}
	return b.Col(uint32(a.property))
}

// of returns what an event adds, as a coefficient; ok is false if there is no exact one.
func (a *amount) of(b *query.Block, row int) (coef int64, ok bool) {
	if a.property >= 0 {
		v := b.Col(uint32(a.property))
		if v == nil {
			return 0, true
		}
		if v.Type == tree.NumberType && v.Scales == nil && v.Scale >= 0 && v.Scale <= a.scale {
			raw, has := v.Raw(row)
			if !has {
				return 0, true
			}
			if raw > -1<<31 && raw < 1<<31 {
				return raw * tree.Pow10(a.scale-v.Scale), true
			}
		}
	}
	return a.coefficient(a.sum(b, row))
}

// sum returns exactly what an event adds: 0 if it has no amount.
func (a *amount) sum(b *query.Block, row int) tree.Sum {
	v := a.value.Of(b, row)
	if v.Type != tree.NumberType {
		return tree.Sum{}
	}
	s, _ := tree.Billionths(v.Number())
	return s
}

// coefficient returns a sum as a coefficient; ok is false if there is no exact one.
func (a *amount) coefficient(s tree.Sum) (coef int64, ok bool) {
	i := int64(s.Lo)
	unit := tree.Pow10(9 - a.scale)
	if s.Hi != i>>63 || i%unit != 0 {
		return 0, false
	}
	return i / unit, true
}

// exact returns the sum that a coefficient stands for.
func (a *amount) exact(coef int64) tree.Sum {
	s, _ := tree.Billionths(tree.Decimal(coef, a.scale))
	return s
}

// addSum adds a coefficient to a profile's sum.
func (k *counter) addSum(ordinal uint32, coef int64) {
	row := k.t.rows.own(ordinal)
	was := sumAt(row, k.at)
	is := int64(was) + coef
	if was == sumSpilled || is <= math.MinInt32 || is > math.MaxInt32 || coef > math.MaxInt32 || coef < math.MinInt32 {
		k.setSum(ordinal, k.sumOf(ordinal).Add(k.amount.exact(coef)))
		return
	}
	binary.LittleEndian.PutUint32(row[k.at:], uint32(int32(is)))
	for _, l := range k.limits {
		if l.admits(int64(was)) != l.admits(is) {
			k.t.flip(l, ordinal)
		}
	}
}

// sumOf returns a profile's sum, exactly.
func (k *counter) sumOf(ordinal uint32) tree.Sum {
	c := sumAt(k.t.rows.row(ordinal), k.at)
	if c == sumSpilled {
		return k.sums[ordinal]
	}
	return k.amount.exact(int64(c))
}

// setSum replaces a profile's sum and marks the thresholds it crosses.
func (k *counter) setSum(ordinal uint32, s tree.Sum) {
	was := make([]bool, len(k.limits))
	row := k.t.rows.row(ordinal)
	for i, l := range k.limits {
		was[i] = l.holds(row, ordinal)
	}
	k.storeSum(ordinal, s)
	row = k.t.rows.row(ordinal)
	for i, l := range k.limits {
		if l.holds(row, ordinal) != was[i] {
			k.t.flip(l, ordinal)
		}
	}
}

func (k *counter) storeSum(ordinal uint32, s tree.Sum) {
	delete(k.sums, ordinal)
	coef, ok := k.amount.coefficient(s)
	if !ok || coef <= math.MinInt32 || coef > math.MaxInt32 {
		if k.sums == nil {
			k.sums = map[uint32]tree.Sum{}
		}
		k.sums[ordinal], coef = s, sumSpilled
	}
	binary.LittleEndian.PutUint32(k.t.rows.own(ordinal)[k.at:], uint32(int32(coef)))
}

// loadSum stores an evaluated sum. That is the nearest float64, which is exact up to fifteen digits; larger
// sums are recounted.
func (k *counter) loadSum(ordinal uint32, n tree.Number) {
	const digits = 1_000_000_000_000_000
	s, ok := tree.Billionths(n)
	switch i := int64(s.Lo); {
	case ok && s == tree.Sum{}:
	case ok && s.Hi == i>>63 && i > -digits && i < digits:
		k.storeSum(ordinal, s)
	default:
		k.scheduleRecount(ordinal)
	}
}

// limitSum returns the comparison of the sum with a number, adding it if needed.
func (k *counter) limitSum(o tree.Op, literal tree.Number) *leaf {
	for _, l := range k.limits {
		if l.op == o && l.literal == literal {
			return l
		}
	}
	l := &leaf{t: k.t, kind: sumLeaf, at: k.at, of: k, op: o, literal: literal}
	below, exact := floorAt(literal, k.amount.scale)
	l.lo, l.hi = math.MinInt64, math.MaxInt64
	switch o {
	case tree.Lt:
		l.hi = below
		if exact {
			l.hi--
		}
	case tree.Le:
		l.hi = below
	case tree.Gt:
		l.lo = below + 1
	case tree.Ge:
		l.lo = below
		if !exact {
			l.lo++
		}
	default:
		l.lo, l.hi = below, below
		if !exact {
			l.lo++ // no coefficient equals it
		}
	}
	l.bare = l.admits(0)
	k.limits = append(k.limits, l)
	return l
}

// floorAt returns the largest coefficient at a scale that is not above n, within the range of sums; exact
// reports whether it equals n.
//
// REQUIRES: n is not a float.
func floorAt(n tree.Number, scale int8) (coef int64, exact bool) {
	const beyond = 1 << 40
	if n.Scale > scale {
		unit := tree.Pow10(n.Scale - scale)
		coef = n.Coef / unit
		if n.Coef%unit < 0 {
			coef--
		}
		exact = n.Coef%unit == 0
	} else if unit := tree.Pow10(scale - n.Scale); n.Coef > beyond || n.Coef < -beyond || n.Coef*unit/unit != n.Coef {
		coef = beyond
		if n.Coef < 0 {
			coef = -beyond
		}
		return coef, true
	} else {
		coef, exact = n.Coef*unit, true
	}
	return max(min(coef, beyond), -beyond), exact
}

// holdsSum compares a sum that is kept apart.
func (l *leaf) holdsSum(s tree.Sum) bool { return l.op.Holds(s.Number().Compare(l.literal)) }
