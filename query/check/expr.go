package check

import (
	"fmt"

	"github.com/musterdb/muster/query/tree"
)

// expr checks an expression and returns its copy and type. NoType means that the type is unknown.
func (c *checker) expr(x tree.Expr, in place) (tree.Expr, tree.Type) {
	c.countPart()
	switch x := x.(type) {
	case *tree.Name:
		return c.name(x, in)
	case *tree.Literal:
		out := *x
		if x.When != nil {
			return &out, tree.TimeType
		}
		return &out, x.Value.Type
	case *tree.Arith:
		out := *x
		out.L = c.number(x.L, x, in)
		out.R = c.number(x.R, x, in)
		return &out, tree.NumberType
	case *tree.Measure:
		if in.event != nil {
			c.errorf(tree.CodeBadMeasure, x.At, "use only the event's own properties there",
				"a measure of events cannot be used inside an event's condition")
			return x, tree.NoType
		}
		return c.measure(x)
	}
	c.errorf(tree.CodeSyntax, tree.Span{}, "", "expression %T is not known", x)
	return x, tree.NoType
}

func (c *checker) number(x tree.Expr, whole *tree.Arith, in place) tree.Expr {
	out, t := c.expr(x, in)
	if t != tree.NumberType && t != tree.NoType {
		c.errorf(tree.CodeTypeMismatch, tree.SpanOf(x), "", "%s takes numbers, but %s is %s", whole.Op, title(x), article(t))
	}
	return out
}

// measure checks a measure of events and returns the type of its value.
func (c *checker) measure(m *tree.Measure) (*tree.Measure, tree.Type) {
	out := *m
	if m.Event == "" {
		c.errorf(tree.CodeBadMeasure, m.At, fmt.Sprintf("name the event:  %s of \"Order Completed\"", m.Fn),
			"%s is computed from the events of a profile", m.Fn)
		return &out, tree.NoType
	}
	if m.Fn == tree.MedianFn || m.Fn == tree.PercentileFn {
		c.errorf(tree.CodeBadMeasure, m.At, "use avg, min or max", "%s cannot be computed from events", m.Fn)
	}
	event := c.event(m.Event, m.At)
	in := place{event: event}
	out.Where = c.where(m.Where, in)
	out.Window = c.window(m.Window, false)
	return &out, c.argument(&out, m.Arg, in)
}

// argument checks the argument of a measure and returns the type of the measure.
func (c *checker) argument(out *tree.Measure, arg tree.Expr, in place) tree.Type {
	if arg == nil {
		if out.Fn != tree.CountFn && out.Fn != tree.DaysFn {
			c.errorf(tree.CodeBadMeasure, out.At, fmt.Sprintf("write  %s(amount)", out.Fn), "%s needs a value to measure", out.Fn)
		}
		return tree.NumberType
	}
	if out.Fn == tree.CountFn || out.Fn == tree.DaysFn {
		c.errorf(tree.CodeBadMeasure, out.At, fmt.Sprintf("write  %s  without parentheses", out.Fn), "%s takes no value", out.Fn)
	}
	x, t := c.expr(arg, in)
	out.Arg = x
	if t == tree.NoType {
		if result := resultType(out.Fn, t); result == tree.NumberType {
			return result
		}
		return tree.NoType
	}
	fits, takes := true, ""
	switch out.Fn {
	case tree.SumFn, tree.AvgFn, tree.MedianFn, tree.PercentileFn:
		fits, takes = t == tree.NumberType, "numbers"
	case tree.MinFn, tree.MaxFn:
		fits, takes = t == tree.NumberType || t == tree.TimeType, "numbers and times"
	default:
		fits, takes = t != tree.ListType, "anything but lists"
	}
	if !fits {
		c.errorf(tree.CodeTypeMismatch, tree.SpanOf(arg), "", "%s takes %s, but %s is %s", out.Fn, takes, title(arg), article(t))
	}
	return resultType(out.Fn, t)
}

func resultType(fn tree.Fn, arg tree.Type) tree.Type {
	switch fn {
	case tree.MinFn, tree.MaxFn, tree.FirstFn, tree.LastFn, tree.FavoriteFn:
		return arg
	}
	return tree.NumberType
}

// side is one side of a comparison.
type side struct {
	x tree.Expr
	t tree.Type
}

// unify brings two sides to the same type: it turns a quoted date or time that is compared with a time into a
// date or time. It reports sides that cannot be compared. at is the span of the comparison.
func (c *checker) unify(l, r *side, at tree.Span) {
	c.quoted(l, r.t)
	c.quoted(r, l.t)
	list := l
	if r.t == tree.ListType {
		list = r
	}
	switch {
	case list.t == tree.ListType:
		c.errorf(tree.CodeTypeMismatch, at, fmt.Sprintf("check the items of a list:  %s has \"vip\"", title(list.x)),
			"%s is a list and cannot be compared", title(list.x))
	case l.t == tree.NoType || r.t == tree.NoType || l.t == r.t:
	default:
		c.errorf(tree.CodeTypeMismatch, at, mismatchHint(l.t, r),
			"%s is %s and cannot be compared with %s", title(l.x), article(l.t), described(r))
	}
}

// quoted turns a string literal that is compared with a time into a date or time.
func (c *checker) quoted(s *side, other tree.Type) {
	lit, ok := s.x.(*tree.Literal)
	if !ok || other != tree.TimeType || s.t != tree.StringType {
		return
	}
	w, ok := tree.ParseWhen(lit.Value.Str)
	if !ok {
		c.errorf(tree.CodeBadTime, lit.At, "write a date such as 2026-01-31 or a time such as 2026-01-31T10:00:00Z",
			"%q is neither a date nor a time", lit.Value.Str)
		return
	}
	s.x, s.t = &tree.Literal{When: &w, At: lit.At}, tree.TimeType
}

func mismatchHint(left tree.Type, r *side) string {
	lit, ok := r.x.(*tree.Literal)
	switch {
	case !ok:
		return ""
	case left == tree.StringType && lit.Value.Type == tree.NumberType:
		return fmt.Sprintf("put a string in quotes:  %q", lit.Value.Number())
	case left == tree.NumberType && lit.Value.Type == tree.StringType:
		return "write the number without quotes"
	case left == tree.BoolType:
		return "compare it with true or false"
	}
	return ""
}

// described returns a right side with its type, for messages.
func described(s *side) string {
	if _, ok := s.x.(*tree.Literal); ok {
		return article(s.t)
	}
	return fmt.Sprintf("%s, which is %s", title(s.x), article(s.t))
}

func article(t tree.Type) string { return "a " + t.String() }

// title returns an expression as messages show it.
func title(x tree.Expr) string {
	switch x := x.(type) {
	case *tree.Name:
		if x.Previous {
			return "previous." + x.Name
		}
		return x.Name
	case *tree.Measure:
		return fmt.Sprintf("%s of %q", x.Fn, x.Event)
	case *tree.Literal:
		if x.When == nil && x.Value.Type == tree.StringType {
			return fmt.Sprintf("%q", x.Value.Str)
		}
		if x.When == nil && x.Value.Type == tree.NumberType {
			return x.Value.Number().String()
		}
		return "this value"
	}
	return "the result"
}
