package match

import (
	"fmt"
	"strconv"
	"time"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// Clause is the verdict of one condition, with its text, the facts it is based on and the conditions it
// consists of. Flips is the instant at which the passing of time alone changes the verdict,
// calendar.Forever if never. Flips is exact, unless Bounded is set: then it is a lower bound.
type Clause struct {
	Text    string
	True    bool
	Facts   string
	Flips   int64
	Bounded bool
	Args    []Clause
}

// flipSteps bounds the number of instants tried to find the Flips of one clause.
const flipSteps = 256

// Explain returns the verdicts of the predicate and of all its parts at now.
func (m *Matcher) Explain(p *Profile, now int64) Clause {
	return m.explain(m.scope(p, now), m.pred)
}

func (m *Matcher) explain(s *scope, p tree.Pred) Clause {
	c := Clause{Text: syntax.FormatPred(p), True: s.pred(p).True, Facts: s.facts(p)}
	at, exact := s.flip(p)
	c.Flips, c.Bounded = at, !exact
	switch p := p.(type) {
	case *tree.And:
		c.Args = m.explainAll(s, p.Args)
	case *tree.Or:
		c.Args = m.explainAll(s, p.Args)
	case *tree.Not:
		if composed(p.Arg) {
			c.Args = m.explainAll(s, []tree.Pred{p.Arg})
		}
	case *tree.InSegment:
		inner := *s
		inner.zone = m.zones[p.Def]
		c.Args = m.explainAll(&inner, []tree.Pred{p.Def.Pred})
	}
	return c
}

func (m *Matcher) explainAll(s *scope, preds []tree.Pred) []Clause {
	clauses := make([]Clause, len(preds))
	for i, p := range preds {
		clauses[i] = m.explain(s, p)
	}
	return clauses
}

func composed(p tree.Pred) bool {
	switch p.(type) {
	case *tree.And, *tree.Or, *tree.InSegment:
		return true
	}
	return false
}

// flip finds the instant at which the passing of time changes the verdict of a predicate. If exact is
// false, the verdict does not change before at.
func (s *scope) flip(p tree.Pred) (at int64, exact bool) {
	first := s.pred(p)
	at = first.Until
	later := *s
	for range flipSteps {
		if at == calendar.Forever {
			return at, true
		}
		later.now = at
		next := later.pred(p)
		if next.True != first.True {
			return at, true
		}
		at = next.Until
	}
	return at, false
}

// facts describes in a few words what a verdict is based on.
func (s *scope) facts(p tree.Pred) string {
	switch p := p.(type) {
	case *tree.Not:
		return s.facts(p.Arg)
	case *tree.Truth:
		return s.fact(p.X)
	case *tree.Compare:
		return joined(s.fact(p.L), s.fact(p.R))
	case *tree.In:
		return s.fact(p.X)
	case *tree.Range:
		return s.fact(p.X)
	case *tree.IsSet:
		return s.fact(p.X)
	case *tree.Text:
		return s.fact(p.X)
	case *tree.Has:
		return s.fact(p.X)
	case *tree.InWindow:
		return s.fact(p.X)
	case *tree.Anniversary:
		return s.fact(p.X)
	case *tree.Did:
		rows, _ := s.chosen(p.Step, p.Window)
		return s.seenAt(rows)
	case *tree.Edge:
		rows, _ := s.chosen(p.Step, tree.Window{})
		return s.seenAt(rows)
	case *tree.Sequence:
		rows, _ := s.chosen(p.First, p.Window)
		return "first step: " + s.seenAt(rows)
	case *tree.Rank:
		return s.fact(p.By)
	case *tree.InSegment:
		if _, held := s.m.env.Inputs.Held(p.Name); held {
			return "membership as of the last refresh; its conditions are evaluated now"
		}
	case *tree.WasIn:
		at, _ := calendar.Span(p.At, s.m.env.Zone)
		return "membership at " + s.instant(at)
	}
	return ""
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// fact describes the value of an expression; it is empty for a literal.
func (s *scope) fact(x tree.Expr) string {
	if _, literal := x.(*tree.Literal); literal {
		return ""
	}
	v, _ := s.expr(x)
	shown := text(v)
	switch v.Type {
	case tree.NoType:
		shown = "not set"
	case tree.StringType:
		shown = strconv.Quote(v.Str)
	case tree.TimeType:
		shown = s.instant(v.Int)
	}
	return syntax.FormatExpr(x) + " is " + shown
}

func (s *scope) seenAt(rows []row) string {
	switch len(rows) {
	case 0:
		return "no such event"
	case 1:
		return "1 event, at " + s.instant(rows[0].at)
	}
	return fmt.Sprintf("%d events, the first at %s, the latest at %s", len(rows), s.instant(rows[0].at), s.instant(rows[len(rows)-1].at))
}

func (s *scope) instant(ms int64) string {
	return time.UnixMilli(ms).In(s.zone).Format("2006-01-02T15:04:05.999Z07:00")
}

// text formats a value. Equal values of one type have the same text.
func text(v tree.Value) string {
	switch v.Type {
	case tree.NumberType:
		return v.Number().String()
	case tree.StringType:
		return v.Str
	case tree.BoolType:
		return strconv.FormatBool(v.Int == 1)
	case tree.ListType:
		all := "["
		for i, item := range v.List {
			if i > 0 {
				all += ", "
			}
			all += text(item)
		}
		return all + "]"
	}
	return strconv.FormatInt(v.Int, 10)
}
