package exec

import (
	"fmt"
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// columnOrder is `order by` of statements with a breakdown: by columns of the answer.
type columnOrder struct {
	column int
	desc   bool
}

// columnOrders finds the columns that an `order by` names, by their names or texts.
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
		return nil, &tree.Diagnostic{
			Code: "unknown_column", Message: fmt.Sprintf("there is no column %s to order by", title),
			Hint: "order by a column of the answer", Suggestions: names,
		}
	}
	return orders, nil
}

// sortRows orders rows by the given columns, missing values last either way, then by the first ties
// columns ascending.
func sortRows(rows [][]tree.Value, orders []columnOrder, ties int) {
	sort.SliceStable(rows, func(i, j int) bool {
		a, b := rows[i], rows[j]
		for _, o := range orders {
			if c := compareOrdered(a[o.column], b[o.column], o.desc); c != 0 {
				return c < 0
			}
		}
		return compareRows(a[:ties], b[:ties]) < 0
	})
}

func compareOrdered(a, b tree.Value, desc bool) int {
	c := a.Compare(b)
	if desc && !a.Missing() && !b.Missing() {
		return -c
	}
	return c
}

// limitBy returns how many rows a breakdown gives.
func limitBy(limit int64) (int64, error) {
	switch {
	case limit < 0:
		return defaultBy, nil
	case limit > mostBy:
		return 0, &tree.Diagnostic{
			Code: "limit_too_large", Message: fmt.Sprintf("limit %d is above %d, the most rows of a breakdown", limit, mostBy),
			Hint: fmt.Sprintf("use limit %d, or list the profiles", mostBy),
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
