package exec

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// sumPlace is a sum or average in a statement, and the profiles whose values it adds up.
type sumPlace struct {
	of      *tree.Measure // for the amount of rfm, a sum made of it
	zone    string        // "" is the zone of the statement
	segment string        // name of the segment whose predicate contains it; "" if the statement itself does
	at      tree.Span
	among   tree.Pred // the profiles it is computed for; nil: all
	shown   bool      // it is only computed for rows that the list shows
}

// sumFinder collects the sums of a statement, each distinct text once.
type sumFinder struct {
	inputs  *query.Inputs
	zone    string
	segment string
	at      tree.Span // of the segment
	found   []*sumPlace
	known   map[string]*sumPlace
}

// findSums returns the sums and averages that affect the answer of a statement.
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

// orderedBy returns the expression a list is ordered by: a name may be that of a column.
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

// pred finds the sums of a predicate that is evaluated for the profiles of among.
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
		if inner, ok := f.enterSegment(p); ok {
			inner.pred(p.Def.Pred, among)
			f.found = inner.found
		}
	default:
		f.expr(p, among, false)
	}
}

// join finds the sums of a conjunction or disjunction. An argument matters only for the profiles that
// the others leave undecided: a profile that fails one argument of a conjunction is not a member,
// whatever the sums of the others.
func (f *sumFinder) join(args []tree.Pred, among tree.Pred, and bool) {
	var unsettled []tree.Pred // by argument: the profiles it leaves undecided
	for i, arg := range args {
		if !f.hasSums(arg) {
			continue
		}
		for k := len(unsettled); k < len(args); k++ {
			unsettled = append(unsettled, f.inStatementZone(f.possible(args[k], and)))
		}
		var open []tree.Pred
		if among != nil {
			open = append(open, among)
		}
		f.pred(arg, tree.AllOf(append(append(open, unsettled[:i]...), unsettled[i+1:]...)))
	}
}

// hasSums reports whether a predicate has sums.
func (f *sumFinder) hasSums(p tree.Pred) bool { return len(f.sumsOf(p)) > 0 }

// sumsOf returns the sums of one predicate.
func (f *sumFinder) sumsOf(p tree.Pred) []*sumPlace {
	switch p := p.(type) {
	case *tree.And:
		return f.sumsOfAll(p.Args)
	case *tree.Or:
		return f.sumsOfAll(p.Args)
	case *tree.Not:
		return f.sumsOf(p.Arg)
	}
	one := *f
	one.found, one.known = nil, map[string]*sumPlace{}
	one.pred(p, nil)
	return one.found
}

func (f *sumFinder) sumsOfAll(args []tree.Pred) (found []*sumPlace) {
	for _, arg := range args {
		found = append(found, f.sumsOf(arg)...)
	}
	return found
}

// possible returns a predicate for the profiles that might satisfy p (or, if yes is false, fail it) if
// the values that its sums leave out were counted.
func (f *sumFinder) possible(p tree.Pred, yes bool) tree.Pred {
	switch x := p.(type) {
	case *tree.And:
		return f.possibleJoin(x.Args, yes, yes)
	case *tree.Or:
		return f.possibleJoin(x.Args, yes, !yes)
	case *tree.Not:
		return f.possible(x.Arg, !yes)
	case *tree.InSegment:
		if inner, ok := f.enterSegment(x); ok {
			return inner.inStatementZone(inner.possible(x.Def.Pred, yes))
		}
	}
	args := []tree.Pred{p}
	if !yes {
		args[0] = &tree.Not{Arg: p}
	}
	if _, ok := p.(*tree.Rank); !ok { // the result of a rank is taken as it is: it depends on other profiles, too
		for _, place := range f.sumsOf(p) {
			args = append(args, leftOutOf(place.of)...)
		}
	}
	return anyOf(args)
}

func (f *sumFinder) possibleJoin(args []tree.Pred, yes, and bool) tree.Pred {
	each := make([]tree.Pred, len(args))
	for i, arg := range args {
		each[i] = f.possible(arg, yes)
	}
	if and {
		return tree.AllOf(each)
	}
	return anyOf(each)
}

// leftOutOf returns predicates; a profile satisfies one of them if the sum leaves out one of its values.
func leftOutOf(m *tree.Measure) []tree.Pred {
	least, greatest := *m, *m
	least.Fn, greatest.Fn = tree.MinFn, tree.MaxFn
	limit := func(n int64) *tree.Literal { return &tree.Literal{Value: tree.NumInt(n)} }
	return []tree.Pred{
		&tree.Compare{Op: tree.Lt, L: &least, R: limit(-maxCoef)},
		&tree.Compare{Op: tree.Gt, L: &greatest, R: limit(maxCoef)},
	}
}

// expr finds the sums of an expression, or of a condition that is not a conjunction or disjunction.
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

// add adds a sum. Sums of the same values are merged into one, for all profiles that any of them is
// computed for.
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

// enterSegment returns a finder for the predicate of a segment; false if the segment is an input.
func (f *sumFinder) enterSegment(p *tree.InSegment) (*sumFinder, bool) {
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

// inStatementZone returns a predicate that means in the statement's zone what p means in the zone of its
// segment.
func (f *sumFinder) inStatementZone(p tree.Pred) tree.Pred {
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
