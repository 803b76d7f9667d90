package check

import (
	"fmt"

	"github.com/musterdb/muster/query/tree"
)

func (c *checker) stmt(s tree.Stmt) tree.Stmt {
	switch s := s.(type) {
	case *tree.CountStmt:
		out := *s
		out.Where, out.By = c.where(s.Where, place{}), c.dimensions(s.By)
		return &out
	case *tree.ListStmt:
		return c.list(s)
	case *tree.StatsStmt:
		return c.stats(s)
	case *tree.TrendStmt:
		return c.trend(s)
	case *tree.FunnelStmt:
		out := *s
		out.Steps = make([]tree.Step, len(s.Steps))
		for i, step := range s.Steps {
			out.Steps[i], _ = c.step(step, nil)
		}
		if _, ok := s.Within.Millis(); !ok {
			c.errorf(tree.CodeBadWindow, tree.Span{}, "write it in days", "within needs a fixed length, but months and years have none")
		}
		out.Window = c.window(s.Window, false)
		out.Where, out.By = c.where(s.Where, place{}), c.dimensions(s.By)
		return &out
	case *tree.RetentionStmt:
		out := *s
		out.First, _ = c.step(s.First, nil)
		out.Then, _ = c.step(s.Then, nil)
		out.Window = c.window(s.Window, false)
		out.Where = c.where(s.Where, place{})
		return &out
	case *tree.OverlapStmt:
		return &tree.OverlapStmt{Preds: c.preds(s.Preds, place{}), Texts: s.Texts}
	case *tree.InsightsStmt:
		return &tree.InsightsStmt{Where: c.where(s.Where, place{}), Against: c.where(s.Against, place{})}
	case *tree.LookalikeStmt:
		return &tree.LookalikeStmt{Of: c.where(s.Of, place{}), Top: s.Top, Among: c.where(s.Among, place{})}
	case *tree.RFMStmt:
		return c.rfm(s)
	case *tree.ExplainStmt:
		return &tree.ExplainStmt{Analyze: s.Analyze, Stmt: c.stmt(s.Stmt)}
	case *tree.WhyStmt:
		out := *s
		out.Where = c.where(s.Where, place{})
		return &out
	case *tree.CreateStmt:
		return c.create(s)
	case *tree.DropStmt:
		out := *s
		return &out
	case *tree.ShowStmt:
		out := *s
		return &out
	case *tree.DescribeStmt:
		out := *s
		return &out
	}
	c.errorf(tree.CodeSyntax, tree.Span{}, "", "statement %T is not known", s)
	return s
}

// create checks a new segment: it must not refer to itself, and its names must be known.
func (c *checker) create(s *tree.CreateStmt) tree.Stmt {
	out := *s
	c.strict = !s.AllowUnknown
	c.stack = append(c.stack, s.Segment.Name)
	out.Segment.Pred = c.pred(s.Segment.Pred, place{})
	c.stack = c.stack[:len(c.stack)-1]
	return &out
}

func (c *checker) list(s *tree.ListStmt) tree.Stmt {
	out := *s
	out.Columns = make([]tree.Column, 0, len(s.Columns))
	named := map[string]bool{}
	for _, col := range s.Columns {
		if name, ok := col.X.(*tree.Name); ok && name.Name == "user_id" && col.As == "" {
			continue // every list begins with this column
		}
		col.X, _ = c.expr(col.X, place{})
		out.Columns = append(out.Columns, col)
		named[col.As] = true
	}
	out.Where = c.where(s.Where, place{})
	out.Order = make([]tree.Order, len(s.Order))
	for i, o := range s.Order {
		out.Order[i] = o
		if n, ok := o.X.(*tree.Name); !ok || !named[n.Name] {
			x, t := c.expr(o.X, place{})
			out.Order[i].X = x
			if t == tree.ListType {
				c.errorf(tree.CodeTypeMismatch, tree.SpanOf(o.X), "", "%s is a list, and lists cannot be ordered", title(o.X))
			}
		}
	}
	return &out
}

func (c *checker) stats(s *tree.StatsStmt) tree.Stmt {
	out := *s
	out.Columns = make([]tree.Column, len(s.Columns))
	for i, col := range s.Columns {
		out.Columns[i] = col
		out.Columns[i].X = c.statistic(col.X)
	}
	out.Where, out.By = c.where(s.Where, place{}), c.dimensions(s.By)
	return &out
}

// statistic checks a column of stats: a measure over the members or over their events, or arithmetic on
// such measures.
func (c *checker) statistic(x tree.Expr) tree.Expr {
	switch x := x.(type) {
	case *tree.Arith:
		return &tree.Arith{Op: x.Op, L: c.statistic(x.L), R: c.statistic(x.R)}
	case *tree.Literal:
		if x.Value.Type != tree.NumberType {
			c.errorf(tree.CodeTypeMismatch, x.At, "", "%s takes measures and numbers", "stats")
		}
		return x
	case *tree.Measure:
		if x.Fn == tree.FirstFn || x.Fn == tree.LastFn || x.Fn == tree.FavoriteFn {
			c.errorf(tree.CodeBadMeasure, x.At, "break down by it:  count by "+title(x), "%s is not for stats: it is a value of one profile", x.Fn)
		}
		if x.Event != "" {
			m, _ := c.measure(x)
			return m
		}
		out := *x
		if x.Fn == tree.DaysFn {
			c.errorf(tree.CodeBadMeasure, x.At, `name the event:  days of "App Opened"`, "days needs an event")
			return &out
		}
		if x.Fn == tree.PercentileFn && (x.Percent.Compare(tree.Int(0)) < 0 || x.Percent.Compare(tree.Int(100)) > 0) {
			c.errorf(tree.CodeBadMeasure, x.At, "write  percentile(ltv, 95)", "a percentile must be between 0 and 100")
		}
		c.argument(&out, x.Arg, place{})
		return &out
	}
	c.errorf(tree.CodeBadMeasure, tree.SpanOf(x), fmt.Sprintf("write  avg(%s)", title(x)), "stats takes measures")
	return x
}

func (c *checker) trend(s *tree.TrendStmt) tree.Stmt {
	out := *s
	var event *eventRef
	out.Step, event = c.step(s.Step, nil)
	out.Window = c.window(s.Window, false)
	if s.Of != nil {
		of := *s.Of
		switch of.Fn {
		case tree.CountFn, tree.SumFn, tree.AvgFn, tree.MinFn, tree.MaxFn, tree.DistinctFn:
			c.argument(&of, s.Of.Arg, place{event: event})
		default:
			c.errorf(tree.CodeBadMeasure, of.At, "use count, users, sum, avg, min, max or distinct", "%s is not for trend", of.Fn)
		}
		out.Of = &of
	}
	out.Where, out.By = c.where(s.Where, place{}), c.dimensions(s.By)
	return &out
}

func (c *checker) rfm(s *tree.RFMStmt) tree.Stmt {
	out := *s
	var event *eventRef
	out.Step, event = c.step(s.Step, nil)
	out.Window = c.window(s.Window, false)
	x, t := c.expr(s.Amount, place{event: event})
	if t != tree.NumberType && t != tree.NoType {
		c.errorf(tree.CodeTypeMismatch, tree.SpanOf(s.Amount), "", "rfm needs a number, but %s is %s", title(s.Amount), article(t))
	}
	out.Amount, out.Where = x, c.where(s.Where, place{})
	return &out
}

func (c *checker) dimensions(by []tree.Dimension) []tree.Dimension {
	if by == nil {
		return nil
	}
	out := make([]tree.Dimension, len(by))
	for i, d := range by {
		out[i] = c.dimension(d)
	}
	return out
}

func (c *checker) dimension(d tree.Dimension) tree.Dimension {
	switch {
	case d.Segment != nil:
		segment := *d.Segment
		segment.Def = c.segment(segment.Name, segment.At)
		d.Segment = &segment
	case d.Measure != nil:
		switch d.Measure.Fn {
		case tree.FirstFn, tree.LastFn, tree.FavoriteFn:
		default:
			c.errorf(tree.CodeBadMeasure, d.Measure.At, "use first, last or favorite", "%s is not for by", d.Measure.Fn)
		}
		d.Measure, _ = c.measure(d.Measure)
	case d.Name != nil:
		var t tree.Type
		d.Name, t = c.name(d.Name, place{})
		switch {
		case d.Step != nil && d.Step.Compare(tree.Int(0)) <= 0:
			c.errorf(tree.CodeBadSteps, d.At, "write  age in steps of 10", "steps must be larger than 0")
		case d.Step != nil && t != tree.NumberType && t != tree.NoType:
			c.errorf(tree.CodeTypeMismatch, d.Name.At, "", "steps need a number, but %s is %s", title(d.Name), article(t))
		case d.Unit != tree.NoUnit && t != tree.TimeType && t != tree.NoType:
			c.errorf(tree.CodeTypeMismatch, d.Name.At, "", "%s(…) needs a time, but %s is %s", d.Unit, title(d.Name), article(t))
		}
	}
	return d
}
