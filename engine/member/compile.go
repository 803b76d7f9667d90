package member

import (
	"fmt"
	"strconv"
	"time"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// Definition describes a live segment: its checked predicate, with the segments it refers to expanded.
type Definition struct {
	Slot int
	Name string
	Zone string
	Pred tree.Pred
	// Catalog is the catalog version that Pred was checked with.
	Catalog uint64
	// Held returns the slot of a held segment that the predicate refers to.
	Held func(name string) (slot int, ok bool)
}

// IsHeld reports whether a segment keeps the membership of its last refresh: it has a refresh interval or a
// rank.
func IsHeld(s *tree.Segment) bool { return s.Refresh.N > 0 || HasRank(s.Pred) }

// HasRank reports whether a predicate itself contains a rank. Segments it refers to are held separately.
func HasRank(p tree.Pred) bool {
	return tree.Any(p, func(n tree.Node) bool {
		_, rank := n.(*tree.Rank)
		return rank
	})
}

// compiler compiles the program of one segment.
type compiler struct {
	t    *Tracker
	s    *segment
	d    Definition
	zone *time.Location
}

func (t *Tracker) compile(s *segment, d Definition) error {
	zone, err := time.LoadLocation(d.Zone)
	if err != nil {
		return fmt.Errorf("load the zone of segment %q: %w", d.Name, err)
	}
	c := compiler{t: t, s: s, d: d, zone: zone}
	program, err := c.pred(d.Pred)
	if err != nil {
		return err
	}
	s.program = &program
	return nil
}

func (c *compiler) pred(p tree.Pred) (node, error) {
	switch p := p.(type) {
	case nil, *tree.Everyone:
		return node{op: opEveryone}, nil
	case *tree.And:
		return c.all(opAnd, p.Args)
	case *tree.Or:
		return c.all(opOr, p.Args)
	case *tree.Not:
		return c.all(opNot, []tree.Pred{p.Arg})
	case *tree.InSegment:
		return c.segment(p)
	case *tree.Compare:
		if p.Op == tree.Ne {
			equal := *p
			equal.Op = tree.Eq
			return c.all(opNot, []tree.Pred{&equal})
		}
		return c.compare(p)
	case *tree.Did:
		lo, hi := int64(1), int64(-1)
		if p.Count != nil {
			lo, hi = p.Count.Bounds()
		}
		return c.counted(p, p.Step, p.Window, lo, hi)
	case *tree.Edge:
		return c.edge(p)
	case *tree.Sequence:
		return c.sequence(p)
	}
	return c.condition(p)
}

func (c *compiler) all(o op, args []tree.Pred) (node, error) {
	nodes := make([]node, len(args))
	for i, arg := range args {
		var err error
		if nodes[i], err = c.pred(arg); err != nil {
			return node{}, err
		}
	}
	return join(o, nodes), nil
}

// segment compiles the program of a referenced segment, or a leaf that reads its membership if it is held.
func (c *compiler) segment(p *tree.InSegment) (node, error) {
	if p.Def == nil {
		return node{}, fmt.Errorf("segment %q is not expanded", p.Name)
	}
	if IsHeld(p.Def) {
		slot, ok := c.d.Held(p.Name)
		if !ok {
			return node{}, fmt.Errorf("segment %q has no membership", p.Name)
		}
		return node{op: opLeaf, leaf: &leaf{t: c.t, kind: memberLeaf, slot: slot}}, nil
	}
	zone, err := time.LoadLocation(p.Def.Zone)
	if err != nil {
		return node{}, fmt.Errorf("load the zone of segment %q: %w", p.Name, err)
	}
	inner := *c
	inner.zone = zone
	return inner.pred(p.Def.Pred)
}

// compare compiles a comparison of a count or a sum with a number; any other comparison is evaluated.
func (c *compiler) compare(p *tree.Compare) (node, error) {
	o, l, r := p.Op, p.L, p.R
	if _, literal := l.(*tree.Literal); literal {
		l, r = r, l
		o = o.Mirrored()
	}
	m, isMeasure := l.(*tree.Measure)
	x, isLiteral := r.(*tree.Literal)
	if !isMeasure || !isLiteral || x.Value.Type != tree.NumberType {
		return c.condition(p)
	}
	s, n := tree.Step{Event: m.Event, Where: m.Where}, x.Value.Number()
	switch {
	case n.IsFloat() || n.Scale < 0:
	case m.Fn == tree.CountFn:
		if lo, hi, ok := between(o, n); ok {
			return c.counted(p, s, m.Window, lo, hi)
		}
	case m.Fn == tree.SumFn:
		return c.summed(p, m, o, n)
	}
	return c.condition(p)
}

// between returns a comparison with a whole number as lo <= n <= hi; hi < 0 means no upper bound.
func between(o tree.Op, n tree.Number) (lo, hi int64, ok bool) {
	if n.Scale != 0 || n.Coef < 0 || n.Coef > 1<<32 {
		return 0, 0, false
	}
	switch o {
	case tree.Eq:
		return n.Coef, n.Coef, true
	case tree.Lt:
		if n.Coef == 0 {
			return 1, 0, true
		}
		return 0, n.Coef - 1, true
	case tree.Le:
		return 0, n.Coef, true
	case tree.Gt:
		return n.Coef + 1, -1, true
	case tree.Ge:
		return n.Coef, -1, true
	}
	return 0, 0, false
}

// counted compiles a comparison with a counter; where edges do not decide, the condition p is evaluated.
func (c *compiler) counted(p tree.Pred, s tree.Step, w tree.Window, lo, hi int64) (node, error) {
	if !countable(w) || !c.isSteady(s) {
		return c.condition(p)
	}
	at, err := c.step(s)
	if err != nil {
		return node{}, err
	}
	k := c.counter(&counter{step: at, window: w, zone: c.zone})
	return node{op: opLeaf, leaf: k.limit(lo, hi)}, nil
}

// summed compiles a comparison with a sum; where edges do not decide, the condition p is evaluated.
func (c *compiler) summed(p tree.Pred, m *tree.Measure, o tree.Op, n tree.Number) (node, error) {
	s := tree.Step{Event: m.Event, Where: m.Where}
	if !countable(m.Window) || !c.isSteady(s) || !c.isSteady(tree.Step{Event: m.Event, Where: &tree.IsSet{X: m.Arg}}) {
		return c.condition(p)
	}
	at, err := c.step(s)
	if err != nil {
		return node{}, err
	}
	value, err := match.CompileValue(c.t.schema, c.zone, at.event, m.Arg)
	if err != nil {
		return node{}, err
	}
	k := c.counter(&counter{step: at, window: m.Window, zone: c.zone, amount: newAmount(c.t, at, m.Arg, value)})
	return node{op: opLeaf, leaf: k.limitSum(o, n)}, nil
}

// sequence compiles a sequence of two steps with a gap of fixed length as a counter of first steps. Any other
// sequence is evaluated.
func (c *compiler) sequence(p *tree.Sequence) (node, error) {
	if len(p.Steps) != 1 || p.Steps[0].Within == nil || !countable(p.Window) {
		return c.condition(p)
	}
	gap, fixed := p.Steps[0].Within.Millis()
	if !fixed || gap <= 0 || !c.isSteady(p.First) || !c.isSteady(p.Steps[0].Step) {
		return c.condition(p)
	}
	first, err := c.step(p.First)
	if err != nil {
		return node{}, err
	}
	second, err := c.step(p.Steps[0].Step)
	if err != nil {
		return node{}, err
	}
	k := c.counter(&counter{step: first, window: p.Window, zone: c.zone,
		then: &then{sequence: p, second: second, gap: gap, absent: p.Steps[0].Absent}})
	return node{op: opLeaf, leaf: k.limit(1, -1)}, nil
}

// isSteady reports whether the events that satisfy a step never change: not by time alone, nor by a name
// defined later, nor by the event of another step.
func (c *compiler) isSteady(s tree.Step) bool {
	w := walker{schema: c.t.schema}
	w.step(s, "")
	return w.err == nil && w.timing == steady && !w.unknown && !w.previous
}

// step prepares an event with its `where (…)`. It is registered when the first counter or condition uses it.
func (c *compiler) step(s tree.Step) (*step, error) {
	event, _ := c.t.schema.Event(s.Event)
	at := &step{event: event, name: s.Event, where: s.Where, key: strconv.Itoa(int(event)) + c.keyOf(s.Where)}
	if old := c.t.steps[at.key]; old != nil {
		return old, nil
	}
	at.equal = equalityOf(c.t.schema, event, s.Where)
	var err error
	at.test, err = match.CompileStep(c.t.schema, c.zone, event, s.Where)
	return at, err
}

// keyOf returns a key that distinguishes conditions on events; the zone is part of it because dates depend
// on it.
func (c *compiler) keyOf(where tree.Pred) string {
	if where == nil {
		return ""
	}
	return "\x00" + c.zone.String() + "\x00" + syntax.FormatPred(where)
}

// edge compiles `first did` and `last did` with rolling windows as counts. The latest event is in the last D
// exactly when any is; the first is when one is and none is older. Other forms are evaluated.
func (c *compiler) edge(p *tree.Edge) (node, error) {
	did := func(w tree.Window) tree.Pred { return &tree.Did{Step: p.Step, Window: w, At: p.At} }
	rolling := func(kind tree.WindowKind, d tree.Duration) tree.Window { return tree.Window{Kind: kind, Last: d} }
	w := p.Window
	if !countable(w) || !c.isSteady(p.Step) {
		return c.condition(p)
	}
	smaller, larger := w.Last, w.Other
	if a, _ := smaller.Millis(); w.Kind == tree.BetweenAgo {
		if b, _ := larger.Millis(); a > b {
			smaller, larger = larger, smaller
		}
	}
	var none tree.Window
	switch {
	case w.Kind == tree.Ever, w.Kind == tree.InLast && p.Last, w.Kind == tree.MoreThanAgo && !p.Last:
		return c.pred(did(w))
	case w.Kind == tree.MoreThanAgo:
		return c.pred(&tree.And{Args: []tree.Pred{did(w), &tree.Not{Arg: did(rolling(tree.InLast, w.Last))}}})
	case w.Kind == tree.InLast:
		none = rolling(tree.MoreThanAgo, w.Last)
	case w.Kind == tree.BetweenAgo && p.Last:
		none = rolling(tree.InLast, smaller)
	case w.Kind == tree.BetweenAgo:
		none = rolling(tree.MoreThanAgo, larger)
	default:
		return c.condition(p)
	}
	return c.pred(&tree.And{Args: []tree.Pred{did(w), &tree.Not{Arg: did(none)}}})
}

// condition compiles a leaf that is evaluated.
func (c *compiler) condition(p tree.Pred) (node, error) {
	d, err := dependsOn(c.t.schema, p)
	if err != nil {
		return node{}, err
	}
	key := c.zone.String() + "\x00" + syntax.FormatPred(p)
	for _, list := range d.lists { // a list recreated under its old name is a different list
		key += "\x00list" + strconv.Itoa(int(list))
	}
	if d.unknown {
		key += "\x00" + strconv.FormatUint(c.d.Catalog, 10)
	}
	x := c.t.conditions[key]
	if x == nil {
		id := c.t.freeID()
		if x, err = newCondition(c.t, id, key, p, c.zone); err != nil {
			c.t.free = append(c.t.free, id)
			return node{}, err
		}
		if err = c.followSteps(x); err != nil {
			return node{}, err
		}
		c.t.listen(x)
		x.awaitBoundary()
		if x.watches() {
			x.schedule.enqueue(c.t, x.id)
		}
	}
	c.t.usePart(c.s, x)
	return node{op: opLeaf, leaf: &x.leaf}, nil
}

// followSteps finds the steps whose events the condition must follow. Where the events that satisfy a step
// may change, it follows all events of the name.
func (c *compiler) followSteps(x *condition) error {
	for _, s := range x.deps.asked {
		if _, known := c.t.schema.Event(s.Event); !known {
			continue
		}
		if !c.isSteady(s) {
			s.Where = nil
		}
		at, err := c.step(s)
		if err != nil {
			return err
		}
		x.steps = with(x.steps, c.t.stepOf(at))
	}
	return nil
}

// usePart records that a segment uses a part.
func (t *Tracker) usePart(s *segment, p part) {
	for _, other := range s.parts {
		if other == p {
			return
		}
	}
	p.state().refs++
	s.parts = append(s.parts, p)
}

// counter returns the counter that k describes, registering k if there is none.
func (c *compiler) counter(k *counter) *counter {
	t := c.t
	k.window.At = tree.Span{}
	k.key = k.step.key + "\x00" + windowKey(k.window, k.zone)
	if k.amount != nil {
		k.key += "\x00sum " + k.zone.String() + syntax.FormatExpr(k.amount.arg)
	}
	if k.then != nil {
		k.key += fmt.Sprintf("\x00then %t %d %s", k.then.absent, k.then.gap, k.then.second.key)
	}
	if old := t.counters[k.key]; old != nil {
		t.usePart(c.s, old)
		return old
	}
	k.t, k.id, k.at = t, t.freeID(), t.rows.place(k.size())
	k.step = t.stepOf(k.step)
	k.step.counters = append(k.step.counters, k)
	if k.then != nil {
		k.then.second = t.stepOf(k.then.second)
		k.then.second.follows = append(k.then.second.follows, k)
	}
	k.setBounds()
	t.counters[k.key] = k
	t.byID[k.id] = k
	t.usePart(c.s, k)
	k.awaitBoundary()
	k.schedule.enqueue(t, k.id)
	return k
}

// windowKey returns equal keys for windows that mean the same.
func windowKey(w tree.Window, zone *time.Location) string {
	last, _ := w.Last.Millis()
	other, _ := w.Other.Millis()
	key := fmt.Sprintf("%d %d %d %d", w.Kind, min(last, other), max(last, other), w.Unit)
	switch w.Kind {
	case tree.On, tree.Between, tree.Since, tree.Before:
		from, to := calendar.Resolve(w, 0, zone)
		key += fmt.Sprintf(" %d %d", from, to)
	case tree.Today, tree.Yesterday, tree.This, tree.LastUnit:
		key += " " + zone.String()
	}
	return key
}

func (t *Tracker) freeID() uint32 {
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		return id
	}
	t.byID = append(t.byID, nil)
	return uint32(len(t.byID) - 1)
}
