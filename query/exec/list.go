package exec

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// sortedRows is the number of rows beyond which a list without `order by` comes as it is stored.
const sortedRows = 100_000

// list is `list [A, …] [where P] [order by …] [limit N]`.
type list struct {
	stmt    *tree.ListStmt
	columns []query.Column
	orders  []tree.Order
	limit   int64 // -1: none
	rows    []Row
	total   int64
}

func newList(p *Plan, s *tree.ListStmt) (statement, error) {
	l := &list{stmt: s, limit: s.Limit, columns: []query.Column{{Name: "user_id", Type: "string"}}}
	if p.opts.MaxRows > 0 && (l.limit < 0 || l.limit > p.opts.MaxRows) {
		l.limit = p.opts.MaxRows
	}
	for _, c := range s.Columns {
		x, err := eval.CompileExpr(&p.env, c.X)
		if err != nil {
			return nil, fmt.Errorf("prepare column: %w", err)
		}
		l.columns = append(l.columns, query.Column{Name: columnTitle(c), Type: columnType(x.Type())})
	}
	for _, o := range s.Order {
		if name, ok := o.X.(*tree.Name); ok {
			for _, c := range s.Columns {
				if c.As == name.Name {
					o.X = c.X
				}
			}
		}
		if _, err := eval.CompileExpr(&p.env, o.X); err != nil {
			return nil, fmt.Errorf("prepare order: %w", err)
		}
		l.orders = append(l.orders, o)
	}
	return l, nil
}

func (l *list) preds() []tree.Pred { return []tree.Pred{l.stmt.Where} }

// stores implements storer.
func (l *list) stores() bool { return l.stored(sortedRows + 1) }

// stored tells whether rows come in the order of storage.
func (l *list) stored(total int64) bool {
	return len(l.orders) == 0 && (l.limit < 0 || l.limit > sortedRows) && total > sortedRows
}

func (l *list) compare(a, b *Row) int {
	for i, o := range l.orders {
		if c := compareOrdered(a.Keys[i], b.Keys[i], o.Desc); c != 0 {
			return c
		}
	}
	switch {
	case a.ID < b.ID:
		return -1
	case a.ID > b.ID:
		return 1
	}
	return cmp.Compare(a.Place, b.Place)
}

// bindAll compiles expressions for the worker's source.
func (w *worker) bindAll(exprs []tree.Expr) ([]*eval.ExprEvaluator, error) {
	bound := make([]*eval.ExprEvaluator, len(exprs))
	for i, x := range exprs {
		compiled, err := eval.CompileExpr(w.env, x)
		if err != nil {
			return nil, err
		}
		bound[i] = compiled.On(w.src)
	}
	return bound, nil
}

func (l *list) partial(ctx context.Context, w *worker, _ int) error {
	var keyExprs, columnExprs []tree.Expr
	for _, o := range l.orders {
		keyExprs = append(keyExprs, o.X)
	}
	for _, c := range l.stmt.Columns {
		columnExprs = append(columnExprs, c.X)
	}
	keys, err := w.bindAll(keyExprs)
	if err != nil {
		return err
	}
	columns, err := w.bindAll(columnExprs)
	if err != nil {
		return err
	}
	top := &topRows{list: l, budget: &w.plan.budget}
	vectors := make([]eval.Vector, max(len(keys), len(columns)))
	err = w.members(ctx, l.stmt.Where, func(members *query.Bits) error {
		for i := range keys {
			keys[i].Chunk(w.chunk, members, &vectors[i])
		}
		var kept query.Bits
		row := Row{Keys: make([]tree.Value, len(keys))} // copied when it is kept
		for pos := range members.All {
			row.ID, row.Place = w.src.ID(w.ordinal(pos)), w.place(pos)
			for i := range keys {
				row.Keys[i] = vectors[i].Value(int(pos))
			}
			if added, err := top.add(row); err != nil {
				return err
			} else if added {
				kept.Set(pos)
			}
		}
		if !kept.Any() {
			return nil
		}
		for i := range columns {
			columns[i].Chunk(w.chunk, &kept, &vectors[i])
		}
		return top.fill(w.place(0), vectors[:len(columns)])
	})
	w.part.Rows = top.finish()
	return err
}

// topRows keeps the first rows of a list. It lets them grow to twice the limit before it cuts.
type topRows struct {
	list   *list
	budget *budget
	rows   []placed
	worst  *Row // of the last cut: what is behind it need not come in
	next   int  // rows before it have their columns
}

// placed is a row that may still lack its columns.
type placed struct {
	Row
	filled bool
}

func (t *topRows) add(row Row) (bool, error) {
	limit := t.list.limit
	if limit == 0 {
		return false, nil
	}
	if limit > 0 && limit <= sortedRows && int64(len(t.rows)) >= 2*limit {
		t.cut()
	}
	if t.worst != nil && t.list.compare(&row, t.worst) > 0 {
		return false, nil
	}
	if err := t.budget.charge(rowBytes(row)); err != nil {
		return false, err
	}
	row.Keys = slices.Clone(row.Keys)
	t.rows = append(t.rows, placed{Row: row})
	return true, nil
}

func (t *topRows) cut() {
	sort.SliceStable(t.rows, func(i, j int) bool { return t.list.compare(&t.rows[i].Row, &t.rows[j].Row) < 0 })
	if limit := t.list.limit; limit >= 0 && int64(len(t.rows)) > limit {
		for i := range t.rows[limit:] {
			t.budget.refund(rowBytes(t.rows[int(limit)+i].Row))
		}
		t.rows = t.rows[:limit]
		worst := t.rows[limit-1].Row
		t.worst = &worst
	}
	t.next = 0
}

// fill reads the columns of the rows of the chunk whose first place is given.
func (t *topRows) fill(first uint64, columns []eval.Vector) error {
	for ; t.next < len(t.rows); t.next++ {
		r := &t.rows[t.next]
		if r.filled || r.Place < first || r.Place-first >= query.ChunkSize {
			continue
		}
		r.filled = true
		grown := 0
		for c := range columns {
			v := columns[c].Value(int(r.Place - first))
			r.Values = append(r.Values, v)
			grown += valueBytes(v)
		}
		if err := t.budget.charge(grown); err != nil {
			return err
		}
	}
	return nil
}

func (t *topRows) finish() []Row {
	if t.list.limit >= 0 && t.list.limit <= sortedRows {
		t.cut()
	}
	rows := make([]Row, len(t.rows))
	for i := range t.rows {
		rows[i] = t.rows[i].Row
	}
	return rows
}

func valueBytes(v tree.Value) int { return 64 + len(v.Str) + 64*len(v.List) }

func rowBytes(r Row) int {
	n := 80 + len(r.ID)
	for _, v := range r.Keys {
		n += valueBytes(v)
	}
	for _, v := range r.Values {
		n += valueBytes(v)
	}
	return n
}

func (l *list) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		l.total += part.Members
		l.rows = append(l.rows, part.Rows...)
	}
	if !l.stored(l.total) {
		sort.SliceStable(l.rows, func(i, j int) bool { return l.compare(&l.rows[i], &l.rows[j]) < 0 })
	}
	if l.limit >= 0 && int64(len(l.rows)) > l.limit {
		l.rows = l.rows[:l.limit]
	}
	return true, nil
}

func (l *list) answer() (*query.Answer, error) {
	a := &query.Answer{Columns: l.columns, Rows: make([][]tree.Value, len(l.rows))}
	for i, r := range l.rows {
		a.Rows[i] = append([]tree.Value{tree.Str(r.ID)}, r.Values...)
	}
	return a, nil
}
