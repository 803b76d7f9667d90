package exec

import (
	"context"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// catalogStmt stands for a statement about the catalog that is explained. It changes nothing. The
// predicate of a segment to be created is explained as if its members were counted.
type catalogStmt struct{ pred tree.Pred }

func newCatalogStmt(stmt tree.Stmt) *catalogStmt {
	if s, ok := stmt.(*tree.CreateStmt); ok {
		return &catalogStmt{s.Segment.Pred}
	}
	return &catalogStmt{}
}

func (c *catalogStmt) preds() []tree.Pred {
	if c.pred == nil {
		return nil
	}
	return []tree.Pred{c.pred}
}

func (c *catalogStmt) partial(ctx context.Context, w *worker, _ int) error {
	if c.pred == nil {
		return nil
	}
	return w.members(ctx, c.pred, func(*query.Bits) error { return nil })
}

func (c *catalogStmt) merge(int, []*Partial) (bool, error) { return true, nil }

func (c *catalogStmt) answer() (*query.Answer, error) { return nil, ErrNotHere }
