package exec

import (
	"context"
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// funnel is `funnel "A" then "B" … within D <window> [where P] [by D]`: a cell per step.
type funnel struct {
	breakdown
	stmt *tree.FunnelStmt
}

func newFunnel(p *Plan, s *tree.FunnelStmt) (statement, error) {
	b, err := p.newBreakdown(s.By)
	if err != nil {
		return nil, err
	}
	f := &funnel{breakdown: b, stmt: s}
	f.columns = append(f.columns, query.Column{Name: "step", Type: "number"}, query.Column{Name: "event", Type: "string"},
		query.Column{Name: "profiles", Type: "number"}, query.Column{Name: "conversion", Type: "number"})
	f.groups = newGroups(&p.budget, make([]tree.Fn, len(s.Steps))...)
	_, err = f.scans(&p.env)
	return f, err
}

// scans compiles the steps. The window applies to the first one.
func (f *funnel) scans(env *eval.Env) ([]*eval.Events, error) {
	scans := make([]*eval.Events, len(f.stmt.Steps))
	for i, step := range f.stmt.Steps {
		w := tree.Window{}
		if i == 0 {
			w = f.stmt.Window
		}
		var err error
		if scans[i], err = eval.CompileEvents(env, step, w); err != nil {
			return nil, err
		}
	}
	return scans, nil
}

func (f *funnel) preds() []tree.Pred { return f.predsWith(f.stmt.Where) }

// gap returns the longest time allowed from the first step to the last; without `within` there is no
// limit.
func (f *funnel) gap() int64 {
	if ms, ok := f.stmt.Within.Millis(); ok && f.stmt.Within.N > 0 {
		return ms
	}
	return math.MaxInt64
}

func (f *funnel) partial(ctx context.Context, w *worker, _ int) error {
	if err := w.by(f.by); err != nil {
		return err
	}
	compiled, err := f.scans(w.env)
	if err != nil {
		return err
	}
	scans := bindScans(compiled, w.src)
	g := newGroups(&w.plan.budget, make([]tree.Fn, len(scans))...)
	attempts := eval.NewAttempts(scans, f.gap())
	err = w.members(ctx, f.stmt.Where, func(members *query.Bits) error {
		a, err := w.assign(members, g)
		if err != nil {
			return err
		}
		for k, reached := range attempts.Chunk(w.chunk, members) {
			a.count(&reached, g, k)
		}
		return nil
	})
	w.part.Groups = g.all
	return err
}

func bindScans(compiled []*eval.Events, src query.Source) []*eval.EventScan {
	scans := make([]*eval.EventScan, len(compiled))
	for i, c := range compiled {
		scans[i] = c.On(src)
	}
	return scans
}

func (f *funnel) merge(_ int, parts []*Partial) (bool, error) {
	if len(f.by) == 0 {
		if _, err := f.groups.at(nil); err != nil {
			return false, err
		}
	}
	return true, f.mergeGroups(parts)
}

func (f *funnel) answer() (*query.Answer, error) {
	sortGroups(f.groups.all, f.halt())
	a := &query.Answer{Columns: f.columns}
	for _, g := range f.groups.all {
		for k, step := range f.stmt.Steps {
			n := g.Cells[k].N
			row := append([]tree.Value(nil), g.Key...)
			a.Rows = append(a.Rows, append(row, tree.NumInt(int64(k+1)), tree.Str(step.Event), tree.NumInt(n), share(n, g.Cells[0].N)))
		}
	}
	a.Rows = cutRows(a.Rows, defaultBy)
	return a, nil
}
