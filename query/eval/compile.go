package eval

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// compiler turns a checked tree into plans. What the tree cannot mean (a text form on a number) is
// the checker's to refuse; here it is simply true for nobody.
type compiler struct {
	env  *Env
	zone *time.Location
	// event is the event whose properties names stand for, nil for attributes of profiles.
	event *eventScope
	// ranked measures are missing where no event was counted.
	ranked bool
}

// eventScope is the event inside whose `where (…)` or argument names are resolved.
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
		n, err := c.env.Inputs.Asked(p, at)
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
		if !or || !ch.takes(p) {
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

// leaf compiles the predicates that stand over one or two expressions.
func (c *compiler) leaf(p tree.Pred) (plan, error) {
	switch p := p.(type) {
	case *tree.Compare:
		return c.compare(p)
	case *tree.Range:
		if !literalEnds(p) {
			return c.pred(bounds(p))
		}
	}
	q, ok := c.question(p)
	if !ok {
		return nil, fmt.Errorf("predicate %T cannot be evaluated", p)
	}
	return c.asked(q)
}

// asked compiles a question, on the encoded column where its expression is one.
func (c *compiler) asked(q question) (plan, error) {
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

// question is a predicate that asks one expression for a set of values, once its type is known.
type question struct {
	x    tree.Expr
	test func(tree.Type) (*test, error)
}

// question reads p as a question; ok is false for what is none.
func (c *compiler) question(p tree.Pred) (q question, ok bool) {
	ask := func(x tree.Expr, build func(tree.Type) *test) (question, bool) {
		return question{x, func(t tree.Type) (*test, error) { return build(t), nil }}, true
	}
	switch p := p.(type) {
	case *tree.Compare:
		l, lit, op, ok := literalSide(p)
		if !ok || op == tree.Ne {
			return question{}, false
		}
		return ask(l, func(t tree.Type) *test { return compareTest(t, op, c.literal(lit)) })
	case *tree.Truth:
		yes := literal{typ: tree.BoolType, first: 1, last: 1}
		return ask(p.X, func(t tree.Type) *test { return compareTest(t, tree.Eq, yes) })
	case *tree.In:
		return ask(p.X, func(t tree.Type) *test { return inTest(t, c.literals(p.Values)) })
	case *tree.Range:
		if !literalEnds(p) {
			return question{}, false
		}
		lo, hi := c.literal(p.Lo.(*tree.Literal)), c.literal(p.Hi.(*tree.Literal))
		return ask(p.X, func(t tree.Type) *test { return rangeTest(t, lo, hi) })
	case *tree.IsSet:
		return ask(p.X, func(t tree.Type) *test { return &test{typ: t, present: true} })
	case *tree.Text:
		return question{p.X, func(t tree.Type) (*test, error) {
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
		return ask(p.X, func(tree.Type) *test { return hasTest(p.Which, c.literals(p.Values)) })
	case *tree.InWindow:
		return ask(p.X, func(tree.Type) *test { return windowTest(calendar.Resolve(p.Window, c.env.Now, c.zone)) })
	case *tree.Anniversary:
		days := calendar.NewAnniversaries(p.Window, c.env.Now, c.zone)
		return ask(p.X, func(tree.Type) *test {
			return &test{typ: tree.TimeType, holds: func(v tree.Value) bool { return days.Has(v.Int) }}
		})
	}
	return question{}, false
}

// matchWork is about what a regular expression takes a byte, in nanoseconds.
const matchWork = 20

func literalEnds(p *tree.Range) bool {
	_, lo := p.Lo.(*tree.Literal)
	_, hi := p.Hi.(*tree.Literal)
	return lo && hi
}

// bounds writes a range with computed ends as two comparisons.
func bounds(p *tree.Range) tree.Pred {
	return &tree.And{Args: []tree.Pred{
		&tree.Compare{Op: tree.Ge, L: p.X, R: p.Lo}, &tree.Compare{Op: tree.Le, L: p.X, R: p.Hi},
	}}
}

// literalSide brings a comparison with a literal into the form `x op literal`.
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
	q, _ := c.question(p)
	return c.asked(q)
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
		return nil, fmt.Errorf("previous.%s stands outside a sequence", n.Name)
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

// step compiles an event, its condition and its window, which is cut at now.
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

// edge compiles `first did` and `last did`: a row in the window and none before, or after it up to now.
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

// segment compiles the segment's own predicate in its own zone.
func (c *compiler) segment(p *tree.InSegment) (plan, error) {
	if p.Def == nil {
		return nil, fmt.Errorf("segment %q is not expanded", p.Name)
	}
	if _, held := c.env.Inputs.Held(p.Name); held {
		n, ok := c.env.Inputs.OfHeld(p.Name)
		if !ok {
			return nil, fmt.Errorf("segment %q is held, and no input of the statement", p.Name)
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

// segmentZone loads the zone a segment keeps; most often it is the statement's.
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
