package querytest

import (
	"math"

	"github.com/musterdb/muster/query/tree"
)

// ofProfile draws a predicate about events, segments, lists, samples or ranks.
func (g *Gen) ofProfile() tree.Pred {
	switch g.rng.IntN(10) {
	case 0:
		return &tree.Edge{Last: g.rng.IntN(2) == 0, Step: g.step(""), Window: g.window(false)}
	case 1, 2:
		return g.sequence()
	case 3:
		return g.membership()
	case 4:
		if !g.inner {
			return g.rank()
		}
	}
	did := &tree.Did{Step: g.step(""), Window: g.window(false)}
	if g.rng.IntN(2) == 0 {
		did.Count = g.count()
	}
	if g.rng.IntN(4) == 0 {
		return &tree.Not{Arg: did}
	}
	return did
}

func (g *Gen) count() *tree.Count {
	c := &tree.Count{Form: pick(g, tree.Exactly, tree.AtLeast, tree.AtMost, tree.MoreThan, tree.FewerThan, tree.BetweenTimes), Lo: g.rng.Int64N(4)}
	if c.Form == tree.BetweenTimes {
		c.Hi = c.Lo + g.rng.Int64N(3)
	}
	if g.rng.IntN(20) == 0 {
		most := pick(g, int64(254), 255, 256, 65535, 1<<32-1, 1<<32, 1<<40, math.MaxInt64-1, math.MaxInt64)
		if c.Form != tree.BetweenTimes {
			c.Lo = most
		} else {
			c.Hi = most
		}
	}
	return c
}

// step draws an event of the history, sometimes with a condition. previous is the event before it in a
// sequence.
func (g *Gen) step(previous string) tree.Step {
	s := tree.Step{Event: pick(g, sortedKeys(g.types.Events)...)}
	if g.rng.IntN(3) == 0 || previous != "" && g.rng.IntN(2) == 0 {
		s.Where = g.pred(g.rng.IntN(2), place{event: s.Event, previous: previous})
	}
	return s
}

// sequence draws a sequence of up to four steps, sometimes with `then not` and `previous.`.
func (g *Gen) sequence() *tree.Sequence {
	q := &tree.Sequence{First: g.step(""), Window: g.window(false)}
	chosen, bound := q.First.Event, g.rng.IntN(4) > 0
	for range 1 + g.rng.IntN(3) {
		step := tree.SeqStep{Step: g.step(chosen)}
		if bound {
			gap := pick(g, durations[:9]...)
			if g.rng.IntN(4) == 0 {
				gap = tree.Duration{N: pick(g, int64(1), 60, 300), Unit: pick(g, tree.Day, tree.Hour)}
			}
			step.Within, step.Absent = &gap, g.rng.IntN(3) == 0
		}
		if !step.Absent {
			chosen = step.Step.Event
		}
		q.Steps = append(q.Steps, step)
	}
	return q
}

func (g *Gen) membership() tree.Pred {
	switch g.rng.IntN(4) {
	case 0:
		if !g.inner {
			return &tree.InSegment{Name: pick(g, g.History.Segments...).Name}
		}
	case 1:
		if len(g.History.Lists) > 0 {
			return &tree.InList{Name: pick(g, sortedKeys(g.History.Lists)...)}
		}
	case 2:
		return &tree.Everyone{}
	}
	cut := pick(g, "0", "10", "33.3", "50", "75", "99.999999")
	s := &tree.InSample{Name: pick(g, "exp-7", "Ω"), To: num(cut).Number()}
	if g.rng.IntN(2) == 0 {
		s.From, s.To = s.To, num("100").Number()
	}
	return s
}

// rank draws a rank by an attribute, a measure, or arithmetic on a measure.
func (g *Gen) rank() *tree.Rank {
	r := &tree.Rank{Bottom: g.rng.IntN(2) == 0, N: num(pick(g, "0", "1", "2", "5", "100")).Number()}
	if g.rng.IntN(2) == 0 {
		r.Percent, r.N = true, num(pick(g, "0", "0.1", "10", "33.3", "50", "100")).Number()
	}
	switch g.rng.IntN(3) {
	case 0:
		r.By = g.name(place{}, pick(g, tree.NumberType, tree.NumberType, tree.TimeType))
	case 1:
		r.By = g.measure(pick(g, tree.NumberType, tree.NumberType, tree.TimeType))
	default:
		r.By = &tree.Arith{Op: pick(g, tree.MulOp, tree.DivOp), L: g.measure(tree.NumberType), R: &tree.Literal{Value: num("3")}}
	}
	return r
}

// measure draws an event measure whose value has type t, or any type if t is NoType.
func (g *Gen) measure(t tree.Type) tree.Expr {
	m := &tree.Measure{Event: pick(g, sortedKeys(g.types.Events)...), Window: g.window(false)}
	if g.rng.IntN(3) == 0 {
		m.Where = g.pred(g.rng.IntN(2), place{event: m.Event})
	}
	at := place{event: m.Event}
	if t == tree.NoType {
		t = pick(g, tree.NumberType, tree.StringType, tree.TimeType)
	}
	if t == tree.NumberType {
		m.Fn = pick(g, tree.CountFn, tree.DaysFn, tree.DistinctFn, tree.SumFn, tree.SumFn, tree.AvgFn, tree.MinFn, tree.MaxFn,
			tree.FirstFn, tree.LastFn, tree.FavoriteFn)
		switch m.Fn {
		case tree.CountFn, tree.DaysFn:
			return m
		case tree.DistinctFn:
			t = pick(g, tree.NumberType, tree.StringType, tree.BoolType, tree.TimeType)
		}
		m.Arg = g.ofType(at, t)
	} else {
		m.Fn = pick(g, tree.FirstFn, tree.LastFn, tree.FavoriteFn)
		if t == tree.TimeType {
			m.Fn = pick(g, m.Fn, tree.MinFn, tree.MaxFn)
		}
		m.Arg = g.ofType(at, t)
	}
	for m.Arg == nil { // the event has no such property, so take one with properties of all types
		m.Event, m.Where = eventNames[0], nil
		m.Arg = g.ofType(place{event: m.Event}, t)
	}
	return m
}
