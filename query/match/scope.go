package match

import (
	"time"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// scope is what a predicate is evaluated on: a profile at an instant and, in `where (…)`, one of its
// events and the event chosen for the step before.
type scope struct {
	m      *Matcher
	p      *Profile
	now    int64
	zone   *time.Location
	row    *row
	prev   *row
	ranked bool // measures without events are missing, not 0
}

func (s *scope) inside(r, prev *row) *scope {
	inner := *s
	inner.row, inner.prev, inner.ranked = r, prev, false
	return &inner
}

// always returns a verdict that time does not change.
func always(b bool) Verdict { return Verdict{b, calendar.Forever} }

// sooner returns the earlier of until and at, or until if at is not later than now.
func (s *scope) sooner(until, at int64) int64 {
	if at > s.now && at < until {
		return at
	}
	return until
}

// pred evaluates a predicate.
func (s *scope) pred(p tree.Pred) Verdict {
	switch p := p.(type) {
	case *tree.And:
		return s.all(p.Args, true)
	case *tree.Or:
		return s.all(p.Args, false)
	case *tree.Not:
		v := s.pred(p.Arg)
		return Verdict{!v.True, v.Until}
	case *tree.Everyone:
		return always(true)
	case *tree.Truth:
		v, until := s.expr(p.X)
		return Verdict{v.True(), until}
	case *tree.Compare:
		return s.compare(p)
	case *tree.In:
		return s.in(p)
	case *tree.Range:
		return s.between(p)
	case *tree.IsSet:
		v, until := s.expr(p.X)
		return Verdict{!v.Missing(), until}
	case *tree.Text:
		v, until := s.expr(p.X)
		return Verdict{v.Type == tree.StringType && s.m.texts[p](v.Str), until}
	case *tree.Has:
		v, until := s.expr(p.X)
		return Verdict{has(v, p), until}
	case *tree.InWindow:
		return s.inWindow(p)
	case *tree.Anniversary:
		v, until := s.expr(p.X)
		until = s.sooner(until, calendar.DayStart(calendar.DayOf(s.now, s.zone)+1, s.zone))
		days := calendar.NewAnniversaries(p.Window, s.now, s.zone)
		return Verdict{v.Type == tree.TimeType && days.Has(v.Int), until}
	}
	return s.profilePred(p)
}

// profilePred evaluates predicates that are only allowed on profiles, not on events.
func (s *scope) profilePred(p tree.Pred) Verdict {
	switch p := p.(type) {
	case *tree.Did:
		return s.did(p)
	case *tree.Edge:
		return s.edge(p)
	case *tree.Sequence:
		return s.sequence(p)
	case *tree.InSegment:
		if _, held := s.m.env.Inputs.Held(p.Name); held {
			n, _ := s.m.env.Inputs.OfHeld(p.Name)
			return always(s.p.inInput(n))
		}
		inner := *s
		inner.zone = s.m.zones[p.Def]
		return inner.pred(p.Def.Pred)
	case *tree.WasIn:
		return always(s.p.inInput(s.m.past[p]))
	case *tree.InList:
		return always(s.p.inList(p.Name))
	case *tree.InSample:
		return always(s.m.share[p].Has(s.p.src.ID(s.p.ordinal)))
	case *tree.Rank:
		return s.rank(p)
	}
	return always(false)
}

// all evaluates a conjunction or, without and, a disjunction. It evaluates all arguments, as each may
// bound Until.
func (s *scope) all(args []tree.Pred, and bool) Verdict {
	result := always(and)
	for _, arg := range args {
		v := s.pred(arg)
		result.Until = min(result.Until, v.Until)
		if v.True != and {
			result.True = !and
		}
	}
	return result
}

func (s *scope) compare(p *tree.Compare) Verdict {
	op, l, r := p.Op, p.L, p.R
	if when(l) != nil && when(r) == nil { // put the date on the right
		l, r = r, l
		op = op.Mirrored()
	}
	a, untilA := s.expr(l)
	if w := when(r); w != nil {
		from, to := calendar.Span(*w, s.zone)
		return Verdict{compareSpan(op, a, from, to), untilA}
	}
	b, untilB := s.expr(r)
	return Verdict{compareValues(op, a, b), min(untilA, untilB)}
}

func when(x tree.Expr) *tree.When {
	if l, ok := x.(*tree.Literal); ok {
		return l.When
	}
	return nil
}

// compareSpan compares a time with a date or instant, which is the range [from, to).
func compareSpan(op tree.Op, v tree.Value, from, to int64) bool {
	is := v.Type == tree.TimeType
	switch op {
	case tree.Eq:
		return is && from <= v.Int && v.Int < to
	case tree.Ne:
		return !is || v.Int < from || v.Int >= to
	case tree.Lt:
		return is && v.Int < from
	case tree.Le:
		return is && v.Int < to
	case tree.Gt:
		return is && v.Int >= to
	}
	return is && v.Int >= from
}

func compareValues(op tree.Op, a, b tree.Value) bool {
	if a.Missing() || b.Missing() || a.Type != b.Type {
		return op == tree.Ne
	}
	return op.Holds(a.Compare(b))
}

func (s *scope) in(p *tree.In) Verdict {
	v, until := s.expr(p.X)
	for _, l := range p.Values {
		if l.When != nil {
			if from, to := calendar.Span(*l.When, s.zone); compareSpan(tree.Eq, v, from, to) {
				return Verdict{true, until}
			}
		} else if compareValues(tree.Eq, v, l.Value) {
			return Verdict{true, until}
		}
	}
	return Verdict{false, until}
}

func (s *scope) between(p *tree.Range) Verdict {
	lower := s.compare(&tree.Compare{Op: tree.Ge, L: p.X, R: p.Lo})
	upper := s.compare(&tree.Compare{Op: tree.Le, L: p.X, R: p.Hi})
	return Verdict{lower.True && upper.True, min(lower.Until, upper.Until)}
}

func has(v tree.Value, p *tree.Has) bool {
	if v.Type != tree.ListType {
		return false
	}
	holds := func(want tree.Value) bool {
		for _, item := range v.List {
			if item.Equal(want) {
				return true
			}
		}
		return false
	}
	for _, l := range p.Values {
		if holds(l.Value) != (p.Which == tree.HasAll) {
			return p.Which != tree.HasAll
		}
	}
	return p.Which == tree.HasAll
}

// inWindow tests a time against a window. Unlike a window on events, it is not cut at now.
func (s *scope) inWindow(p *tree.InWindow) Verdict {
	v, until := s.expr(p.X)
	if v.Type != tree.TimeType {
		return Verdict{false, until}
	}
	from, to := calendar.Resolve(p.Window, s.now, s.zone)
	return Verdict{from <= v.Int && v.Int < to, min(until, s.edgeOf(p.Window, v.Int))}
}

func (s *scope) rank(p *tree.Rank) Verdict {
	inner := *s
	inner.ranked = true
	v, until := inner.expr(p.By)
	cut := s.m.env.Cuts[p]
	var n tree.Number
	switch {
	case cut.None:
		return Verdict{false, until}
	case v.Type == tree.NumberType:
		n = v.Number()
	case v.Type == tree.TimeType:
		n = tree.Int(v.Int)
	default:
		return Verdict{false, until}
	}
	c := n.Compare(cut.Last.Value)
	if p.Bottom {
		c = -c
	}
	return Verdict{c > 0 || c == 0 && s.p.src.ID(s.p.ordinal) <= cut.Last.ID, until}
}
