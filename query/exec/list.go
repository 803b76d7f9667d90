package exec

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// sortedRows is the most rows for which a list without `order by` is sorted by id; longer ones come in
// storage order. It is also the number of rows that a list with `order by` returns without `limit`.
const sortedRows = 100_000

// list is `list [A, …] [where P] [order by …] [limit N]`. If many values are requested, the first round
// finds the rows and the second reads their columns: most rows that the first round meets do not stay in
// the list.
type list struct {
	stmt    *tree.ListStmt
	columns []query.Column
	orders  []tree.Order
	limit   int64 // -1: none
	cut     bool  // limit is the default of a list with `order by`
	many    bool  // columns are read in a second round
	plan    *Plan
	budget  *budget
	rows    []Row
	total   int64
}

// lateValues is the most values (rows × columns) for which columns are read in the first round.
const lateValues = 16 << 10

func newList(p *Plan, s *tree.ListStmt) (statement, error) {
	l := &list{stmt: s, limit: s.Limit, plan: p, budget: &p.budget, columns: []query.Column{{Name: "user_id", Type: "string"}}}
	if l.limit < 0 && len(s.Order) > 0 {
		l.limit, l.cut = sortedRows, true
	}
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
	n := int64(len(s.Columns))
	l.many = n > 0 && !l.perChunk() && (l.limit < 0 || l.limit > lateValues/n)
	return l, nil
}

func (l *list) preds() []tree.Pred { return []tree.Pred{l.stmt.Where} }

// perChunk implements perChunker.
func (l *list) perChunk() bool { return l.inStorageOrder(sortedRows + 1) }

// inStorageOrder reports whether a list of this many rows comes in storage order.
func (l *list) inStorageOrder(total int64) bool {
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

func (l *list) partial(ctx context.Context, w *worker, round int) error {
	var keyExprs, columnExprs []tree.Expr
	for _, o := range l.orders {
		keyExprs = append(keyExprs, o.X)
	}
	for _, c := range l.stmt.Columns {
		columnExprs = append(columnExprs, c.X)
	}
	columns, err := w.bindAll(columnExprs)
	if err != nil {
		return err
	}
	if round == 1 {
		return l.fillRows(ctx, w, columns)
	}
	keys, err := w.bindAll(keyExprs)
	if err != nil {
		return err
	}
	top := newTopRows(l, w)
	vectors := make([]*eval.Vector, len(keys))
	for i := range vectors {
		vectors[i] = w.scratch.Vector()
	}
	err = w.members(ctx, l.stmt.Where, func(members *query.Bits) error {
		for i := range keys {
			keys[i].Chunk(w.chunk, members, vectors[i])
		}
		var kept query.Bits
		row := Row{Keys: make([]tree.Value, len(keys))} // add copies it
		for pos := range members.All {
			if !w.scratch.Spend(idWork) {
				return w.scratch.Err()
			}
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
		if l.many || !kept.Any() {
			return nil
		}
		return w.fill(columns, &kept, top.rowsOf(w.place(0)))
	})
	w.part.Rows = top.finish()
	return err
}

// idWork is the approximate time to read a profile for a list, in nanoseconds.
const idWork = 100

// fillRows reads the columns of the rows of the answer.
func (l *list) fillRows(ctx context.Context, w *worker, columns []*eval.ExprEvaluator) error {
	chosen := w.plan.state.Stmt.Rows // by place
	return w.profiles(ctx, func(*query.Bits) error {
		within := rowsWithin(chosen, w.place(0))
		if len(within) == 0 {
			return nil
		}
		var kept query.Bits
		rows := make([]*Row, 0, len(within))
		n := len(w.part.Rows)
		for _, r := range within {
			kept.Set(uint16(r.Place))
			w.part.Rows = append(w.part.Rows, Row{Place: r.Place})
		}
		for i := range w.part.Rows[n:] {
			rows = append(rows, &w.part.Rows[n+i])
		}
		return w.fill(columns, &kept, rows)
	})
}

func comparePlace(r Row, place uint64) int { return cmp.Compare(r.Place, place) }

// fill reads the columns of rows of the current chunk, one column after the other.
func (w *worker) fill(columns []*eval.ExprEvaluator, kept *query.Bits, rows []*Row) error {
	values := w.scratch.Vector()
	defer w.scratch.Return(values)
	if err := w.plan.budget.charge(len(rows) * len(columns) * emptyBytes); err != nil {
		return err
	}
	for _, r := range rows {
		r.Values = make([]tree.Value, len(columns))
	}
	for c := range columns {
		columns[c].Chunk(w.chunk, kept, values)
		for _, r := range rows {
			v := values.Value(int(uint16(r.Place)))
			r.Values[c] = v
			if !w.keep(valueBytes(v) - emptyBytes) {
				break
			}
		}
		if err := w.scratch.Err(); err != nil {
			return err
		}
	}
	return nil
}

// emptyBytes is the size of a value without its text and items.
const emptyBytes = 64

func valueBytes(v tree.Value) int { return emptyBytes + len(v.Str) + emptyBytes*len(v.List) }

// rowOverhead is the size of a row in a partial without its texts and values: the row itself, and its
// element in the slice of found rows.
const rowOverhead = 192

func rowBytes(r Row) int {
	n := rowOverhead + len(r.ID)
	for _, v := range r.Keys {
		n += valueBytes(v)
	}
	for _, v := range r.Values {
		n += valueBytes(v)
	}
	return n
}

// mergedBytes is charged for a row when partials are merged, and for its place in the answer.
const mergedBytes = 160

func (l *list) merge(round int, parts []*Partial) (bool, error) {
	if round == 1 {
		return true, l.mergeColumns(parts)
	}
	n := 0
	for _, part := range parts {
		l.total += part.Members
		n += len(part.Rows)
	}
	if err := l.budget.charge(n * mergedBytes); err != nil {
		return false, err
	}
	l.rows = make([]Row, 0, n)
	if l.inStorageOrder(l.total) {
		parts = slices.SortedFunc(slices.Values(parts), compareFirst)
	}
	for _, part := range parts {
		l.rows = append(l.rows, part.Rows...)
		part.Rows = nil
	}
	if !l.inStorageOrder(l.total) {
		l.rows = firstRows(l.rows, l.limit, &l.budget.halt, func(a, b Row) int { return l.compare(&a, &b) })
	}
	if l.limit >= 0 && int64(len(l.rows)) > l.limit {
		l.rows = l.rows[:l.limit]
	}
	return !l.many, nil
}

// compareFirst orders partials by the places of their first rows.
func compareFirst(a, b *Partial) int {
	if len(a.Rows) == 0 || len(b.Rows) == 0 {
		return cmp.Compare(len(a.Rows), len(b.Rows))
	}
	return cmp.Compare(a.Rows[0].Place, b.Rows[0].Place)
}

// shared implements sharer: it returns the places of the rows for the second round.
func (l *list) shared() *Partial {
	if !l.many {
		return nil
	}
	return l.places()
}

// places returns the places of the rows, ascending.
func (l *list) places() *Partial {
	places := make([]Row, len(l.rows))
	for i := range l.rows {
		places[i].Place = l.rows[i].Place
	}
	slices.SortFunc(places, func(a, b Row) int { return cmp.Compare(a.Place, b.Place) })
	return &Partial{Rows: places}
}

// rowsWithin returns the rows of one chunk among rows that are ascending by place; first is the first
// place of the chunk.
func rowsWithin(rows []Row, first uint64) []Row {
	from, _ := slices.BinarySearchFunc(rows, first, comparePlace)
	to, _ := slices.BinarySearchFunc(rows, first+query.ChunkSize, comparePlace)
	return rows[from:to]
}

// mergeColumns sets the columns of the rows.
func (l *list) mergeColumns(parts []*Partial) error {
	at := make(map[uint64]int, len(l.rows))
	for i := range l.rows {
		at[l.rows[i].Place] = i
	}
	for _, part := range parts {
		for _, r := range part.Rows {
			i, known := at[r.Place]
			if !known || len(r.Values) != len(l.columns)-1 {
				return fmt.Errorf("a partial has columns of a row that is not in the list")
			}
			l.rows[i].Values = r.Values
		}
	}
	return nil
}

func (l *list) answer() (*query.Answer, error) {
	if err := l.budget.charge(len(l.rows) * (len(l.columns)*emptyBytes + 24)); err != nil {
		return nil, err
	}
	a := &query.Answer{Columns: l.columns, Rows: make([][]tree.Value, len(l.rows))}
	for i, r := range l.rows {
		row := make([]tree.Value, 0, len(l.columns))
		a.Rows[i] = append(append(row, tree.Str(r.ID)), r.Values...)
	}
	if left := l.total - int64(len(l.rows)); l.cut && left > 0 && len(l.rows) == sortedRows {
		a.Warnings = append(a.Warnings, tree.Diagnostic{Code: tree.CodeRowsLeftOut,
			Message: fmt.Sprintf("these are the first %d rows in order; %d more were left out", sortedRows, left),
			Hint:    "use  limit  to get more, or list without order by"})
	}
	return a, nil
}
