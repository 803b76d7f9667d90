package tree

// Node is a part of a syntax tree: any Pred, Expr or Stmt, a *Query, and each *Step (an event with
// its `where (…)`).
type Node interface {
	// inspect calls Inspect for each direct child, in the order of the fields.
	inspect(f func(Node) bool)
}

// Inspect calls f for a node and, if f returns true, inspects its children. It does nothing for a nil node.
// It does not visit the predicate of a segment, InSegment.Def.
func Inspect(n Node, f func(Node) bool) {
	if n != nil && f(n) {
		n.inspect(f)
	}
}

// Any reports whether is returns true for a node of the tree.
func Any(n Node, is func(Node) bool) bool {
	found := false
	Inspect(n, func(n Node) bool {
		found = found || is(n)
		return !found
	})
	return found
}

// MentionsPrevious reports whether a condition or expression of a step uses `previous.`.
func MentionsPrevious(n Node) bool {
	return Any(n, func(n Node) bool {
		name, ok := n.(*Name)
		return ok && name.Previous
	})
}

func inspectAll[N Node](nodes []N, f func(Node) bool) {
	for _, n := range nodes {
		Inspect(n, f)
	}
}

func (p *And) inspect(f func(Node) bool)         { inspectAll(p.Args, f) }
func (p *Or) inspect(f func(Node) bool)          { inspectAll(p.Args, f) }
func (p *Not) inspect(f func(Node) bool)         { Inspect(p.Arg, f) }
func (p *Everyone) inspect(func(Node) bool)      {}
func (p *Truth) inspect(f func(Node) bool)       { Inspect(p.X, f) }
func (p *IsSet) inspect(f func(Node) bool)       { Inspect(p.X, f) }
func (p *Text) inspect(f func(Node) bool)        { Inspect(p.X, f) }
func (p *InWindow) inspect(f func(Node) bool)    { Inspect(p.X, f) }
func (p *Did) inspect(f func(Node) bool)         { Inspect(&p.Step, f) }
func (p *Edge) inspect(f func(Node) bool)        { Inspect(&p.Step, f) }
func (p *InSegment) inspect(func(Node) bool)     {}
func (p *WasIn) inspect(func(Node) bool)         {}
func (p *InList) inspect(func(Node) bool)        {}
func (p *InSample) inspect(func(Node) bool)      {}
func (p *Rank) inspect(f func(Node) bool)        { Inspect(p.By, f) }
func (s *Step) inspect(f func(Node) bool)        { Inspect(s.Where, f) }
func (x *Name) inspect(func(Node) bool)          {}
func (x *Literal) inspect(func(Node) bool)       {}
func (s *ExplainStmt) inspect(f func(Node) bool) { Inspect(s.Stmt, f) }
func (s *WhyStmt) inspect(f func(Node) bool)     { Inspect(s.Where, f) }
func (s *CreateStmt) inspect(f func(Node) bool)  { Inspect(s.Segment.Pred, f) }
func (s *OverlapStmt) inspect(f func(Node) bool) { inspectAll(s.Preds, f) }
func (s *DropStmt) inspect(func(Node) bool)      {}
func (s *ShowStmt) inspect(func(Node) bool)      {}
func (s *DescribeStmt) inspect(func(Node) bool)  {}
func (q *Query) inspect(f func(Node) bool)       { Inspect(q.Stmt, f) }

func (p *Anniversary) inspect(f func(Node) bool) { Inspect(p.X, f) }

func (p *Compare) inspect(f func(Node) bool) {
	Inspect(p.L, f)
	Inspect(p.R, f)
}

func (p *In) inspect(f func(Node) bool) {
	Inspect(p.X, f)
	inspectAll(p.Values, f)
}

func (p *Range) inspect(f func(Node) bool) {
	Inspect(p.X, f)
	Inspect(p.Lo, f)
	Inspect(p.Hi, f)
}

func (p *Has) inspect(f func(Node) bool) {
	Inspect(p.X, f)
	inspectAll(p.Values, f)
}

func (p *Sequence) inspect(f func(Node) bool) {
	Inspect(&p.First, f)
	for i := range p.Steps {
		Inspect(&p.Steps[i].Step, f)
	}
}

func (x *Arith) inspect(f func(Node) bool) {
	Inspect(x.L, f)
	Inspect(x.R, f)
}

func (x *Measure) inspect(f func(Node) bool) {
	Inspect(x.Arg, f)
	Inspect(x.Where, f)
}

func (s *CountStmt) inspect(f func(Node) bool) {
	Inspect(s.Where, f)
	inspectDimensions(s.By, f)
	inspectOrders(s.Order, f)
}

func (s *ListStmt) inspect(f func(Node) bool) {
	inspectColumns(s.Columns, f)
	Inspect(s.Where, f)
	inspectOrders(s.Order, f)
}

func (s *StatsStmt) inspect(f func(Node) bool) {
	inspectColumns(s.Columns, f)
	Inspect(s.Where, f)
	inspectDimensions(s.By, f)
	inspectOrders(s.Order, f)
}

func (s *TrendStmt) inspect(f func(Node) bool) {
	Inspect(&s.Step, f)
	if s.Of != nil {
		Inspect(s.Of, f)
	}
	Inspect(s.Where, f)
	inspectDimensions(s.By, f)
}

func (s *FunnelStmt) inspect(f func(Node) bool) {
	for i := range s.Steps {
		Inspect(&s.Steps[i], f)
	}
	Inspect(s.Where, f)
	inspectDimensions(s.By, f)
}

func (s *RetentionStmt) inspect(f func(Node) bool) {
	Inspect(&s.First, f)
	Inspect(&s.Then, f)
	Inspect(s.Where, f)
}

func (s *InsightsStmt) inspect(f func(Node) bool) {
	Inspect(s.Where, f)
	Inspect(s.Against, f)
}

func (s *LookalikeStmt) inspect(f func(Node) bool) {
	Inspect(s.Of, f)
	Inspect(s.Among, f)
}

func (s *RFMStmt) inspect(f func(Node) bool) {
	Inspect(&s.Step, f)
	Inspect(s.Amount, f)
	Inspect(s.Where, f)
}

func inspectColumns(columns []Column, f func(Node) bool) {
	for _, c := range columns {
		Inspect(c.X, f)
	}
}

func inspectOrders(orders []Order, f func(Node) bool) {
	for _, o := range orders {
		Inspect(o.X, f)
	}
}

func inspectDimensions(by []Dimension, f func(Node) bool) {
	for _, d := range by {
		if d.Name != nil {
			Inspect(d.Name, f)
		}
		if d.Segment != nil {
			Inspect(d.Segment, f)
		}
		if d.Measure != nil {
			Inspect(d.Measure, f)
		}
	}
}
