package syntax

import (
	"strings"

	"github.com/musterdb/muster/query/tree"
)

// Format returns the canonical text of q. Parsing it gives the same tree, apart from spans.
func Format(q *tree.Query) string {
	var w writer
	w.stmt(q.Stmt)
	if q.AsOf != nil {
		w.write(" as of ", whenText(*q.AsOf))
	}
	if q.Zone != "" {
		w.write(" in timezone ", quote(q.Zone))
	}
	return w.String()
}

func (w *writer) stmt(s tree.Stmt) {
	switch s := s.(type) {
	case *tree.CountStmt:
		w.write("count")
		w.where(s.Where, false)
		w.by(s.By)
		w.order(s.Order)
		w.limit(s.Limit)
	case *tree.ListStmt:
		w.write("list")
		w.columns(s.Columns)
		w.where(s.Where, columnsOpen(s.Columns))
		w.order(s.Order)
		w.limit(s.Limit)
	case *tree.StatsStmt:
		w.write("stats")
		w.members = true
		w.columns(s.Columns)
		w.members = false
		w.where(s.Where, columnsOpen(s.Columns))
		w.by(s.By)
		w.members = true
		w.order(s.Order)
		w.members = false
		w.limit(s.Limit)
	case *tree.TrendStmt:
		w.trend(s)
	case *tree.FunnelStmt:
		w.write("funnel ")
		for i, step := range s.Steps {
			if i > 0 {
				w.write(" then ")
			}
			w.step(step)
		}
		w.write(" within ", durationText(s.Within))
		w.window(s.Window)
		w.where(s.Where, false)
		w.by(s.By)
	case *tree.RetentionStmt:
		w.write("retention ")
		w.step(s.First)
		w.write(" then ")
		w.step(s.Then)
		w.window(s.Window)
		w.write(" by ", s.Bucket.String())
		w.where(s.Where, false)
	default:
		w.otherStmt(s)
	}
}

func (w *writer) otherStmt(s tree.Stmt) {
	switch s := s.(type) {
	case *tree.OverlapStmt:
		w.write("overlap ")
		w.joined(s.Preds, ", ", looseOr)
	case *tree.InsightsStmt:
		w.write("insights")
		w.where(s.Where, false)
		if s.Against != nil {
			w.write(" against ")
			w.pred(s.Against, looseOr)
		}
	case *tree.LookalikeStmt:
		w.write("lookalike of ")
		w.pred(s.Of, looseOr)
		w.write(" top ", tree.Int(s.Top).String())
		if s.Among != nil {
			w.write(" among ")
			w.pred(s.Among, looseOr)
		}
	case *tree.RFMStmt:
		w.write("rfm of ")
		w.step(s.Step)
		w.window(s.Window)
		w.write(" by ")
		w.expr(s.Amount, looseSum)
		w.where(s.Where, false)
	case *tree.ExplainStmt:
		w.write("explain ")
		if s.Analyze {
			w.write("analyze ")
		}
		w.stmt(s.Stmt)
	case *tree.WhyStmt:
		w.write("why profile ", quote(s.Profile))
		if in, ok := s.Where.(*tree.InSegment); ok {
			w.write(" in segment ", quote(in.Name))
		} else {
			w.where(s.Where, false)
		}
	case *tree.CreateStmt:
		w.create(s)
	case *tree.DropStmt:
		w.write("drop segment ", quote(s.Name))
	case *tree.ShowStmt:
		w.write("show ", s.What)
	case *tree.DescribeStmt:
		w.write("describe ", s.What, " ")
		if s.What == "attribute" {
			w.write(spelled(s.Name))
		} else {
			w.write(quote(s.Name))
		}
	}
}

func (w *writer) create(s *tree.CreateStmt) {
	w.write("create ")
	if s.Replace {
		w.write("or replace ")
	}
	w.write("segment ", quote(s.Segment.Name))
	if s.Segment.Described != "" {
		w.write(" described ", quote(s.Segment.Described))
	}
	if s.Segment.Refresh.Unit != tree.NoUnit {
		w.write(" refresh every ", durationText(s.Segment.Refresh))
	}
	if s.AllowUnknown {
		w.write(" allow unknown")
	}
	w.write(" as ")
	w.pred(s.Segment.Pred, looseOr)
}

func (w *writer) trend(s *tree.TrendStmt) {
	w.write("trend ")
	w.step(s.Step)
	w.window(s.Window)
	w.write(" by ", s.Bucket.String())
	switch {
	case s.Users:
		w.write(" of users")
	case s.Of != nil:
		w.write(" of ")
		w.measure(s.Of)
	}
	w.where(s.Where, false)
	w.by(s.By)
}

// where writes the condition of a statement. open says that an event without a window precedes it. A
// parenthesis after `where` would then be read as the condition of the event, so `ever` is written between.
func (w *writer) where(p tree.Pred, open bool) {
	if p == nil {
		return
	}
	inner := writer{}
	inner.pred(p, looseOr)
	text := inner.String()
	if open && strings.HasPrefix(text, "(") {
		w.write(" ever")
	}
	w.write(" where ", text)
}

// columnsOpen reports whether the text of the columns ends with an event that has no window.
func columnsOpen(columns []tree.Column) bool {
	if len(columns) == 0 {
		return false
	}
	last := columns[len(columns)-1]
	return last.As == "" && endsOpen(last.X)
}

func (w *writer) columns(columns []tree.Column) {
	for i, c := range columns {
		if i > 0 {
			w.write(",")
		}
		w.write(" ")
		w.expr(c.X, looseSum)
		if c.As != "" {
			w.write(" as ", spelled(c.As))
		}
	}
}

func (w *writer) by(dimensions []tree.Dimension) {
	for i, d := range dimensions {
		if i == 0 {
			w.write(" by ")
		} else {
			w.write(", ")
		}
		w.dimension(d)
	}
}

func (w *writer) dimension(d tree.Dimension) {
	switch {
	case d.Segment != nil:
		w.write("in segment ", quote(d.Segment.Name))
	case d.Measure != nil:
		w.measure(d.Measure)
	case d.Unit != tree.NoUnit:
		w.write(d.Unit.String(), "(", spelled(d.Name.Name), ")")
	default:
		w.write(spelled(d.Name.Name))
		if d.Step != nil {
			w.write(" in steps of ", d.Step.String())
		}
	}
}

func (w *writer) order(order []tree.Order) {
	for i, o := range order {
		if i == 0 {
			w.write(" order by ")
		} else {
			w.write(", ")
		}
		w.expr(o.X, looseSum)
		if o.Desc {
			w.write(" desc")
		}
	}
}

func (w *writer) limit(n int64) {
	if n >= 0 {
		w.write(" limit ", tree.Int(n).String())
	}
}
