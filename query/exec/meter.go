package exec

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// meter reads one measure from one source: from the events of a step, or from an attribute. A sum and an
// average of the same values share a meter.
type meter struct {
	of    *tree.Measure
	cells []meterCell
	scan  *eval.EventScan
	days  *calendar.Days
	expr  *eval.ExprEvaluator

	plain     bool // the argument is an attribute, unchanged
	attribute uint32
	t         tree.Type // of the argument
	totals    slotTotals
}

// meterCell is a cell that every group has for the values of a meter.
type meterCell struct {
	place int
	fn    tree.Fn
}

// newMeters returns the meters for measures.
func (w *worker) newMeters(measures []*tree.Measure) ([]*meter, error) {
	var all []*meter
	by := map[string]*meter{} // only for sums and averages
	for i, m := range measures {
		cell := meterCell{place: i, fn: m.Fn}
		key := ""
		if m.Fn == tree.SumFn || m.Fn == tree.AvgFn {
			of := *m
			of.Fn = tree.SumFn
			key = syntax.FormatExpr(&of)
		}
		if t := by[key]; t != nil {
			t.cells = append(t.cells, cell)
			continue
		}
		t, err := w.newMeter(m)
		if err != nil {
			return nil, err
		}
		t.cells = []meterCell{cell}
		all = append(all, t)
		if key != "" {
			by[key] = t
		}
	}
	return all, nil
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
		if m.Arg != nil {
			t.t = rows.Type(0)
		}
		t.scan, t.days = rows.On(w.src), calendar.NewDays(w.env.Zone)
		return t, nil
	}
	if m.Arg == nil {
		return t, nil
	}
	compiled, err := eval.CompileExpr(w.env, m.Arg)
	if err != nil {
		return nil, err
	}
	t.expr, t.t = compiled.On(w.src), compiled.Type()
	if name, ok := m.Arg.(*tree.Name); ok {
		id, _, known := w.env.Schema.Attribute(name.Name)
		t.attribute, t.plain = id, known && id >= query.FirstAttribute
	}
	return t, nil
}

// each calls fn with every value of the members of a chunk, except missing ones. A measure without an
// argument has one missing value for each event or member.
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
		values := w.scratch.Vector()
		defer w.scratch.Return(values)
		t.expr.Chunk(w.chunk, members, values)
		for pos := range members.All {
			if v := values.Value(int(pos)); !v.Missing() {
				fn(pos, v)
			}
		}
	default:
		for pos := range members.All {
			fn(pos, tree.Value{})
		}
	}
}

// take adds the values of the members of a chunk to the cells of their groups, one by one.
func (t *meter) take(w *worker, members *query.Bits, a *assignment, g *groups) error {
	t.each(w, members, func(pos uint16, v tree.Value) {
		for _, i := range a.of(pos) {
			for _, c := range t.cells {
				if n := g.all[i].Cells[c.place].add(c.fn, v); n > 0 && !w.keep(n) {
					return
				}
			}
		}
	})
	return w.scratch.Err()
}
