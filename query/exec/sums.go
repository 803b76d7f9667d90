package exec

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// sumPlace is a sum or average of a statement, and whose values it takes.
type sumPlace struct {
	of      *tree.Measure // rfm's amount is one, too
	zone    string        // "": the statement's
	segment string        // whose predicate it stands in; "": the statement's own text
	at      tree.Span
	among   tree.Pred // the profiles it is taken for; nil: everyone
	shown   bool      // it is taken for the rows of a list only
}

// sumFinder collects the sums of a statement, each text once.
type sumFinder struct {
	inputs  *query.Inputs
	zone    string
	segment string
	at      tree.Span // of the segment
	found   []*sumPlace
	known   map[string]*sumPlace
}

// findSums returns the sums and averages whose values show in the answer of a statement.
func findSums(stmt tree.Stmt, inputs *query.Inputs) []*sumPlace {
	f := &sumFinder{inputs: inputs, known: map[string]*sumPlace{}}
	switch s := stmt.(type) {
	case *tree.CountStmt:
		f.breakdown(s.Where, s.By)
	case *tree.ListStmt:
		f.pred(s.Where, nil)
		for _, c := range s.Columns {
			f.expr(c.X, s.Where, true)
		}
		for _, o := range s.Order {
			f.expr(orderedBy(s, o), s.Where, false)
		}
	case *tree.StatsStmt:
		f.breakdown(s.Where, s.By)
		for _, c := range s.Columns {
			f.expr(c.X, s.Where, false)
		}
	case *tree.TrendStmt:
		f.breakdown(s.Where, s.By)
		if s.Of != nil {
			of := *s.Of
			of.Event, of.Where, of.Window = s.Step.Event, s.Step.Where, s.Window
			f.expr(&of, s.Where, false)
		}
	case *tree.FunnelStmt:
		f.breakdown(s.Where, s.By)
	case *tree.RetentionStmt:
		f.pred(s.Where, nil)
	case *tree.OverlapStmt:
		for _, p := range s.Preds {
			f.pred(p, nil)
		}
	case *tree.InsightsStmt:
		f.pred(s.Where, nil)
		f.pred(s.Against, nil)
	case *tree.LookalikeStmt:
		f.pred(s.Of, nil)
		f.pred(s.Among, nil)
	case *tree.RFMStmt:
		f.pred(s.Where, nil)
		f.expr(&tree.Measure{Fn: tree.SumFn, Arg: s.Amount, Event: s.Step.Event, Where: s.Step.Where, Window: s.Window, At: tree.SpanOf(s.Amount)}, s.Where, false)
	}
	return f.found
}

// orderedBy returns what a list is ordered by: a name may be that of a column.
func orderedBy(s *tree.ListStmt, o tree.Order) tree.Expr {
	if name, ok := o.X.(*tree.Name); ok {
		for _, c := range s.Columns {
			if c.As == name.Name {
				return c.X
			}
		}
	}
	return o.X
}

func (f *sumFinder) breakdown(where tree.Pred, by []tree.Dimension) {
	f.pred(where, nil)
	for _, d := range by {
		if d.Segment != nil {
			f.pred(d.Segment, where)
		}
	}
}

// pred finds the sums of a predicate that is asked of some profiles.
func (f *sumFinder) pred(p, among tree.Pred) {
	switch p := p.(type) {
	case *tree.And:
		f.join(p.Args, among, true)
	case *tree.Or:
		f.join(p.Args, among, false)
	case *tree.Not:
		f.pred(p.Arg, among)
	case *tree.Rank:
		f.expr(p.By, nil, false)
	case *tree.InSegment:
		if inner, ok := f.inside(p); ok {
			inner.pred(p.Def.Pred, among)
			f.found = inner.found
		}
	default:
		f.expr(p, among, false)
	}
}

// join finds the sums of a conjunction or disjunction. An argument matters for those only whom the others
// do not settle: in a conjunction who does not satisfy one of them is out, whatever the sum.
func (f *sumFinder) join(args []tree.Pred, among tree.Pred, and bool) {
	var unsettled []tree.Pred // those whom each argument does not settle
	for i, arg := range args {
		if !f.sums(arg) {
			continue
		}
		for k := len(unsettled); k < len(args); k++ {
			unsettled = append(unsettled, f.own(f.could(args[k], and)))
		}
		var open []tree.Pred
		if among != nil {
			open = append(open, among)
		}
		f.pred(arg, tree.AllOf(append(append(open, unsettled[:i]...), unsettled[i+1:]...)))
	}
}

// sums reports whether a predicate has sums.
func (f *sumFinder) sums(p tree.Pred) bool { return len(f.alone(p)) > 0 }

// alone returns the sums of one predicate.
func (f *sumFinder) alone(p tree.Pred) []*sumPlace {
	switch p := p.(type) {
	case *tree.And:
		return f.eachAlone(p.Args)
	case *tree.Or:
		return f.eachAlone(p.Args)
	case *tree.Not:
		return f.alone(p.Arg)
	}
	one := *f
	one.found, one.known = nil, map[string]*sumPlace{}
	one.pred(p, nil)
	return one.found
}

func (f *sumFinder) eachAlone(args []tree.Pred) (found []*sumPlace) {
	for _, arg := range args {
		found = append(found, f.alone(arg)...)
	}
	return found
}

// could returns who may satisfy a predicate (or, with yes false, not satisfy it) if what its sums leave out
// counted.
func (f *sumFinder) could(p tree.Pred, yes bool) tree.Pred {
	switch x := p.(type) {
	case *tree.And:
		return f.joined(x.Args, yes, yes)
	case *tree.Or:
		return f.joined(x.Args, yes, !yes)
	case *tree.Not:
		return f.could(x.Arg, !yes)
	case *tree.InSegment:
		if inner, ok := f.inside(x); ok {
			return inner.own(inner.could(x.Def.Pred, yes))
		}
	}
	args := []tree.Pred{p}
	if !yes {
		args[0] = &tree.Not{Arg: p}
	}
	if _, ok := p.(*tree.Rank); !ok { // a rank is taken as it came out: it is about others as well
		for _, place := range f.alone(p) {
			args = append(args, leftOutOf(place.of)...)
		}
	}
	return anyOf(args)
}

func (f *sumFinder) joined(args []tree.Pred, yes, and bool) tree.Pred {
	each := make([]tree.Pred, len(args))
	for i, arg := range args {
		each[i] = f.could(arg, yes)
	}
	if and {
		return tree.AllOf(each)
	}
	return anyOf(each)
}

// leftOutOf returns predicates of which those satisfy one of whose values a sum leaves some out.
func leftOutOf(m *tree.Measure) []tree.Pred {
	least, greatest := *m, *m
	least.Fn, greatest.Fn = tree.MinFn, tree.MaxFn
	limit := func(n int64) *tree.Literal { return &tree.Literal{Value: tree.NumInt(n)} }
	return []tree.Pred{
		&tree.Compare{Op: tree.Lt, L: &least, R: limit(-mostCoef)},
		&tree.Compare{Op: tree.Gt, L: &greatest, R: limit(mostCoef)},
	}
}

// expr finds the sums of an expression, or of a condition that is no join of others, over some profiles.
func (f *sumFinder) expr(x tree.Node, among tree.Pred, shown bool) {
	tree.Inspect(x, func(n tree.Node) bool {
		switch n := n.(type) {
		case *tree.Step:
			return false
		case *tree.Measure:
			if n.Fn == tree.SumFn || n.Fn == tree.AvgFn {
				f.add(n, among, shown)
			}
			return false
		}
		return true
	})
}

// add takes in a sum; one of the same values is there once, for all profiles it is taken for.
func (f *sumFinder) add(m *tree.Measure, among tree.Pred, shown bool) {
	of := *m
	of.Fn = tree.SumFn
	key := f.zone + "\x00" + syntax.FormatExpr(&of)
	if had := f.known[key]; had != nil {
		had.shown = had.shown && shown
		if had.among == nil || among == nil {
			had.among = nil
		} else if had.among != among {
			had.among = &tree.Or{Args: []tree.Pred{had.among, among}}
		}
		return
	}
	place := &sumPlace{of: m, zone: f.zone, segment: f.segment, at: m.At, among: among, shown: shown}
	if f.segment != "" {
		place.at = f.at
	}
	f.found, f.known[key] = append(f.found, place), place
}

// inside returns a finder for the predicate of a segment that is evaluated.
func (f *sumFinder) inside(p *tree.InSegment) (*sumFinder, bool) {
	if p.Def == nil {
		return nil, false
	}
	if _, held := f.inputs.Held(p.Name); held {
		return nil, false
	}
	inner := *f
	if inner.segment == "" {
		inner.segment, inner.at = p.Name, p.At
	}
	if inner.zone = p.Def.Zone; inner.zone == "" {
		inner.zone = "UTC"
	}
	return &inner, true
}

// own returns a predicate that means in the statement's zone what p means in that of its segment.
func (f *sumFinder) own(p tree.Pred) tree.Pred {
	if f.segment == "" {
		return p
	}
	return &tree.InSegment{Def: &tree.Segment{Zone: f.zone, Pred: p}}
}

func anyOf(args []tree.Pred) tree.Pred {
	if len(args) == 1 {
		return args[0]
	}
	return &tree.Or{Args: args}
}
