package eval

import (
	"math"
	"slices"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// test is the set of values of one type that a leaf predicate accepts. The missing value is never in
// it. Only the fields for typ are set. A test of NoType accepts nothing.
type test struct {
	typ     tree.Type
	present bool                  // any value: is set
	ints    []span                // booleans and times
	nums    []numSpan             // numbers
	keys    []tree.Value          // strings: one of these
	holds   func(tree.Value) bool // strings and lists, if keys is empty; times, if ints is empty
	each    int                   // approximate time of holds per byte or item, in nanoseconds
}

// holdsWork is the approximate least time of a call of holds, in nanoseconds.
const holdsWork = 100

// workOf returns the approximate time of testing a value, in nanoseconds.
func (t *test) workOf(v tree.Value) int {
	if t.holds == nil {
		return len(t.keys)
	}
	return holdsWork + (1+t.each)*(len(v.Str)+len(v.List))
}

// span is a closed range of integers.
type span struct{ lo, hi int64 }

func (s span) empty() bool { return s.lo > s.hi }

// numSpan is a range of numbers. An end may be absent or excluded.
type numSpan struct {
	lo, hi         tree.Number
	loInf, hiInf   bool
	loOpen, hiOpen bool
}

func (s numSpan) has(n tree.Number) bool {
	if !s.loInf {
		if c := n.Compare(s.lo); c < 0 || c == 0 && s.loOpen {
			return false
		}
	}
	if !s.hiInf {
		if c := n.Compare(s.hi); c > 0 || c == 0 && s.hiOpen {
			return false
		}
	}
	return true
}

// value reports whether v is in the set.
func (t *test) value(v tree.Value) bool {
	if v.Type != t.typ || v.Missing() {
		return false
	}
	switch {
	case t.present:
		return true
	case t.holds != nil:
		return t.holds(v)
	case t.typ == tree.NumberType:
		return t.number(v.Number())
	case t.typ == tree.BoolType, t.typ == tree.TimeType:
		return t.integer(v.Int)
	}
	for _, k := range t.keys {
		if v.Equal(k) {
			return true
		}
	}
	return false
}

func (t *test) number(n tree.Number) bool {
	for _, s := range t.nums {
		if s.has(n) {
			return true
		}
	}
	return false
}

func (t *test) integer(i int64) bool {
	for _, s := range t.ints {
		if s.lo <= i && i <= s.hi {
			return true
		}
	}
	return false
}

// listed reports whether the set is given by keys or spans.
func (t *test) listed() bool { return !t.present && t.holds == nil && t.typ != tree.NoType }

// or returns the test for values that are in either set.
//
// REQUIRES: both are listed and of one type.
func (t *test) or(u *test) *test {
	return &test{
		typ: t.typ, keys: slices.Concat(t.keys, u.keys), nums: slices.Concat(t.nums, u.nums),
		ints: merged(slices.Concat(t.ints, u.ints)),
	}
}

// compareTest returns the test `x op literal` for an x of type typ. op is not Ne.
func compareTest(typ tree.Type, op tree.Op, lit literal) *test {
	if lit.typ != typ {
		return &test{}
	}
	t := &test{typ: typ}
	switch typ {
	case tree.NumberType:
		n := lit.value.Number()
		switch op {
		case tree.Eq:
			t.nums = []numSpan{{lo: n, hi: n}}
		case tree.Lt, tree.Le:
			t.nums = []numSpan{{loInf: true, hi: n, hiOpen: op == tree.Lt}}
		default:
			t.nums = []numSpan{{lo: n, hiInf: true, loOpen: op == tree.Gt}}
		}
	case tree.BoolType, tree.TimeType:
		t.ints = []span{intSpan(op, lit.first, lit.last)}
	case tree.StringType:
		if op == tree.Eq {
			t.keys = []tree.Value{lit.value}
			break
		}
		fallthrough
	default:
		want := lit.value
		t.holds = func(v tree.Value) bool { return op.Holds(v.Compare(want)) }
	}
	return t
}

// intSpan returns the integers x with `x op [first, last]`: equal means inside, less means before
// first.
func intSpan(op tree.Op, first, last int64) span {
	switch op {
	case tree.Eq:
		return span{first, last}
	case tree.Lt:
		return before(first)
	case tree.Le:
		return span{math.MinInt64, last}
	case tree.Gt:
		if last == math.MaxInt64 {
			return span{1, 0}
		}
		return span{last + 1, math.MaxInt64}
	}
	return span{first, math.MaxInt64}
}

func before(first int64) span {
	if first == math.MinInt64 {
		return span{1, 0}
	}
	return span{math.MinInt64, first - 1}
}

// inTest returns the test `x in (…)`.
func inTest(typ tree.Type, lits []literal) *test {
	t := &test{typ: typ}
	for _, lit := range lits {
		one := compareTest(typ, tree.Eq, lit)
		t.ints = append(t.ints, one.ints...)
		t.nums = append(t.nums, one.nums...)
		t.keys = append(t.keys, one.keys...)
	}
	t.ints = merged(t.ints)
	return t
}

// rangeTest returns the test `x between lo and hi`.
func rangeTest(typ tree.Type, lo, hi literal) *test {
	if lo.typ != typ || hi.typ != typ {
		return &test{}
	}
	switch typ {
	case tree.NumberType:
		return &test{typ: typ, nums: []numSpan{{lo: lo.value.Number(), hi: hi.value.Number()}}}
	case tree.BoolType, tree.TimeType:
		return &test{typ: typ, ints: []span{{lo.first, hi.last}}}
	}
	return &test{typ: typ, holds: func(v tree.Value) bool {
		return v.Compare(lo.value) >= 0 && v.Compare(hi.value) <= 0
	}}
}

// windowTest returns the test for a time in [from, to).
func windowTest(from, to int64) *test {
	s := before(to)
	s.lo = max(s.lo, from)
	if to == calendar.Forever {
		s.hi = math.MaxInt64
	}
	return &test{typ: tree.TimeType, ints: []span{s}}
}

// hasTest returns the test for a list that has one, any or all of the items.
func hasTest(which tree.Quantifier, items []literal) *test {
	found := func(list []tree.Value, item tree.Value) bool {
		for _, x := range list {
			if x.Equal(item) {
				return true
			}
		}
		return false
	}
	return &test{typ: tree.ListType, each: 10 * len(items), holds: func(v tree.Value) bool {
		for _, item := range items {
			if found(v.List, item.value) != (which == tree.HasAll) {
				return which != tree.HasAll
			}
		}
		return which == tree.HasAll
	}}
}

// literal is a constant with the range of integers it represents; for a date, its whole day.
type literal struct {
	typ         tree.Type
	value       tree.Value // missing for a date
	first, last int64      // of a boolean, a time or a date
}

func (c *compiler) literal(l *tree.Literal) literal {
	if l.When != nil {
		from, to := calendar.Span(*l.When, c.zone)
		lit := literal{typ: tree.TimeType, first: from, last: to - 1}
		if !l.When.Date {
			lit.value = tree.Time(from)
		}
		return lit
	}
	return literal{typ: l.Value.Type, value: l.Value, first: l.Value.Int, last: l.Value.Int}
}
