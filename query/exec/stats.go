package exec

import (
	"context"
	"fmt"
	"math/big"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// stats is `stats M [as name], … [where P] [by D, …]`: measures over members, or over the events of all
// members together. Each measure in the statement has one cell in every group.
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
func (s *stats) collect(x tree.Expr) (err error) {
	tree.Inspect(x, func(n tree.Node) bool {
		m, ok := n.(*tree.Measure)
		if !ok {
			return true
		}
		switch m.Fn {
		case tree.FirstFn, tree.LastFn, tree.FavoriteFn:
			if err == nil {
				err = &tree.Diagnostic{Code: tree.CodeNotForStats, At: m.At, Message: fmt.Sprintf("%s has no meaning over many profiles", m.Fn),
					Hint: "use count, sum, avg, min, max, distinct or days; by takes " + m.Fn.String()}
			}
		}
		s.measures = append(s.measures, m)
		return false
	})
	return err
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

func (s *stats) partial(ctx context.Context, w *worker, _ int) error {
	if err := w.by(s.by); err != nil {
		return err
	}
	meters, err := w.newMeters(s.measures)
	if err != nil {
		return err
	}
	g := newGroups(&w.plan.budget, s.fns()...)
	flush := func() error {
		for _, t := range meters {
			if err := w.flushTotals(t); err != nil {
				return err
			}
		}
		return nil
	}
	err = w.members(ctx, s.stmt.Where, func(members *query.Bits) error { return w.meterChunk(meters, members, g, flush) })
	if err == nil {
		err = flush()
	}
	w.part.Groups = g.all
	return err
}

// meterChunk computes all meters over the members of a chunk: by slot where dimensions and function
// allow it, value by value otherwise.
func (w *worker) meterChunk(meters []*meter, members *query.Bits, g *groups, flush func() error) error {
	slotted, err := w.slotted(g, flush)
	if err != nil {
		return err
	}
	var slots *[query.ChunkSize]uint16
	var assigned *assignment
	for _, t := range meters {
		if slotted && t.bySlot() {
			if slots == nil {
				slots = w.fillSlots(members)
				if err := w.makeSlotGroups(members); err != nil {
					return err
				}
				w.markOthers(members)
			}
			if err := w.totalChunk(t, members, slots); err != nil {
				return err
			}
			continue
		}
		if assigned == nil {
			if assigned, err = w.assign(members, g); err != nil {
				return err
			}
			slots = nil // assign overwrites them
		}
		if err := t.take(w, members, assigned, g); err != nil {
			return err
		}
	}
	return nil
}

func (s *stats) merge(_ int, parts []*Partial) (bool, error) {
	if len(s.by) == 0 { // one row, even without members
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
			if more := g.Cells[k].More; more != nil {
				firstRows(more.All, -1, s.halt(), tree.Number.Compare)
			}
			if s.halt().ended() {
				return nil, s.halt().err
			}
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

// combine computes an expression from the results of its measures.
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
		if n, ok := x.Op.Of(l.Number(), r.Number()); ok {
			return tree.Num(n)
		}
	}
	return tree.Value{}
}

// share returns part ÷ whole as a number; it is missing when whole is 0.
func share(part, whole int64) tree.Value {
	if whole == 0 {
		return tree.Value{}
	}
	f, _ := big.NewRat(part, whole).Float64()
	n, _ := tree.FromFloat(f)
	return tree.Num(n)
}
