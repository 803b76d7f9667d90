package exec

import (
	"context"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// catalogued stands for a statement about the catalog where it is explained: it changes nothing. The
// predicate of a segment to be created is explained as if its members were counted.
type catalogued struct{ pred tree.Pred }

func newCatalogued(stmt tree.Stmt) *catalogued {
	if s, ok := stmt.(*tree.CreateStmt); ok {
		return &catalogued{s.Segment.Pred}
	}
	return &catalogued{}
}

func (c *catalogued) preds() []tree.Pred {
	if c.pred == nil {
		return nil
	}
	return []tree.Pred{c.pred}
}

func (c *catalogued) partial(ctx context.Context, w *worker, _ int) error {
	if c.pred == nil {
		return nil
	}
	return w.members(ctx, c.pred, func(*query.Bits) error { return nil })
}

func (c *catalogued) merge(int, []*Partial) (bool, error) { return true, nil }

func (c *catalogued) answer() (*query.Answer, error) { return nil, ErrNotHere }
