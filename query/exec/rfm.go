package exec

import (
	"context"
	"slices"
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// rfm is `rfm of "Order Completed" <window> by amount [where P]`.
type rfm struct {
	stmt     *tree.RFMStmt
	spenders []Spender
	budget   *budget
}

// spenderBytes is charged for a profile with such an event.
const spenderBytes = 80

func newRFM(p *Plan, s *tree.RFMStmt) (statement, error) {
	r := &rfm{stmt: s, budget: &p.budget}
	_, err := r.compile(&p.env)
	return r, err
}

func (r *rfm) compile(env *eval.Env) (*eval.Events, error) {
	return eval.CompileEvents(env, r.stmt.Step, r.stmt.Window, r.stmt.Amount)
}

func (r *rfm) preds() []tree.Pred { return []tree.Pred{r.stmt.Where} }

func (r *rfm) partial(ctx context.Context, w *worker, _ int) error {
	compiled, err := r.compile(w.env)
	if err != nil {
		return err
	}
	scan := compiled.On(w.src)
	at := make([]int32, query.ChunkSize) // the place of a position's spender + 1
	return w.members(ctx, r.stmt.Where, func(members *query.Bits) error {
		clear(at)
		before := len(w.part.Spenders)
		scan.Each(w.chunk, members, func(b *query.Block, row int) {
			pos, t := b.Pos[row], b.Time(row)
			if at[pos] == 0 {
				w.part.Spenders = append(w.part.Spenders, Spender{Latest: t})
				at[pos] = int32(len(w.part.Spenders))
			}
			s := &w.part.Spenders[at[pos]-1]
			s.Latest, s.Count = max(s.Latest, t), s.Count+1
			if v := scan.Arg(0, row); v.Type == tree.NumberType {
				if sum, ok := tree.Billionths(v.Number()); ok {
					s.Sum = s.Sum.Add(sum)
				}
			}
		})
		return r.budget.charge((len(w.part.Spenders) - before) * spenderBytes)
	})
}

func (r *rfm) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		r.spenders = append(r.spenders, part.Spenders...)
	}
	return true, nil
}

// scores gives each spender 1 + ⌊5 × (those with less) ÷ all⌋.
func (r *rfm) scores(compare func(a, b *Spender) int) []int8 {
	order := make([]int32, len(r.spenders))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int { return compare(&r.spenders[i], &r.spenders[j]) })
	scores := make([]int8, len(order))
	less := 0
	for i, k := range order {
		if i > 0 && compare(&r.spenders[order[i-1]], &r.spenders[k]) < 0 {
			less = i
		}
		scores[k] = int8(1 + 5*less/len(order))
	}
	return scores
}

func (r *rfm) answer() (*query.Answer, error) {
	a := &query.Answer{}
	for _, name := range []string{"recency", "frequency", "monetary", "count"} {
		a.Columns = append(a.Columns, query.Column{Name: name, Type: "number"})
	}
	recency := r.scores(func(a, b *Spender) int { return compareInts(a.Latest, b.Latest) })
	frequency := r.scores(func(a, b *Spender) int { return compareInts(a.Count, b.Count) })
	monetary := r.scores(func(a, b *Spender) int { return a.Sum.Number().Compare(b.Sum.Number()) })
	cells := map[[3]int8]int64{}
	for i := range r.spenders {
		cells[[3]int8{recency[i], frequency[i], monetary[i]}]++
	}
	for cell, n := range cells {
		row := make([]tree.Value, 0, 4)
		for _, score := range cell {
			row = append(row, tree.NumInt(int64(score)))
		}
		a.Rows = append(a.Rows, append(row, tree.NumInt(n)))
	}
	sort.Slice(a.Rows, func(i, j int) bool { return compareRows(a.Rows[i], a.Rows[j]) < 0 })
	return a, nil
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
