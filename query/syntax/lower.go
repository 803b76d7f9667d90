package syntax

import (
	"strings"

	"github.com/musterdb/muster/query/tree"
)

// lower converts participle's structs into a tree.
func (g *statementText) lower() (*tree.Query, *mistake) {
	q := &tree.Query{}
	for i, e := range g.Endings {
		at := tree.Span{Offset: e.Pos.Offset, Length: len("as of")}
		switch {
		case e.AsOf != nil && q.AsOf != nil:
			return nil, wrong(at, "as of appears twice", "remove one of them")
		case e.AsOf != nil:
			q.AsOf = &g.Endings[i].AsOf.when
		case q.Zone != "":
			return nil, wrong(e.Zone.at, "in timezone appears twice", "remove one of them")
		default:
			q.Zone = e.Zone.value
		}
	}
	stmt, m := g.Stmt.lower()
	if m != nil {
		return nil, m
	}
	if _, creates := stmt.(*tree.CreateStmt); creates && q.AsOf != nil {
		for _, e := range g.Endings {
			if e.AsOf != nil {
				return nil, wrong(tree.Span{Offset: e.Pos.Offset, Length: len("as of")}, "a segment cannot have an  as of", "remove it")
			}
		}
	}
	if q.Stmt = stmt; g.Explain {
		q.Stmt = &tree.ExplainStmt{Analyze: g.Analyze, Stmt: stmt}
	}
	return q, nil
}

func (s *statement) lower() (tree.Stmt, *mistake) {
	switch {
	case s.Count != nil:
		c := s.Count
		return &tree.CountStmt{Where: c.Where.lower(), By: dimensions(c.By...), Order: rowOrders(c.Order), Limit: c.Limit.lower()}, nil
	case s.List != nil:
		l := s.List
		return &tree.ListStmt{Columns: columns(l.Columns), Where: l.Where.lower(), Order: orders(l.Order), Limit: l.Limit.lower()}, nil
	case s.Stats != nil:
		return s.Stats.lower(), nil
	case s.Trend != nil:
		t := s.Trend
		trend := &tree.TrendStmt{Step: t.Event.step, Window: t.Event.window, Bucket: t.Unit.unit, Where: t.Where.lower()}
		if t.Of != nil {
			trend.Users, trend.Of = t.Of.users, t.Of.measure
		}
		if t.By != nil {
			trend.By = dimensions(t.By)
		}
		return trend, nil
	case s.Funnel != nil:
		return s.Funnel.lower(), nil
	case s.Retention != nil:
		r := s.Retention
		return &tree.RetentionStmt{First: r.First.step, Then: r.Then.step, Window: r.Then.window, Bucket: r.Unit.unit, Where: r.Where.lower()}, nil
	case len(s.Overlap) > 0:
		return lowerOverlap(s.Overlap)
	case s.Insights != nil:
		return &tree.InsightsStmt{Where: s.Insights.Where.lower(), Against: s.Insights.Against.lower()}, nil
	case s.Lookalike != nil:
		return &tree.LookalikeStmt{Of: s.Lookalike.Of.lower(), Top: s.Lookalike.Top.lower(), Among: s.Lookalike.Among.lower()}, nil
	case s.RFM != nil:
		r := s.RFM
		return &tree.RFMStmt{Step: r.Event.step, Window: r.Event.window, Amount: r.Amount.x, Where: r.Where.lower()}, nil
	case s.Why != nil:
		w := &tree.WhyStmt{Profile: s.Why.Profile.value, Where: s.Why.Where.lower(), At: s.Why.Profile.at}
		if s.Why.Segment != nil {
			w.Where = &tree.InSegment{Name: s.Why.Segment.value, At: s.Why.Segment.at}
		}
		return w, nil
	case s.Create != nil:
		return s.Create.lower()
	case s.Drop != nil:
		return &tree.DropStmt{Name: s.Drop.value, At: s.Drop.at}, nil
	case s.Describe != nil:
		return s.Describe.lower(), nil
	}
	return &tree.ShowStmt{What: strings.ToLower(s.Show)}, nil
}

func (d *predicate) lower() tree.Pred {
	if d == nil {
		return nil
	}
	return d.pred
}

// lower returns the number, or -1 if d is nil.
func (d *whole) lower() int64 {
	if d == nil {
		return -1
	}
	return d.n
}

func dimensions(from ...*dimension) []tree.Dimension {
	var out []tree.Dimension
	for _, d := range from {
		out = append(out, d.Dimension)
	}
	return out
}

func orders(from []*ordering) []tree.Order {
	var out []tree.Order
	for _, o := range from {
		out = append(out, tree.Order{X: o.X.x, Desc: o.Desc})
	}
	return out
}

func rowOrders(from []*rowOrdering) []tree.Order {
	var out []tree.Order
	for _, o := range from {
		out = append(out, tree.Order{X: o.X.x, Desc: o.Desc})
	}
	return out
}

func columns(from []*column) []tree.Column {
	var out []tree.Column
	for _, c := range from {
		out = append(out, c.Column)
	}
	return out
}

func (s *statsText) lower() tree.Stmt {
	out := &tree.StatsStmt{Where: s.Where.lower(), By: dimensions(s.By...), Limit: s.Limit.lower()}
	for _, c := range s.Columns {
		out.Columns = append(out.Columns, c.Column)
	}
	for _, o := range s.Order {
		out.Order = append(out.Order, tree.Order{X: o.X.x, Desc: o.Desc})
	}
	return out
}

func (f *funnelText) lower() tree.Stmt {
	out := &tree.FunnelStmt{Within: f.Within.duration, Where: f.Where.lower()}
	for _, s := range f.Steps {
		out.Steps = append(out.Steps, s.step)
	}
	if f.Window != nil {
		out.Window = f.Window.window
	}
	if f.By != nil {
		out.By = dimensions(f.By)
	}
	return out
}

func lowerOverlap(preds []*predicate) (tree.Stmt, *mistake) {
	out := &tree.OverlapStmt{}
	for _, p := range preds {
		out.Preds = append(out.Preds, p.pred)
		out.Texts = append(out.Texts, FormatPred(p.pred))
	}
	if len(preds) > 3 {
		return nil, wrong(preds[3].at, "overlap takes two or three conditions", "use a second statement for the others")
	}
	return out, nil
}

func (c *createText) lower() (tree.Stmt, *mistake) {
	out := &tree.CreateStmt{Replace: c.Replace, At: c.Name.at}
	out.Segment.Name, out.Segment.Pred = c.Name.value, c.Pred.pred
	for _, o := range c.Options {
		at := tree.Span{Offset: o.Pos.Offset, Length: 1}
		switch {
		case o.Described != nil && out.Segment.Described == "":
			out.Segment.Described = o.Described.value
		case o.Refresh != nil && o.Refresh.duration.N == 0:
			return nil, wrong(at, "a segment cannot be refreshed every 0 seconds", "write  refresh every 10 minutes")
		case o.Refresh != nil && out.Segment.Refresh.N == 0:
			out.Segment.Refresh = o.Refresh.duration
		case o.Allow && !out.AllowUnknown:
			out.AllowUnknown = true
		default:
			return nil, wrong(at, "this option appears twice", "remove one of them")
		}
	}
	return out, nil
}

func (d *describeText) lower() tree.Stmt {
	switch {
	case d.Segment != nil:
		return &tree.DescribeStmt{What: "segment", Name: d.Segment.value, At: d.Segment.at}
	case d.Event != nil:
		return &tree.DescribeStmt{What: "event", Name: d.Event.value, At: d.Event.at}
	}
	return &tree.DescribeStmt{What: "attribute", Name: d.Attribute.value, At: d.Attribute.at}
}
