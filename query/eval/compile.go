package eval

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// compiler turns a checked tree into plans. The checker rejects meaningless predicates, such as a text
// form on a number; if one gets here, it is false for every profile.
type compiler struct {
	env  *Env
	zone *time.Location
	// event is the event whose properties names refer to; nil if they refer to attributes of profiles.
	event *eventScope
	// ranked is set for the measure of a rank: it is missing, not 0, if no event was counted.
	ranked bool
}

// eventScope is the event in whose `where (…)` or argument names are resolved.
type eventScope struct {
	id    uint32
	known bool
}

func (c *compiler) pred(p tree.Pred) (plan, error) {
	switch p := p.(type) {
	case *tree.And:
		return c.chain(p.Args, false)
	case *tree.Or:
		return c.chain(p.Args, true)
	case *tree.Not:
		arg, err := c.pred(p.Arg)
		return notPlan{arg}, err
	case *tree.Everyone:
		return all{}, nil
	case *tree.Did:
		st, err := c.step(p.Step, p.Window)
		lo, hi := int64(1), int64(-1)
		if p.Count != nil {
			lo, hi = p.Count.Bounds()
		}
		return newDid(st, lo, hi), err
	case *tree.Edge:
		return c.edge(p)
	case *tree.Sequence:
		return c.sequence(p)
	case *tree.InSegment:
		return c.segment(p)
	case *tree.InList:
		id, ok := c.env.Schema.List(p.Name)
		if !ok {
			return nil, fmt.Errorf("list %q is unknown", p.Name)
		}
		return inList{id}, nil
	case *tree.InSample:
		return inSample{values.NewShare(p.Name, p.From, p.To)}, nil
	case *tree.Rank:
		return c.rank(p)
	case *tree.WasIn:
		at, _ := calendar.Span(p.At, c.zone)
		n, err := c.env.Inputs.WasIn(p, at)
		return inInput{n}, err
	}
	return c.leaf(p)
}

func (c *compiler) chain(args []tree.Pred, or bool) (plan, error) {
	ch := chain{or: or}
	for _, arg := range args {
		p, err := c.pred(arg)
		if err != nil {
			return nil, err
		}
		if !or || !ch.absorb(p) {
			ch.args = append(ch.args, p)
		}
	}
	switch {
	case len(ch.args) == 1:
		return ch.args[0], nil
	case len(ch.args) > 1:
		return ch, nil
	case or:
		return none{}, nil
	}
	return all{}, nil
}

// leaf compiles predicates on one or two expressions.
func (c *compiler) leaf(p tree.Pred) (plan, error) {
	switch p := p.(type) {
	case *tree.Compare:
		return c.compare(p)
	case *tree.Range:
		if !literalEnds(p) {
			return c.pred(bounds(p))
		}
	}
	q, ok := c.exprTest(p)
	if !ok {
		return nil, fmt.Errorf("predicate %T cannot be evaluated", p)
	}
	return c.compileTest(q)
}

// compileTest compiles a test of one expression. If the expression is a column, the test runs on the
// encoded column.
func (c *compiler) compileTest(q exprTest) (plan, error) {
	o, err := c.expr(q.x)
	if err != nil {
		return nil, err
	}
	t, err := q.test(o.typ())
	if err != nil || t.typ == tree.NoType || t.typ != o.typ() {
		return none{}, err
	}
	switch o := o.(type) {
	case column:
		return columnTest{column: o, test: t}, nil
	case identifier:
		if !o.anonymous && t.holds == nil && !t.present {
			return userIs{t.keys}, nil
		}
	}
	return valueTest{x: o, test: t}, nil
}

// exprTest is a predicate that tests one expression for a set of values. The test is built once the
// type of the expression is known.
type exprTest struct {
	x    tree.Expr
	test func(tree.Type) (*test, error)
}

// exprTest returns p as a test of one expression; ok is false if p is not one.
func (c *compiler) exprTest(p tree.Pred) (q exprTest, ok bool) {
	withTest := func(x tree.Expr, build func(tree.Type) *test) (exprTest, bool) {
		return exprTest{x, func(t tree.Type) (*test, error) { return build(t), nil }}, true
	}
	switch p := p.(type) {
	case *tree.Compare:
		l, lit, op, ok := literalSide(p)
		if !ok || op == tree.Ne {
			return exprTest{}, false
		}
		return withTest(l, func(t tree.Type) *test { return compareTest(t, op, c.literal(lit)) })
	case *tree.Truth:
		yes := literal{typ: tree.BoolType, first: 1, last: 1}
		return withTest(p.X, func(t tree.Type) *test { return compareTest(t, tree.Eq, yes) })
	case *tree.In:
		return withTest(p.X, func(t tree.Type) *test { return inTest(t, c.literals(p.Values)) })
	case *tree.Range:
		if !literalEnds(p) {
			return exprTest{}, false
		}
		lo, hi := c.literal(p.Lo.(*tree.Literal)), c.literal(p.Hi.(*tree.Literal))
		return withTest(p.X, func(t tree.Type) *test { return rangeTest(t, lo, hi) })
	case *tree.IsSet:
		return withTest(p.X, func(t tree.Type) *test { return &test{typ: t, present: true} })
	case *tree.Text:
		return exprTest{p.X, func(t tree.Type) (*test, error) {
			if t != tree.StringType {
				return &test{}, nil
			}
			match, err := values.NewMatcher(p.Op, p.Pattern, p.Fold)
			each := 1
			if p.Op == tree.Matches {
				each = matchWork
			}
			return &test{typ: t, each: each, holds: func(v tree.Value) bool { return match(v.Str) }}, err
		}}, true
	case *tree.Has:
		return withTest(p.X, func(tree.Type) *test { return hasTest(p.Which, c.literals(p.Values)) })
	case *tree.InWindow:
		return withTest(p.X, func(tree.Type) *test { return windowTest(calendar.Resolve(p.Window, c.env.Now, c.zone)) })
	case *tree.Anniversary:
		days := calendar.NewAnniversaries(p.Window, c.env.Now, c.zone)
		return withTest(p.X, func(tree.Type) *test {
			return &test{typ: tree.TimeType, holds: func(v tree.Value) bool { return days.Has(v.Int) }}
		})
	}
	return exprTest{}, false
}

// matchWork is the approximate time that a regular expression takes per byte, in nanoseconds.
const matchWork = 20

func literalEnds(p *tree.Range) bool {
	_, lo := p.Lo.(*tree.Literal)
	_, hi := p.Hi.(*tree.Literal)
	return lo && hi
}

// bounds rewrites a range with computed ends as two comparisons.
func bounds(p *tree.Range) tree.Pred {
	return &tree.And{Args: []tree.Pred{
		&tree.Compare{Op: tree.Ge, L: p.X, R: p.Lo}, &tree.Compare{Op: tree.Le, L: p.X, R: p.Hi},
	}}
}

// literalSide rewrites a comparison with a literal as `x op literal`; ok is false if neither side is a
// literal.
func literalSide(p *tree.Compare) (x tree.Expr, lit *tree.Literal, op tree.Op, ok bool) {
	if lit, ok := p.R.(*tree.Literal); ok {
		return p.L, lit, p.Op, true
	}
	lit, ok = p.L.(*tree.Literal)
	return p.R, lit, p.Op.Mirrored(), ok
}

func (c *compiler) compare(p *tree.Compare) (plan, error) {
	if p.Op == tree.Ne {
		eq, err := c.pred(&tree.Compare{Op: tree.Eq, L: p.L, R: p.R, At: p.At})
		return notPlan{eq}, err
	}
	x, lit, op, ok := literalSide(p)
	if !ok {
		l, err := c.expr(p.L)
		if err != nil {
			return nil, err
		}
		r, err := c.expr(p.R)
		return comparison{op: p.Op, l: l, r: r}, err
	}
	if m, ok := x.(*tree.Measure); ok && m.Fn == tree.CountFn && lit.Value.Type == tree.NumberType {
		if lo, hi, ok := countBounds(op, lit.Value.Number()); ok {
			st, err := c.step(tree.Step{Event: m.Event, Where: m.Where}, m.Window)
			return newDid(st, lo, hi), err
		}
	}
	q, _ := c.exprTest(p)
	return c.compileTest(q)
}

func (c *compiler) literals(ls []*tree.Literal) []literal {
	lits := make([]literal, len(ls))
	for i, l := range ls {
		lits[i] = c.literal(l)
	}
	return lits
}

func (c *compiler) expr(x tree.Expr) (operand, error) {
	switch x := x.(type) {
	case *tree.Name:
		return c.name(x)
	case *tree.Literal:
		lit := c.literal(x)
		if x.When != nil {
			return constant{tree.Time(lit.first)}, nil
		}
		return constant{lit.value}, nil
	case *tree.Arith:
		l, err := c.expr(x.L)
		if err != nil {
			return nil, err
		}
		r, err := c.expr(x.R)
		return arith{op: x.Op, l: l, r: r}, err
	case *tree.Measure:
		return c.measure(x)
	}
	return nil, fmt.Errorf("expression %T cannot be evaluated", x)
}

func (c *compiler) name(n *tree.Name) (operand, error) {
	if n.Previous {
		return nil, fmt.Errorf("previous.%s is used outside a sequence", n.Name)
	}
	if c.event != nil {
		if !c.event.known {
			return missing{}, nil
		}
		if id, t, ok := c.env.Schema.Property(c.event.id, n.Name); ok {
			return column{id: id, property: true, t: t}, nil
		}
		return missing{}, nil
	}
	id, t, ok := c.env.Schema.Attribute(n.Name)
	if !ok {
		return missing{}, nil
	}
	switch id {
	case query.AttrUserID, query.AttrAnonymousID:
		return identifier{anonymous: id == query.AttrAnonymousID}, nil
	case query.AttrFirstSeen, query.AttrLastSeen:
		return seen{last: id == query.AttrLastSeen}, nil
	}
	return column{id: id, t: t}, nil
}

// step compiles an event, its condition and its window, which ends at now at the latest.
func (c *compiler) step(s tree.Step, w tree.Window) (step, error) {
	var st step
	st.event, st.known = c.env.Schema.Event(s.Event)
	st.from, st.to = calendar.Resolve(w, c.env.Now, c.zone)
	st.to = min(st.to, c.env.end())
	if s.Where == nil {
		return st, nil
	}
	inner := compiler{env: c.env, zone: c.zone, event: &eventScope{st.event, st.known}}
	where, err := inner.pred(s.Where)
	st.where = where
	return st, err
}

// edge compiles `first did` and `last did`: a row in the window, and none before it (or none after it
// up to now).
func (c *compiler) edge(p *tree.Edge) (plan, error) {
	in, err := c.step(p.Step, p.Window)
	if err != nil {
		return nil, err
	}
	if in.from >= in.to {
		return none{}, nil
	}
	out := in
	if p.Last {
		out.from, out.to = in.to, c.env.end()
	} else {
		out.from, out.to = calendar.Never, in.from
	}
	return chain{args: []plan{newDid(in, 1, -1), notPlan{newDid(out, 1, -1)}}}, nil
}

// segment compiles the predicate of a segment in the segment's own zone.
func (c *compiler) segment(p *tree.InSegment) (plan, error) {
	if p.Def == nil {
		return nil, fmt.Errorf("segment %q is not expanded", p.Name)
	}
	if _, held := c.env.Inputs.Held(p.Name); held {
		n, ok := c.env.Inputs.OfHeld(p.Name)
		if !ok {
			return nil, fmt.Errorf("segment %q is held but is not an input of the statement", p.Name)
		}
		return inInput{n}, nil
	}
	zone, err := segmentZone(c.env, p.Def)
	if err != nil {
		return nil, err
	}
	inner := compiler{env: c.env, zone: zone}
	return inner.pred(p.Def.Pred)
}

// segmentZone loads the zone of a segment, which is usually that of the statement.
func segmentZone(env *Env, s *tree.Segment) (*time.Location, error) {
	if s.Zone == env.zone().String() {
		return env.zone(), nil
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return nil, fmt.Errorf("load the zone of segment %q: %w", s.Name, err)
	}
	return zone, nil
}
