package exec

import (
	"context"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// count is `count [where P] [by D, …]`.
type count struct {
	breakdown
	where tree.Pred
	total int64
}

// breakdown is what statements with `by` share: dimensions, their columns, order, limit, and the
// groups merged so far.
type breakdown struct {
	by      []tree.Dimension
	columns []query.Column // of the dimensions first
	orders  []columnOrder
	limit   int64
	groups  *groups
}

func (p *Plan) newBreakdown(by []tree.Dimension) (breakdown, error) {
	b := breakdown{by: by}
	for _, d := range by {
		c, err := dimensionColumn(d, &p.env)
		if err != nil {
			return b, err
		}
		b.columns = append(b.columns, c)
	}
	return b, nil
}

// preds returns the predicates of the dimensions and where.
func (b *breakdown) predsWith(where tree.Pred) []tree.Pred {
	var all []tree.Pred
	if where != nil {
		all = append(all, where)
	}
	for _, d := range b.by {
		if d.Segment != nil {
			all = append(all, d.Segment)
		}
	}
	return all
}

// merge adds the groups of partials.
func (b *breakdown) mergeGroups(parts []*Partial) error {
	for _, part := range parts {
		if err := b.groups.add(part.Groups); err != nil {
			return err
		}
	}
	return nil
}

// first returns the rows an answer shows.
func (b *breakdown) first(rows [][]tree.Value) [][]tree.Value {
	return firstRows(rows, b.limit, func(x, y []tree.Value) int { return compareBy(x, y, b.orders, len(b.by)) })
}

func newCount(p *Plan, s *tree.CountStmt) (statement, error) {
	b, err := p.newBreakdown(s.By)
	if err != nil {
		return nil, err
	}
	c := &count{breakdown: b, where: s.Where}
	c.columns = append(c.columns, query.Column{Name: "count", Type: "number"})
	c.groups = newGroups(&p.budget, tree.CountFn)
	if c.limit, err = limitBy(s.Limit); err != nil {
		return nil, err
	}
	if c.orders, err = columnOrders(s.Order, c.columns); err != nil {
		return nil, err
	}
	if len(s.Order) == 0 && len(s.By) > 0 && !ordered(s.By[0]) {
		c.orders = []columnOrder{{column: len(s.By), desc: true}}
	}
	return c, nil
}

func (c *count) preds() []tree.Pred { return c.predsWith(c.where) }

func (c *count) partial(ctx context.Context, w *worker, _ int) error {
	if len(c.by) == 0 {
		return w.members(ctx, c.where, func(*query.Bits) error { return nil })
	}
	if err := w.by(c.by); err != nil {
		return err
	}
	g := newGroups(&w.plan.budget, tree.CountFn)
	var counts []int64
	err := w.members(ctx, c.where, func(members *query.Bits) error {
		if slotted, err := w.slotted(g, w.flushCounts); err != nil {
			return err
		} else if slotted {
			w.countSlots(members, c.where == nil)
			return nil
		}
		a, err := w.assign(members, g)
		if err != nil {
			return err
		}
		if a.single != nil {
			counts = grown(counts, len(g.all))
			clear(counts)
			for pos := range members.All {
				counts[a.single[pos]]++
			}
			for i, n := range counts {
				g.all[i].Cells[0].N += n
			}
			return nil
		}
		for _, i := range a.groups {
			g.all[i].Cells[0].N++
		}
		return nil
	})
	if err == nil {
		err = w.flushCounts()
	}
	w.part.Groups = g.all
	return err
}

func (c *count) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		c.total += part.Members
	}
	return true, c.mergeGroups(parts)
}

func (c *count) answer() (*query.Answer, error) {
	if len(c.by) == 0 {
		return &query.Answer{Columns: c.columns, Rows: [][]tree.Value{{tree.NumInt(c.total)}}}, nil
	}
	rows := make([][]tree.Value, len(c.groups.all))
	for i, g := range c.groups.all {
		rows[i] = append(g.Key, tree.NumInt(g.Cells[0].N))
	}
	return &query.Answer{Columns: c.columns, Rows: c.first(rows)}, nil
}
