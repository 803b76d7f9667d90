package exec

import (
	"context"
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// retention is `retention "A" then "B" <window> by unit [where P]`. The key of a group is the start of
// the cohort's bucket and the start of the bucket of a B; the second is missing for the cohort's size.
type retention struct {
	stmt     *tree.RetentionStmt
	calendar bucketCalendar
	from, to int64
	now      int64
	groups   *groups
}

func newRetention(p *Plan, s *tree.RetentionStmt) (statement, error) {
	r := &retention{stmt: s, now: p.env.Now, calendar: bucketCalendar{unit: s.Bucket, zone: p.env.Zone}}
	compiled, err := r.scans(&p.env)
	if err != nil {
		return nil, err
	}
	r.from, r.to = compiled[0].Window()
	r.groups = newGroups(&p.budget, tree.CountFn)
	return r, nil
}

func (r *retention) scans(env *eval.Env) ([]*eval.Events, error) {
	first, err := eval.CompileEvents(env, r.stmt.First, r.stmt.Window)
	if err != nil {
		return nil, err
	}
	then, err := eval.CompileEvents(env, r.stmt.Then, tree.Window{})
	return []*eval.Events{first, then}, err
}

func (r *retention) preds() []tree.Pred { return []tree.Pred{r.stmt.Where} }

func (r *retention) partial(ctx context.Context, w *worker, _ int) error {
	compiled, err := r.scans(w.env)
	if err != nil {
		return err
	}
	c := newRetentionScan(bindScans(compiled, w.src), bucketCalendar{unit: r.stmt.Bucket, zone: w.env.Zone}, &w.visitors)
	err = w.members(ctx, r.stmt.Where, func(members *query.Bits) error {
		c.chunk(w.chunk, members)
		w.keep(c.made * (groupBytes + 2*keyBytes + cellBytes))
		c.made = 0
		return w.chargeSets()
	})
	w.part.Groups = c.groups()
	return err
}

func (r *retention) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		if err := r.groups.add(part.Groups); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *retention) count(cohort int64, period tree.Value) int64 {
	i, known := r.groups.find([]tree.Value{tree.Time(cohort), period})
	if !known {
		return 0
	}
	return r.groups.all[i].Cells[0].N
}

func (r *retention) answer() (*query.Answer, error) {
	first := r.from
	if first == calendar.Never {
		first = r.to
		for _, g := range r.groups.all {
			first = min(first, g.Key[0].Int)
		}
	}
	cohorts, err := r.calendar.through(first, r.to-1)
	if err != nil {
		return nil, err
	}
	if len(cohorts) > 1000 {
		return nil, tooManyRows(r.stmt.Bucket)
	}
	a := &query.Answer{Columns: []query.Column{{Name: "cohort", Type: "date"}, {Name: "size", Type: "number"}}}
	for k := range cohorts {
		a.Columns = append(a.Columns, query.Column{Name: fmt.Sprintf("period_%d", k), Type: "number"})
	}
	for _, c := range cohorts {
		size := r.count(c.from, tree.Value{})
		if size == 0 {
			continue
		}
		row := []tree.Value{r.calendar.name(c.from), tree.NumInt(size)}
		a.Rows = append(a.Rows, r.periods(row, c, len(cohorts)))
	}
	return a, nil
}

// periods appends to a row how many profiles of a cohort did B in each of n buckets, beginning with the
// cohort's own.
func (r *retention) periods(row []tree.Value, cohort bucket, n int) []tree.Value {
	b := cohort
	for range n {
		var v tree.Value
		if b.from <= r.now {
			v = tree.NumInt(r.count(cohort.from, tree.Time(b.from)))
		}
		row = append(row, v)
		b = r.calendar.compute(b.to)
	}
	return row
}
