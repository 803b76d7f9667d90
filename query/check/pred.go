package check

import (
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// pred checks a predicate over profiles, or over events if in has an event.
func (c *checker) pred(p tree.Pred, in place) tree.Pred {
	c.countPart()
	switch p := p.(type) {
	case nil:
		return nil
	case *tree.And:
		return &tree.And{Args: c.preds(p.Args, in)}
	case *tree.Or:
		return &tree.Or{Args: c.preds(p.Args, in)}
	case *tree.Not:
		return &tree.Not{Arg: c.pred(p.Arg, in)}
	case *tree.Truth:
		x, t := c.name(p.X, in)
		if t != tree.BoolType && t != tree.NoType {
			c.errorf(tree.CodeTypeMismatch, p.X.At, fmt.Sprintf("compare it, or write  %s is set", title(p.X)),
				"%s is %s, which is neither true nor false", title(p.X), article(t))
		}
		return &tree.Truth{X: x}
	case *tree.Compare:
		return c.compare(p, in)
	case *tree.In:
		return c.in(p, in)
	case *tree.Range:
		return c.between(p, in)
	case *tree.IsSet:
		out := *p
		out.X, _ = c.expr(p.X, in)
		return &out
	case *tree.Text:
		return c.text(p, in)
	case *tree.Has:
		return c.has(p, in)
	case *tree.InWindow:
		out := *p
		out.X = c.time(p.X, "a window", in)
		out.Window = c.window(p.Window, true)
		return &out
	case *tree.Anniversary:
		out := *p
		out.X = c.time(p.X, "is anniversary", in)
		c.anniversary(p)
		return &out
	}
	return c.profilePred(p, in)
}

func (c *checker) preds(args []tree.Pred, in place) []tree.Pred {
	out := make([]tree.Pred, len(args))
	for i, arg := range args {
		out[i] = c.pred(arg, in)
	}
	return out
}

// profilePred checks a predicate that is about a whole profile. An event's condition cannot contain one.
func (c *checker) profilePred(p tree.Pred, in place) tree.Pred {
	if in.event != nil {
		c.errorf(tree.CodeBadCondition, predSpan(p), "close the parenthesis before it",
			"only properties of %q can be used inside where (…)", in.event.name)
		return p
	}
	switch p := p.(type) {
	case *tree.Everyone:
		return p
	case *tree.Did:
		return c.did(p)
	case *tree.Edge:
		out := *p
		out.Step, _ = c.step(p.Step, nil)
		out.Window = c.window(p.Window, false)
		return &out
	case *tree.Sequence:
		return c.sequence(p)
	case *tree.InSegment:
		out := *p
		out.Def = c.segment(p.Name, p.At)
		return &out
	case *tree.WasIn:
		return c.wasIn(p)
	case *tree.InList:
		if _, ok := c.schema.List(p.Name); !ok {
			c.fail(tree.Diagnostic{
				Code: tree.CodeUnknownList, Message: fmt.Sprintf("there is no list %q", p.Name), At: p.At,
				Suggestions: c.suggest(query.ListName, "", p.Name),
			})
		}
		return p
	case *tree.InSample:
		c.sample(p)
		return p
	case *tree.Rank:
		return c.rank(p)
	}
	c.errorf(tree.CodeSyntax, tree.Span{}, "", "predicate %T is not known", p)
	return p
}

// wasIn checks a past membership. It does not depend on the current definition of the segment. A saved
// segment must not contain one, because membership changes are kept for a limited time and a segment
// forever. So saving a segment replaces it by a list.
func (c *checker) wasIn(p *tree.WasIn) tree.Pred {
	if c.inside != nil {
		c.errorf(tree.CodeNotSupported, p.Pos, "save it again", "it uses was in segment, but the members at that time were not kept")
	}
	if _, ok := c.schema.Segment(p.Name); !ok {
		c.unknownSegment(p.Name, p.Pos)
	}
	return p
}

func (c *checker) compare(p *tree.Compare, in place) tree.Pred {
	out := *p
	var l, r side
	l.x, l.t = c.expr(p.L, in)
	c.rightSide(p.R, in)
	r.x, r.t = c.expr(p.R, in)
	c.unify(&l, &r, spanOr(p.At, p.R))
	out.L, out.R = l.x, r.x
	if isWhen(out.L) && isWhen(out.R) {
		c.errorf(tree.CodeTypeMismatch, p.At, "compare with a time attribute", "both sides are fixed times")
	}
	return &out
}

func isWhen(x tree.Expr) bool {
	lit, ok := x.(*tree.Literal)
	return ok && lit.When != nil
}

func spanOr(at tree.Span, x tree.Expr) tree.Span {
	if at.Length > 0 {
		return at
	}
	return tree.SpanOf(x)
}

func (c *checker) in(p *tree.In, in place) tree.Pred {
	out := *p
	l := side{}
	l.x, l.t = c.expr(p.X, in)
	out.X = l.x
	out.Values = make([]*tree.Literal, len(p.Values))
	for i, v := range p.Values {
		var r side
		r.x, r.t = c.expr(v, in)
		c.unify(&l, &r, spanOr(v.At, p.X))
		out.Values[i], _ = r.x.(*tree.Literal)
	}
	return &out
}

// between checks a range. A range between two times becomes a window.
func (c *checker) between(p *tree.Range, in place) tree.Pred {
	out := *p
	var x, lo, hi side
	x.x, x.t = c.expr(p.X, in)
	c.rightSide(p.Lo, in)
	c.rightSide(p.Hi, in)
	lo.x, lo.t = c.expr(p.Lo, in)
	hi.x, hi.t = c.expr(p.Hi, in)
	c.unify(&x, &lo, spanOr(p.At, p.Lo))
	c.unify(&x, &hi, spanOr(p.At, p.Hi))
	out.X, out.Lo, out.Hi = x.x, lo.x, hi.x
	l, okL := lo.x.(*tree.Literal)
	h, okH := hi.x.(*tree.Literal)
	switch {
	case !okL || !okH:
	case l.When != nil && h.When != nil:
		w := tree.Window{Kind: tree.Between, From: *l.When, To: *h.When, At: p.At}
		return &tree.InWindow{X: out.X, Window: c.window(w, true), At: p.At}
	case l.Value.Type == h.Value.Type && h.Value.Compare(l.Value) < 0:
		c.errorf(tree.CodeBadRange, p.At, "exchange the two ends", "between needs its lower end first")
	}
	return &out
}

func (c *checker) text(p *tree.Text, in place) tree.Pred {
	out := *p
	x, t := c.expr(p.X, in)
	out.X = x
	form := [...]string{"contains", "starts with", "ends with", "matches"}[p.Op]
	switch t {
	case tree.StringType, tree.NoType:
	case tree.ListType:
		c.errorf(tree.CodeTypeMismatch, spanOr(p.At, p.X), fmt.Sprintf("%s has %q", title(p.X), p.Pattern),
			"%s is a list, but %s is for strings", title(p.X), form)
	default:
		c.errorf(tree.CodeTypeMismatch, spanOr(p.At, p.X), "compare it with =, < or >",
			"%s is %s, but %s is for strings", title(p.X), article(t), form)
	}
	if p.Op == tree.Matches && !c.countPattern(p) {
		return &out
	}
	if _, err := values.NewMatcher(p.Op, p.Pattern, p.Fold); err != nil {
		c.errorf(tree.CodeBadPattern, p.At, "use RE2 syntax; a backslash escapes a special character",
			"%q is not a regular expression: %v", p.Pattern, err)
	}
	return &out
}

func (c *checker) has(p *tree.Has, in place) tree.Pred {
	out := *p
	x, t := c.expr(p.X, in)
	out.X = x
	switch t {
	case tree.ListType, tree.NoType:
	case tree.StringType:
		c.errorf(tree.CodeTypeMismatch, spanOr(p.At, p.X), fmt.Sprintf("use  %s =  or  %s contains", title(p.X), title(p.X)),
			"%s is a string, but has is for lists", title(p.X))
	default:
		c.errorf(tree.CodeTypeMismatch, spanOr(p.At, p.X), "compare it with =, < or >", "%s is %s, but has is for lists", title(p.X), article(t))
	}
	for _, v := range p.Values {
		if v.When != nil {
			c.errorf(tree.CodeTypeMismatch, v.At, "put it in quotes if the list holds strings", "lists hold strings, numbers and booleans, but this is a time")
		}
	}
	return &out
}

// time checks an expression that must be a time.
func (c *checker) time(x tree.Expr, form string, in place) tree.Expr {
	out, t := c.expr(x, in)
	if t != tree.TimeType && t != tree.NoType {
		c.errorf(tree.CodeTypeMismatch, tree.SpanOf(x), "", "%s is %s, but %s is for times", title(x), article(t), form)
	}
	return out
}

func (c *checker) sample(p *tree.InSample) {
	zero, hundred := tree.Int(0), tree.Int(100)
	switch {
	case p.From.Compare(zero) < 0 || p.To.Compare(hundred) > 0:
		c.errorf(tree.CodeBadSample, p.At, `write  in sample "name" 0% to 10%`, "a sample must be between 0%% and 100%%")
	case p.To.Compare(p.From) < 0:
		c.errorf(tree.CodeBadSample, p.At, "exchange the two ends", "a sample needs its lower end first")
	}
}

func (c *checker) rank(p *tree.Rank) tree.Pred {
	out := *p
	x, t := c.expr(p.By, place{})
	out.By = x
	if t != tree.NumberType && t != tree.TimeType && t != tree.NoType {
		c.errorf(tree.CodeTypeMismatch, tree.SpanOf(p.By), "", "a rank must be by a number or a time, but %s is %s", title(p.By), article(t))
	}
	n, whole := p.N.Int64()
	switch {
	case p.Percent && (p.N.Compare(tree.Int(0)) < 0 || p.N.Compare(tree.Int(100)) > 0):
		c.errorf(tree.CodeBadRank, p.At, "write  in top 10% by ltv", "%s%% is not between 0%% and 100%%", p.N)
	case !p.Percent && (!whole || n < 0):
		c.errorf(tree.CodeBadRank, p.At, "write  in top 1000 by ltv", "%s is not a number of profiles", p.N)
	}
	return &out
}

// predSpan returns the span of a predicate over profiles.
func predSpan(p tree.Pred) tree.Span {
	switch p := p.(type) {
	case *tree.Everyone:
		return p.At
	case *tree.Did:
		return p.At
	case *tree.Edge:
		return p.At
	case *tree.Sequence:
		return p.At
	case *tree.InSegment:
		return p.At
	case *tree.WasIn:
		return p.Pos
	case *tree.InList:
		return p.At
	case *tree.InSample:
		return p.At
	case *tree.Rank:
		return p.At
	}
	return tree.Span{}
}
