package exec

import (
	"fmt"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// columnOrder is one `order by` column of a statement with a breakdown, as an index into the columns of
// the answer.
type columnOrder struct {
	column int
	desc   bool
}

// columnOrders finds the columns that an `order by` refers to, by name or text.
func columnOrders(order []tree.Order, columns []query.Column) ([]columnOrder, error) {
	var orders []columnOrder
next:
	for _, o := range order {
		title := columnTitle(tree.Column{X: o.X})
		for i, c := range columns {
			if c.Name == title || c.Name == syntax.FormatExpr(o.X) {
				orders = append(orders, columnOrder{i, o.Desc})
				continue next
			}
		}
		names := make([]string, 0, 3)
		for _, c := range columns[:min(3, len(columns))] {
			names = append(names, c.Name)
		}
		var at tree.Span
		if name, ok := o.X.(*tree.Name); ok {
			at = name.At
		}
		return nil, &tree.Diagnostic{
			Code: tree.CodeUnknownColumn, Message: fmt.Sprintf("there is no column %s to order by", title), At: at,
			Hint: "order by a column of the answer", Suggestions: names,
		}
	}
	return orders, nil
}

// compareBy orders rows by the given columns, and then by the first ties columns, ascending. Missing
// values are last in either direction.
func compareBy(a, b []tree.Value, orders []columnOrder, ties int) int {
	for _, o := range orders {
		if c := compareOrdered(a[o.column], b[o.column], o.desc); c != 0 {
			return c
		}
	}
	return compareRows(a[:ties], b[:ties])
}

// firstRows returns the first limit rows in order, or all for a negative limit. It may reorder the given
// rows. If the context of h ends, the order is undefined. With a short limit the rest is not sorted: the
// best rows so far are a heap at the front, with the worst of them on top.
func firstRows[R any](rows []R, limit int64, h *halt, compare func(a, b R) int) []R {
	ordered := compare
	compare = func(a, b R) int {
		if h.ended() {
			return 0
		}
		return ordered(a, b)
	}
	if limit >= 0 && limit < int64(len(rows)) {
		best := rows[:limit]
		for i := len(best)/2 - 1; i >= 0; i-- {
			sink(best, i, compare)
		}
		for i := limit; i < int64(len(rows)) && limit > 0; i++ {
			if compare(rows[i], best[0]) < 0 {
				best[0], rows[i] = rows[i], best[0]
				sink(best, 0, compare)
			}
		}
		rows = best
	}
	slices.SortFunc(rows, compare)
	return rows
}

// sink restores the heap below i.
func sink[R any](heap []R, i int, compare func(a, b R) int) {
	for {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if compare(heap[child], heap[worst]) > 0 {
				worst = child
			}
		}
		if worst == i {
			return
		}
		heap[i], heap[worst] = heap[worst], heap[i]
		i = worst
	}
}

func compareOrdered(a, b tree.Value, desc bool) int {
	c := a.Compare(b)
	if desc && !a.Missing() && !b.Missing() {
		return -c
	}
	return c
}

// limitBy returns how many rows a breakdown returns.
func limitBy(limit int64) (int64, error) {
	switch {
	case limit < 0:
		return defaultBy, nil
	case limit > maxBy:
		return 0, &tree.Diagnostic{
			Code: tree.CodeLimitTooLarge, Message: fmt.Sprintf("limit %d is above %d, the most rows of a breakdown", limit, maxBy),
			Hint: fmt.Sprintf("use limit %d, or list the profiles", maxBy),
		}
	}
	return limit, nil
}

func cutRows(rows [][]tree.Value, limit int64) [][]tree.Value {
	if limit >= 0 && int64(len(rows)) > limit {
		return rows[:limit]
	}
	return rows
}
