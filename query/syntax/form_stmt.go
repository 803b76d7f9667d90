package syntax

import (
	"fmt"

	"github.com/musterdb/muster/query/tree"
)

func (f *form) query(q *tree.Query) {
	f.nested("statement", func(f *form) { f.stmtBody(&q.Stmt) })
	if !f.absent("as_of", q.AsOf == nil) {
		if q.AsOf == nil {
			q.AsOf = &tree.When{}
		}
		f.when("as_of", q.AsOf)
	}
	f.optionalText("timezone", &q.Zone)
}

func newStmt(kind string) tree.Stmt {
	switch kind {
	case "count":
		return &tree.CountStmt{}
	case "list":
		return &tree.ListStmt{}
	case "stats":
		return &tree.StatsStmt{}
	case "trend":
		return &tree.TrendStmt{}
	case "funnel":
		return &tree.FunnelStmt{}
	case "retention":
		return &tree.RetentionStmt{}
	case "overlap":
		return &tree.OverlapStmt{}
	case "insights":
		return &tree.InsightsStmt{}
	case "lookalike":
		return &tree.LookalikeStmt{}
	case "rfm":
		return &tree.RFMStmt{}
	case "explain":
		return &tree.ExplainStmt{}
	case "why":
		return &tree.WhyStmt{}
	case "create_segment":
		return &tree.CreateStmt{}
	case "drop_segment":
		return &tree.DropStmt{}
	case "show":
		return &tree.ShowStmt{}
	case "describe":
		return &tree.DescribeStmt{}
	}
	return nil
}

func stmtKind(s tree.Stmt) string {
	switch s.(type) {
	case *tree.CountStmt:
		return "count"
	case *tree.ListStmt:
		return "list"
	case *tree.StatsStmt:
		return "stats"
	case *tree.TrendStmt:
		return "trend"
	case *tree.FunnelStmt:
		return "funnel"
	case *tree.RetentionStmt:
		return "retention"
	case *tree.OverlapStmt:
		return "overlap"
	case *tree.InsightsStmt:
		return "insights"
	case *tree.LookalikeStmt:
		return "lookalike"
	case *tree.RFMStmt:
		return "rfm"
	case *tree.ExplainStmt:
		return "explain"
	case *tree.WhyStmt:
		return "why"
	case *tree.CreateStmt:
		return "create_segment"
	case *tree.DropStmt:
		return "drop_segment"
	case *tree.ShowStmt:
		return "show"
	case *tree.DescribeStmt:
		return "describe"
	}
	return ""
}

func (f *form) stmtBody(s *tree.Stmt) {
	kind := f.kind(stmtKind(*s))
	if f.reading {
		if *s = newStmt(kind); *s == nil {
			f.wrong("kind", fmt.Sprintf("there is no statement of kind %q", kind))
			*s = &tree.CountStmt{}
			return
		}
	}
	switch s := (*s).(type) {
	case *tree.CountStmt:
		f.optionalPred("where", &s.Where)
		f.by(&s.By)
		f.order(&s.Order)
		f.limit(&s.Limit)
	case *tree.ListStmt:
		f.columns(&s.Columns)
		f.optionalPred("where", &s.Where)
		f.order(&s.Order)
		f.limit(&s.Limit)
	case *tree.StatsStmt:
		f.columns(&s.Columns)
		f.optionalPred("where", &s.Where)
		f.by(&s.By)
		f.order(&s.Order)
		f.limit(&s.Limit)
	case *tree.TrendStmt:
		f.nested("step", func(f *form) { f.step(&s.Step) })
		f.window("window", &s.Window)
		f.unit("bucket", &s.Bucket)
		f.flag("users", &s.Users)
		f.optionalMeasure("of", &s.Of)
		f.optionalPred("where", &s.Where)
		f.by(&s.By)
		if f.reading && s.Of != nil && s.Of.Fn == tree.CountFn {
			s.Of = nil
		}
	case *tree.FunnelStmt:
		array(f, "steps", &s.Steps, func(f *form, s *tree.Step) { f.step(s) })
		f.duration("within", &s.Within)
		f.window("window", &s.Window)
		f.optionalPred("where", &s.Where)
		f.by(&s.By)
	case *tree.RetentionStmt:
		f.nested("first", func(f *form) { f.step(&s.First) })
		f.nested("then", func(f *form) { f.step(&s.Then) })
		f.window("window", &s.Window)
		f.unit("bucket", &s.Bucket)
		f.optionalPred("where", &s.Where)
	default:
		f.otherBody(s)
	}
}

func (f *form) otherBody(s tree.Stmt) {
	switch s := s.(type) {
	case *tree.OverlapStmt:
		array(f, "conditions", &s.Preds, func(f *form, p *tree.Pred) { f.predBody(p) })
	case *tree.InsightsStmt:
		f.pred("where", &s.Where)
		f.optionalPred("against", &s.Against)
	case *tree.LookalikeStmt:
		f.pred("of", &s.Of)
		f.whole("top", &s.Top)
		f.optionalPred("among", &s.Among)
	case *tree.RFMStmt:
		f.nested("step", func(f *form) { f.step(&s.Step) })
		f.nested("amount", func(f *form) { f.exprBody(&s.Amount) })
		f.window("window", &s.Window)
		f.optionalPred("where", &s.Where)
	case *tree.ExplainStmt:
		f.flag("analyze", &s.Analyze)
		f.nested("statement", func(f *form) { f.stmtBody(&s.Stmt) })
	case *tree.WhyStmt:
		f.text("profile", &s.Profile)
		f.pred("where", &s.Where)
	case *tree.CreateStmt:
		f.flag("replace", &s.Replace)
		f.text("name", &s.Segment.Name)
		f.optionalText("described", &s.Segment.Described)
		if !f.absent("refresh", s.Segment.Refresh.Unit == tree.NoUnit) {
			f.duration("refresh", &s.Segment.Refresh)
		}
		f.flag("allow_unknown", &s.AllowUnknown)
		f.pred("as", &s.Segment.Pred)
	case *tree.DropStmt:
		f.text("name", &s.Name)
	case *tree.ShowStmt:
		f.text("what", &s.What)
	case *tree.DescribeStmt:
		f.text("what", &s.What)
		f.text("name", &s.Name)
	}
}

// limit describes a limit. Without one it is -1 in the tree and left out in the form.
func (f *form) limit(n *int64) {
	if !f.absent("limit", *n < 0) {
		f.whole("limit", n)
	} else if f.reading {
		*n = -1
	}
}

func (f *form) optionalMeasure(key string, m **tree.Measure) {
	if f.absent(key, *m == nil) {
		return
	}
	if *m == nil {
		*m = &tree.Measure{}
	}
	f.nested(key, func(f *form) { f.measure(*m) })
}

func (f *form) columns(columns *[]tree.Column) {
	array(f, "columns", columns, func(f *form, c *tree.Column) {
		f.expr("x", &c.X)
		f.optionalText("as", &c.As)
	})
}

func (f *form) order(order *[]tree.Order) {
	array(f, "order", order, func(f *form, o *tree.Order) {
		f.expr("x", &o.X)
		f.flag("desc", &o.Desc)
	})
}

// by describes dimensions. Each is an attribute, with steps or a unit or without, a segment, or a measure.
func (f *form) by(by *[]tree.Dimension) {
	array(f, "by", by, func(f *form, d *tree.Dimension) {
		var name, segment string
		if d.Name != nil {
			name = d.Name.Name
		}
		if d.Segment != nil {
			segment = d.Segment.Name
		}
		f.optionalText("name", &name)
		if !f.absent("steps_of", d.Step == nil) {
			if d.Step == nil {
				d.Step = new(tree.Number)
			}
			f.number("steps_of", d.Step)
		}
		if !f.absent("unit", d.Unit == tree.NoUnit) {
			f.unit("unit", &d.Unit)
		}
		f.optionalText("segment", &segment)
		f.optionalMeasure("measure", &d.Measure)
		if !f.reading {
			return
		}
		if (name == "") == (segment == "" && d.Measure == nil) || segment != "" && d.Measure != nil {
			f.wrong("by", "a dimension is a name, a segment or a measure")
		}
		if d.Name = (&tree.Name{Name: name}); name == "" {
			d.Name = nil
			if segment != "" {
				d.Segment = &tree.InSegment{Name: segment}
			}
		}
	})
}
