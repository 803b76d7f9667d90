package exec

import (
	"context"
	"fmt"
	"math/big"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/eval/calendar"
	"github.com/musterdb/muster/query/tree"
)

// stats is `stats M [as name], … [where P] [by D, …]`: measures over members, or over the events of
// all members together. Each measure that occurs is one cell of a group.
type stats struct {
	breakdown
	stmt     *tree.StatsStmt
	measures []*tree.Measure
}

func newStats(p *Plan, s *tree.StatsStmt) (statement, error) {
	b, err := p.newBreakdown(s.By)
	if err != nil {
		return nil, err
	}
	st := &stats{breakdown: b, stmt: s}
	for _, c := range s.Columns {
		if err := st.collect(c.X); err != nil {
			return nil, err
		}
		t, err := st.columnType(&p.env, c.X)
		if err != nil {
			return nil, err
		}
		st.columns = append(st.columns, query.Column{Name: columnTitle(c), Type: t})
	}
	st.groups = newGroups(&p.budget, st.fns()...)
	if st.limit, err = limitBy(s.Limit); err != nil {
		return nil, err
	}
	st.orders, err = columnOrders(s.Order, st.columns)
	return st, err
}

// collect finds the measures of an expression.
func (s *stats) collect(x tree.Expr) error {
	switch x := x.(type) {
	case *tree.Measure:
		switch x.Fn {
		case tree.FirstFn, tree.LastFn, tree.FavoriteFn:
			return &tree.Diagnostic{Code: "not_for_stats", At: x.At, Message: fmt.Sprintf("%s has no meaning over many profiles", x.Fn),
				Hint: "use count, sum, avg, min, max, distinct or days; by takes " + x.Fn.String()}
		}
		s.measures = append(s.measures, x)
	case *tree.Arith:
		if err := s.collect(x.L); err != nil {
			return err
		}
		return s.collect(x.R)
	}
	return nil
}

func (s *stats) columnType(env *eval.Env, x tree.Expr) (string, error) {
	m, ok := x.(*tree.Measure)
	if !ok || m.Fn != tree.MinFn && m.Fn != tree.MaxFn {
		return tree.NumberType.String(), nil
	}
	if m.Event != "" {
		rows, err := eval.CompileEvents(env, tree.Step{Event: m.Event}, m.Window, m.Arg)
		if err != nil {
			return "", err
		}
		return columnType(rows.Type(0)), nil
	}
	compiled, err := eval.CompileExpr(env, m.Arg)
	if err != nil {
		return "", err
	}
	return columnType(compiled.Type()), nil
}

func (s *stats) fns() []tree.Fn {
	fns := make([]tree.Fn, len(s.measures))
	for i, m := range s.measures {
		fns[i] = m.Fn
	}
	return fns
}

func (s *stats) preds() []tree.Pred { return s.predsWith(s.stmt.Where) }

// meter reads one measure from one source: the events of a step, or an attribute.
type meter struct {
	of     *tree.Measure
	scan   *eval.EventScan
	days   *calendar.Days
	expr   *eval.ExprEvaluator
	values eval.Vector
}

func (w *worker) newMeter(m *tree.Measure) (*meter, error) {
	t := &meter{of: m}
	if m.Event != "" {
		var args []tree.Expr
		if m.Arg != nil {
			args = append(args, m.Arg)
		}
		rows, err := eval.CompileEvents(w.env, tree.Step{Event: m.Event, Where: m.Where}, m.Window, args...)
		if err != nil {
			return nil, err
		}
		t.scan, t.days = rows.On(w.src), calendar.NewDays(w.env.Zone)
		return t, nil
	}
	if m.Arg != nil {
		compiled, err := eval.CompileExpr(w.env, m.Arg)
		if err != nil {
			return nil, err
		}
		t.expr = compiled.On(w.src)
	}
	return t, nil
}

// each calls fn with every value of the members of a chunk; the missing one for what has no
// argument, and values that are missing left out.
func (t *meter) each(w *worker, members *query.Bits, fn func(pos uint16, v tree.Value)) {
	switch {
	case t.scan != nil:
		t.scan.Each(w.chunk, members, func(b *query.Block, row int) {
			var v tree.Value
			switch {
			case t.of.Fn == tree.DaysFn:
				v = tree.NumInt(t.days.Of(b.Time(row)))
			case t.of.Arg != nil:
				if v = t.scan.Arg(0, row); v.Missing() {
					return
				}
			}
			fn(b.Pos[row], v)
		})
	case t.expr != nil:
		t.expr.Chunk(w.chunk, members, &t.values)
		for pos := range members.All {
			if v := t.values.Value(int(pos)); !v.Missing() {
				fn(pos, v)
			}
		}
	default:
		for pos := range members.All {
			fn(pos, tree.Value{})
		}
	}
}

// sum adds the argument of all rows to the cells of their groups.
func (t *meter) sum(w *worker, a *assignment, cell func(group int32) *Cell) {
	t.scan.Blocks(w.chunk, a.members, func(b *query.Block, selected []uint64) {
		add := newAddend(t.of.Fn, t.scan.Column(0))
		eachRow(b, selected, func(i int) {
			for _, group := range a.of(b.Pos[i]) {
				if add.ok {
					add.add(cell(group), i)
				} else {
					cell(group).add(t.of.Fn, t.scan.Arg(0, i))
				}
			}
		})
	})
}

func (s *stats) partial(ctx context.Context, w *worker, _ int) error {
	if err := w.by(s.by); err != nil {
		return err
	}
	meters := make([]*meter, len(s.measures))
	for i, m := range s.measures {
		var err error
		if meters[i], err = w.newMeter(m); err != nil {
			return err
		}
	}
	g := newGroups(&w.plan.budget, s.fns()...)
	err := w.members(ctx, s.stmt.Where, func(members *query.Bits) error {
		a, err := w.assign(members, g)
		if err != nil {
			return err
		}
		for k, t := range meters {
			if t.scan != nil && t.of.Arg != nil && (t.of.Fn == tree.SumFn || t.of.Fn == tree.AvgFn) {
				t.sum(w, a, func(group int32) *Cell { return &g.all[group].Cells[k] })
				continue
			}
			grown := 0
			t.each(w, members, func(pos uint16, v tree.Value) {
				for _, i := range a.of(pos) {
					grown += g.all[i].Cells[k].add(t.of.Fn, v)
				}
			})
			if err := w.plan.budget.charge(grown); err != nil {
				return err
			}
		}
		return nil
	})
	w.part.Groups = g.all
	return err
}

func (s *stats) merge(_ int, parts []*Partial) (bool, error) {
	if len(s.by) == 0 { // one row, also of nobody
		if _, err := s.groups.at(nil); err != nil {
			return false, err
		}
	}
	return true, s.mergeGroups(parts)
}

func (s *stats) answer() (*query.Answer, error) {
	rows := make([][]tree.Value, len(s.groups.all))
	for i, g := range s.groups.all {
		results := map[*tree.Measure]tree.Value{}
		for k, m := range s.measures {
			results[m] = g.Cells[k].result(m.Fn, m.Percent)
		}
		row := g.Key
		for _, c := range s.stmt.Columns {
			row = append(row, combine(c.X, results))
		}
		rows[i] = row
	}
	return &query.Answer{Columns: s.columns, Rows: s.first(rows)}, nil
}

// combine computes arithmetic of finished measures.
func combine(x tree.Expr, results map[*tree.Measure]tree.Value) tree.Value {
	switch x := x.(type) {
	case *tree.Measure:
		return results[x]
	case *tree.Literal:
		return x.Value
	case *tree.Arith:
		l, r := combine(x.L, results), combine(x.R, results)
		if l.Type != tree.NumberType || r.Type != tree.NumberType {
			return tree.Value{}
		}
		if n, ok := arith(x.Op, l.Number(), r.Number()); ok {
			return tree.Num(n)
		}
	}
	return tree.Value{}
}

func arith(op tree.Op, l, r tree.Number) (tree.Number, bool) {
	switch op {
	case tree.AddOp:
		return l.Add(r)
	case tree.SubOp:
		return l.Sub(r)
	case tree.MulOp:
		return l.Mul(r)
	}
	return l.Div(r)
}

// share returns part ÷ whole as a number, missing when whole is 0.
func share(part, whole int64) tree.Value {
	if whole == 0 {
		return tree.Value{}
	}
	f, _ := big.NewRat(part, whole).Float64()
	n, _ := tree.FromFloat(f)
	return tree.Num(n)
}
