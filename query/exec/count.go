package exec

import (
	"cmp"
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

// breakdown is the part that statements with `by` share: dimensions, their columns, order, limit, and
// the groups merged so far.
type breakdown struct {
	by      []tree.Dimension
	columns []query.Column // those of the dimensions come first
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

// predsWith returns where, if there is one, and the predicates of the dimensions.
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

// mergeGroups adds the groups of partials.
func (b *breakdown) mergeGroups(parts []*Partial) error {
	for _, part := range parts {
		if err := b.groups.add(part.Groups); err != nil {
			return err
		}
	}
	return nil
}

// first returns the rows that an answer shows.
func (b *breakdown) first(rows [][]tree.Value) [][]tree.Value {
	return firstRows(rows, b.limit, b.halt(), func(x, y []tree.Value) int { return compareBy(x, y, b.orders, len(b.by)) })
}

func (b *breakdown) halt() *halt { return &b.groups.budget.halt }

func newCount(p *Plan, s *tree.CountStmt) (statement, error) {
	b, err := p.newBreakdown(s.By)
	if err != nil {
		return nil, err
	}
	c := &count{breakdown: b, where: s.Where}
	c.columns = append(c.columns, query.Column{Name: "count", Type: "number"})
	c.groups = newCounts(&p.budget)
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
		return w.count(ctx, c.where)
	}
	if err := w.by(c.by); err != nil {
		return err
	}
	g := newCounts(&w.plan.budget)
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
			if n := g.len() - cap(counts); n > 0 {
				if err := w.charge(8 * n); err != nil {
					return err
				}
			}
			counts = grown(counts, g.len())
			clear(counts)
			for pos := range members.All {
				counts[a.single[pos]]++
			}
			for i, n := range counts {
				g.counted[i] += n
			}
			return nil
		}
		for _, i := range a.groups {
			g.counted[i]++
		}
		return nil
	})
	if err == nil {
		err = w.flushCounts()
	}
	w.part.Counts = g.counts()
	return err
}

func (c *count) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		c.total += part.Members
		if part.Counts != nil {
			if err := c.groups.addCounts(part.Counts); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func (c *count) answer() (*query.Answer, error) {
	if len(c.by) == 0 {
		return &query.Answer{Columns: c.columns, Rows: [][]tree.Value{{tree.NumInt(c.total)}}}, nil
	}
	g := c.groups
	if err := g.budget.charge(4 * g.len()); err != nil {
		return nil, err
	}
	all := make([]int32, g.len())
	for i := range all {
		all[i] = int32(i)
	}
	all = firstRows(all, c.limit, c.halt(), c.compare)
	rows := make([][]tree.Value, len(all))
	for i, n := range all {
		row := keyValues(make([]tree.Value, 0, len(c.by)+1), g.keys.key(n))
		rows[i] = append(row, tree.NumInt(g.counted[n]))
	}
	return &query.Answer{Columns: c.columns, Rows: rows}, nil
}

// compare is compareBy for group numbers: only the groups that are shown become rows.
func (c *count) compare(a, b int32) int {
	g := c.groups
	for _, o := range c.orders {
		n := 0
		if o.column == len(c.by) {
			n = cmp.Compare(g.counted[a], g.counted[b])
			if o.desc {
				n = -n
			}
		} else {
			n = compareOrdered(keyAt(g.keys.key(a), o.column), keyAt(g.keys.key(b), o.column), o.desc)
		}
		if n != 0 {
			return n
		}
	}
	return compareKeys(g.keys.key(a), g.keys.key(b))
}
