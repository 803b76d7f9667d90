package eval

import (
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// pair is a row and the row chosen for the step before it. A condition with `previous.` is tested on a
// pair.
type pair struct {
	row, previous rowAt
}

type rowAt struct {
	block *query.Block
	row   int
}

// pairPred and pairExpr are a condition and an expression on one pair.
type (
	pairPred func(*pair) bool
	pairExpr func(*pair) tree.Value
)

// pairs compiles the conditions of a step of a sequence. current is the step's event, previous the
// event of the last step without `not`.
type pairs struct {
	current, previous compiler
}

func (c *pairs) pred(p tree.Pred) (pairPred, error) {
	switch p := p.(type) {
	case *tree.And:
		return c.chain(p.Args, false)
	case *tree.Or:
		return c.chain(p.Args, true)
	case *tree.Not:
		arg, err := c.pred(p.Arg)
		return func(x *pair) bool { return !arg(x) }, err
	case *tree.Compare:
		if p.Op == tree.Ne {
			return c.pred(&tree.Not{Arg: &tree.Compare{Op: tree.Eq, L: p.L, R: p.R}})
		}
		if _, _, _, ok := literalSide(p); !ok {
			return c.compare(p)
		}
	case *tree.Range:
		if !literalEnds(p) {
			return c.pred(bounds(p))
		}
	}
	q, ok := c.current.exprTest(p)
	if !ok {
		return nil, fmt.Errorf("predicate %T is not allowed in a step", p)
	}
	x, typ, err := c.expr(q.x)
	if err != nil {
		return nil, err
	}
	t, err := q.test(typ)
	return func(at *pair) bool { return t.value(x(at)) }, err
}

func (c *pairs) chain(args []tree.Pred, or bool) (pairPred, error) {
	preds := make([]pairPred, len(args))
	for i, arg := range args {
		p, err := c.pred(arg)
		if err != nil {
			return nil, err
		}
		preds[i] = p
	}
	return func(x *pair) bool {
		for _, p := range preds {
			if p(x) == or {
				return or
			}
		}
		return !or
	}, nil
}

func (c *pairs) compare(p *tree.Compare) (pairPred, error) {
	l, _, err := c.expr(p.L)
	if err != nil {
		return nil, err
	}
	r, _, err := c.expr(p.R)
	return func(x *pair) bool {
		a, b := l(x), r(x)
		return !a.Missing() && a.Type == b.Type && p.Op.Holds(a.Compare(b))
	}, err
}

func (c *pairs) expr(x tree.Expr) (pairExpr, tree.Type, error) {
	switch x := x.(type) {
	case *tree.Name:
		scope := &c.current
		if x.Previous {
			scope = &c.previous
		}
		o, err := scope.name(&tree.Name{Name: x.Name})
		if err != nil {
			return nil, tree.NoType, err
		}
		col, ok := o.(column)
		if !ok {
			return func(*pair) tree.Value { return tree.Value{} }, tree.NoType, nil
		}
		if x.Previous {
			return func(at *pair) tree.Value { return col.value(at.previous) }, col.t, nil
		}
		return func(at *pair) tree.Value { return col.value(at.row) }, col.t, nil
	case *tree.Arith:
		l, _, err := c.expr(x.L)
		if err != nil {
			return nil, tree.NoType, err
		}
		r, _, err := c.expr(x.R)
		return func(at *pair) tree.Value {
			a, b := l(at), r(at)
			if a.Type != tree.NumberType || b.Type != tree.NumberType {
				return tree.Value{}
			}
			n, ok := x.Op.Of(a.Number(), b.Number())
			if !ok {
				return tree.Value{}
			}
			return tree.Num(n)
		}, tree.NumberType, err
	case *tree.Literal:
		o, err := c.current.expr(x)
		if err != nil {
			return nil, tree.NoType, err
		}
		v := o.(constant).value
		return func(*pair) tree.Value { return v }, v.Type, nil
	}
	return nil, tree.NoType, fmt.Errorf("expression %T is not allowed in a step", x)
}

// value returns the property's value in a row.
func (c column) value(at rowAt) tree.Value {
	v := at.block.Col(c.id)
	if v == nil || v.Type != c.t {
		return tree.Value{}
	}
	return v.Value(at.row)
}
