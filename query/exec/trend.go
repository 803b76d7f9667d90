package exec

import (
	"context"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// trend is `trend "Event" <window> by unit [of …] [where P] [by D]`. The key of a group is the start of
// its bucket as a time, followed by the dimensions.
type trend struct {
	breakdown
	stmt     *tree.TrendStmt
	fn       tree.Fn
	calendar bucketCalendar
	from, to int64 // of the window, which ends at now at the latest
}

func newTrend(p *Plan, s *tree.TrendStmt) (statement, error) {
	b, err := p.newBreakdown(s.By)
	if err != nil {
		return nil, err
	}
	t := &trend{breakdown: b, stmt: s, fn: tree.CountFn, calendar: bucketCalendar{unit: s.Bucket, zone: p.env.Zone}}
	value := query.Column{Name: "count", Type: "number"}
	if s.Users {
		value.Name = "users"
	} else if s.Of != nil {
		t.fn = s.Of.Fn
		value.Name = syntax.FormatExpr(s.Of)
	}
	rows, err := t.compile(&p.env)
	if err != nil {
		return nil, err
	}
	if t.fn == tree.MinFn || t.fn == tree.MaxFn {
		value.Type = columnType(rows.Type(0))
	}
	t.from, t.to = rows.Window()
	t.columns = append([]query.Column{{Name: s.Bucket.String(), Type: "date"}}, append(t.columns, value)...)
	t.groups = newGroups(&p.budget, t.fn)
	return t, nil
}

func (t *trend) compile(env *eval.Env) (*eval.Events, error) {
	if t.stmt.Of == nil || t.stmt.Of.Arg == nil {
		return eval.CompileEvents(env, t.stmt.Step, t.stmt.Window)
	}
	return eval.CompileEvents(env, t.stmt.Step, t.stmt.Window, t.stmt.Of.Arg)
}

func (t *trend) preds() []tree.Pred { return t.predsWith(t.stmt.Where) }

func (t *trend) partial(ctx context.Context, w *worker, _ int) error {
	if err := w.by(t.by); err != nil {
		return err
	}
	compiled, err := t.compile(w.env)
	if err != nil {
		return err
	}
	c := &trendScan{
		worker: w, trend: t, scan: compiled.On(w.src), arg: t.stmt.Of != nil && t.stmt.Of.Arg != nil,
		buckets: newBucketer(bucketCalendar{unit: t.stmt.Bucket, zone: w.env.Zone}), seen: &w.visitors,
	}
	keys := newGroups(&w.plan.budget)
	err = w.members(ctx, t.stmt.Where, func(members *query.Bits) error {
		c.members = members
		if c.groups, err = w.assign(members, keys); err != nil {
			return err
		}
		c.chunk(w.chunk, len(keys.all))
		return w.chargeSets()
	})
	w.part.Groups = c.found(keys)
	return err
}

func (t *trend) merge(_ int, parts []*Partial) (bool, error) {
	return true, t.mergeGroups(parts)
}

func (t *trend) answer() (*query.Answer, error) {
	a := &query.Answer{Columns: t.columns}
	first := t.from
	if first == calendar.Never {
		first = t.to // nothing to show before the first event
		for _, g := range t.groups.all {
			first = min(first, g.Key[0].Int)
		}
	}
	starts, err := t.calendar.through(first, t.to-1)
	if err != nil {
		return nil, err
	}
	keys := newGroups(t.groups.budget)
	if len(t.by) == 0 {
		if _, err := keys.at(nil); err != nil {
			return nil, err
		}
	}
	for _, g := range t.groups.all {
		if t.halt().ended() {
			return nil, t.halt().err
		}
		if _, err := keys.at(g.Key[1:]); err != nil {
			return nil, err
		}
	}
	sortGroups(keys.all, t.halt())
	if len(keys.all)*len(starts) > maxBuckets {
		return nil, tooManyRows(t.stmt.Bucket)
	}
	width := 2 + len(t.by)
	a.Rows = make([][]tree.Value, 0, len(starts)*len(keys.all))
	values := make([]tree.Value, 0, len(starts)*len(keys.all)*width)
	key := make([]tree.Value, 0, width)
	for _, b := range starts {
		name := t.calendar.name(b.from)
		for _, k := range keys.all {
			cell := &Cell{}
			key = append(append(key[:0], tree.Time(b.from)), k.Key...)
			if i, known := t.groups.find(key); known {
				cell = &t.groups.all[i].Cells[0]
			}
			from := len(values)
			values = append(append(append(values, name), k.Key...), cell.result(t.fn, tree.Number{}))
			a.Rows = append(a.Rows, values[from:len(values):len(values)])
		}
	}
	return a, nil
}
