package querytest

import "github.com/musterdb/muster/query/tree"

// Stmt draws a statement that the oracle can answer.
func (g *Gen) Stmt() tree.Stmt {
	switch g.rng.IntN(12) {
	case 0, 1:
		return &tree.CountStmt{Where: g.where(), By: g.by(3), Limit: g.limit()}
	case 2:
		return g.list()
	case 3, 4:
		s := &tree.StatsStmt{Where: g.where(), By: g.by(2), Limit: g.limit()}
		for range 1 + g.rng.IntN(3) {
			s.Columns = append(s.Columns, tree.Column{X: g.stat()})
		}
		return s
	case 5, 6, 7:
		return g.trend()
	case 8:
		return g.funnel()
	case 9:
		return &tree.RetentionStmt{First: g.step(""), Then: g.step(""), Window: g.window(false), Bucket: pick(g, tree.Day, tree.Week, tree.Month), Where: g.where()}
	case 10:
		return g.rfm()
	}
	if g.rng.IntN(2) == 0 {
		s := &tree.InsightsStmt{Where: g.Pred(1)}
		if g.rng.IntN(2) == 0 {
			s.Against = g.Pred(1)
		}
		return s
	}
	s := &tree.OverlapStmt{}
	for range 2 + g.rng.IntN(2) {
		s.Preds = append(s.Preds, g.Pred(1))
	}
	return s
}

func (g *Gen) where() tree.Pred {
	if g.rng.IntN(3) == 0 {
		return nil
	}
	return g.Pred(1)
}

func (g *Gen) limit() int64 { return pick(g, -1, -1, int64(0), 1, 3, 100) }

// by draws up to most dimensions, and often none.
func (g *Gen) by(most int) []tree.Dimension {
	var dims []tree.Dimension
	for range g.rng.IntN(most + 1) {
		dims = append(dims, g.dimension())
	}
	return dims
}

func (g *Gen) dimension() tree.Dimension {
	switch g.rng.IntN(7) {
	case 0:
		step := pick(g, num("10"), num("1"), num("0.25"), num("1000")).Number()
		return tree.Dimension{Name: g.name(place{}, tree.NumberType), Step: &step}
	case 1:
		return tree.Dimension{Name: g.name(place{}, tree.TimeType), Unit: pick(g, tree.Day, tree.Week, tree.Month, tree.Year)}
	case 2:
		return tree.Dimension{Segment: &tree.InSegment{Name: pick(g, g.History.Segments...).Name}}
	case 3:
		for {
			m := g.measure(pick(g, tree.StringType, tree.NumberType)).(*tree.Measure)
			if m.Fn == tree.FirstFn || m.Fn == tree.LastFn || m.Fn == tree.FavoriteFn {
				return tree.Dimension{Measure: m}
			}
		}
	}
	return tree.Dimension{Name: g.name(place{}, tree.NoType)}
}

func (g *Gen) list() *tree.ListStmt {
	s := &tree.ListStmt{Where: g.where(), Limit: g.limit()}
	for range g.rng.IntN(4) {
		s.Columns = append(s.Columns, tree.Column{X: g.anything(place{})})
	}
	for range g.rng.IntN(3) {
		x := g.ofType(place{}, pick(g, tree.NumberType, tree.StringType, tree.TimeType))
		s.Order = append(s.Order, tree.Order{X: x, Desc: g.rng.IntN(2) == 0})
	}
	return s
}

// stat draws a measure over members: over an attribute, over events, or arithmetic on such measures.
func (g *Gen) stat() tree.Expr {
	switch g.rng.IntN(5) {
	case 0:
		return &tree.Arith{Op: pick(g, tree.AddOp, tree.DivOp, tree.MulOp), L: g.stat(), R: g.overMembers()}
	case 1, 2:
		for {
			m := g.measure(tree.NumberType).(*tree.Measure)
			if m.Fn != tree.FirstFn && m.Fn != tree.LastFn && m.Fn != tree.FavoriteFn {
				return m
			}
		}
	}
	return g.overMembers()
}

func (g *Gen) overMembers() *tree.Measure {
	m := &tree.Measure{Fn: pick(g, tree.CountFn, tree.SumFn, tree.AvgFn, tree.MinFn, tree.MaxFn, tree.DistinctFn, tree.MedianFn, tree.PercentileFn)}
	switch m.Fn {
	case tree.CountFn:
		return m
	case tree.DistinctFn:
		m.Arg = g.name(place{}, pick(g, tree.StringType, tree.BoolType, tree.NumberType))
		return m
	case tree.PercentileFn:
		m.Percent = num(pick(g, "0", "5", "33.3", "95", "100")).Number()
	}
	m.Arg = g.ofType(place{attributesOnly: true}, tree.NumberType)
	return m
}

func (g *Gen) trend() *tree.TrendStmt {
	s := &tree.TrendStmt{Step: g.step(""), Window: g.window(false), Where: g.where(), By: g.by(1)}
	s.Bucket = pick(g, tree.Day, tree.Week, tree.Month)
	if g.rng.IntN(3) == 0 {
		s.Bucket = tree.Hour
		s.Window = pick(g, tree.Window{Kind: tree.Today}, tree.Window{Kind: tree.Yesterday},
			tree.Window{Kind: tree.InLast, Last: tree.Duration{N: 25, Unit: tree.Hour}})
	}
	switch g.rng.IntN(3) {
	case 0:
		s.Users = true
	case 1:
		if arg := g.ofType(place{event: s.Step.Event}, tree.NumberType); arg != nil {
			s.Of = &tree.Measure{Fn: pick(g, tree.SumFn, tree.AvgFn, tree.MinFn, tree.MaxFn, tree.DistinctFn), Arg: arg}
		}
	}
	return s
}

func (g *Gen) funnel() *tree.FunnelStmt {
	s := &tree.FunnelStmt{Within: pick(g, durations[:9]...), Window: g.window(false), Where: g.where(), By: g.by(1)}
	for range 2 + g.rng.IntN(3) {
		s.Steps = append(s.Steps, g.step(""))
	}
	return s
}

func (g *Gen) rfm() *tree.RFMStmt {
	s := &tree.RFMStmt{Step: g.step(""), Window: g.window(false), Where: g.where()}
	for s.Amount == nil {
		s.Step = g.step("")
		s.Amount = g.ofType(place{event: s.Step.Event}, tree.NumberType)
	}
	return s
}
