package exec

import (
	"slices"

	"github.com/musterdb/muster/query"
)

// topRows keeps the first rows of a list among those a worker meets. Once there are as many as the
// limit, they form a heap with the last row on top, which any row before it replaces. A list without a
// limit, or one without `order by` and with a limit above sortedRows, keeps all rows in the order in
// which they come.
type topRows struct {
	list   *list
	worker *worker
	limit  int // -1: all rows are kept
	rows   []*Row
	heap   bool
}

func newTopRows(l *list, w *worker) *topRows {
	t := &topRows{list: l, worker: w, limit: -1}
	if l.limit >= 0 && (l.limit <= sortedRows || len(l.orders) > 0) {
		t.limit = int(l.limit)
	}
	return t
}

// add adds a row if it may be one of the first, and reports whether it did.
func (t *topRows) add(row Row) (bool, error) {
	switch {
	case t.limit == 0:
		return false, nil
	case len(t.rows) != t.limit:
		if !t.worker.keep(rowBytes(row)) {
			return false, t.worker.scratch.Err()
		}
		row.Keys = slices.Clone(row.Keys)
		t.rows = append(t.rows, &row)
		return true, nil
	case !t.heap:
		t.heap = true
		for i := len(t.rows)/2 - 1; i >= 0; i-- {
			sink(t.rows, i, t.list.compare)
		}
	}
	last := t.rows[0]
	if t.list.compare(&row, last) >= 0 {
		return false, nil
	}
	if !t.worker.keep(rowBytes(row)-rowBytes(*last)) || !t.worker.scratch.Spend(rowWork) {
		return false, t.worker.scratch.Err()
	}
	keys := last.Keys
	copy(keys, row.Keys)
	*last = row
	last.Keys = keys
	sink(t.rows, 0, t.list.compare)
	return true, nil
}

// rowWork is the approximate time to put a row in its place, in nanoseconds.
const rowWork = 500

// rowsOf returns the rows of the chunk whose first place is given.
func (t *topRows) rowsOf(first uint64) (rows []*Row) {
	for _, r := range t.rows {
		if r.Place-first < query.ChunkSize {
			rows = append(rows, r)
		}
	}
	return rows
}

// finish returns the rows. If all rows were kept, they are in the order in which they came.
func (t *topRows) finish() []Row {
	rows := make([]Row, len(t.rows))
	for i, r := range t.rows {
		rows[i] = *r
		t.rows[i] = nil
	}
	return rows
}
