package exec

import (
	"context"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// overlap is `overlap P, P[, P]`: the sizes of all regions. Bit k of a region's number, counted from the
// last predicate, is set when that predicate is false. So ascending regions list true before false.
type overlap struct {
	args    []tree.Pred
	columns []query.Column
	regions []int64
}

func newOverlap(_ *Plan, s *tree.OverlapStmt) (statement, error) {
	o := &overlap{args: s.Preds, regions: make([]int64, 1<<len(s.Preds))}
	for i, p := range s.Preds {
		title := ""
		if i < len(s.Texts) {
			title = s.Texts[i]
		}
		if title == "" {
			title = syntax.FormatPred(p)
		}
		o.columns = append(o.columns, query.Column{Name: title, Type: "boolean"})
	}
	o.columns = append(o.columns, query.Column{Name: "count", Type: "number"})
	return o, nil
}

func (o *overlap) preds() []tree.Pred { return o.args }

func (o *overlap) partial(ctx context.Context, w *worker, _ int) error {
	bound := make([]*eval.Evaluator, len(o.args))
	for i, p := range o.args {
		var err error
		if bound[i], err = w.bind(p); err != nil {
			return err
		}
	}
	cells := make([]Cell, len(o.regions))
	in := make([]query.Bits, len(o.args))
	err := w.profiles(ctx, func(all *query.Bits) error {
		for i := range bound {
			bound[i].Chunk(w.chunk, all, &in[i])
		}
		for r := range cells {
			region := *all
			for i := range in {
				if r>>(len(in)-1-i)&1 == 0 {
					region.And(&in[i])
				} else {
					region.AndNot(&in[i])
				}
			}
			cells[r].N += int64(region.Count())
		}
		return nil
	})
	w.part.Groups = []Group{{Cells: cells}}
	return err
}

func (o *overlap) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		for r, cell := range part.Groups[0].Cells {
			o.regions[r] += cell.N
		}
	}
	return true, nil
}

func (o *overlap) answer() (*query.Answer, error) {
	a := &query.Answer{Columns: o.columns}
	for r, n := range o.regions {
		row := make([]tree.Value, 0, len(o.columns))
		for i := range o.args {
			row = append(row, tree.Bool(r>>(len(o.args)-1-i)&1 == 0))
		}
		a.Rows = append(a.Rows, append(row, tree.NumInt(n)))
	}
	return a, nil
}
