package exec

import (
	"context"
	"sync/atomic"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/places"
	"github.com/musterdb/muster/query/tree"
)

// rfm is `rfm of "Order Completed" <window> by amount [where P]`.
type rfm struct {
	stmt     *tree.RFMStmt
	spenders Spenders
	budget   *budget
}

// spenderBytes is charged for a profile with such an event, in a partial and when partials are merged.
const spenderBytes = 60

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
	s := newSpending(compiled.On(w.src), &w.beyond)
	return w.members(ctx, r.stmt.Where, func(members *query.Bits) error {
		if err := r.budget.charge(members.Count() * spenderBytes); err != nil {
			return err
		}
		before := len(w.part.Spenders.Recency)
		s.chunk(w.chunk, members, &w.part.Spenders)
		r.budget.refund((members.Count() - len(w.part.Spenders.Recency) + before) * spenderBytes)
		return nil
	})
}

// spending adds up the rows of a chunk by position. Rows of profiles that are not members may be among
// them.
type spending struct {
	scan   *eval.EventScan
	latest []int64
	count  []uint32
	sums   []tree.Sum
	beyond *atomic.Bool // set if a sum leaves a value out
}

func newSpending(scan *eval.EventScan, beyond *atomic.Bool) *spending {
	return &spending{scan, make([]int64, query.ChunkSize), make([]uint32, query.ChunkSize), make([]tree.Sum, query.ChunkSize), beyond}
}

// chunk appends the members of a chunk that have rows to out.
func (s *spending) chunk(chunk int, members *query.Bits, out *Spenders) {
	clear(s.count)
	clear(s.sums)
	s.scan.Blocks(chunk, members, s.block)
	for pos := range members.All {
		if n := s.count[pos]; n > 0 {
			out.Recency = append(out.Recency, places.OfInt(s.latest[pos]))
			out.Frequency = append(out.Frequency, uint64(n))
			out.Monetary = append(out.Monetary, places.OfFloat(s.sums[pos].Float64()))
		}
	}
}

func (s *spending) block(b *query.Block, selected []uint64) {
	latest, count := (*[query.ChunkSize]int64)(s.latest), (*[query.ChunkSize]uint32)(s.count)
	eachRow(b, selected, func(i int) {
		p, t := b.Pos[i], b.Time(i)
		if count[p] == 0 || t > latest[p] {
			latest[p] = t
		}
		count[p]++
	})
	sums := (*[query.ChunkSize]tree.Sum)(s.sums)
	a := newAddend(tree.SumFn, s.scan.Column(0))
	eachRow(b, selected, func(i int) {
		if a.ok {
			raw, ok := a.v.Raw(i)
			if !ok {
				return
			}
			if -a.most <= raw && raw <= a.most {
				p := b.Pos[i]
				sums[p] = sums[p].AddInt(raw * a.unit)
				return
			}
		}
		if v := s.scan.Arg(0, i); v.Type == tree.NumberType {
			if sum, ok := tree.Billionths(v.Number()); ok {
				p := b.Pos[i]
				sums[p] = sums[p].Add(sum)
			} else {
				s.beyond.Store(true)
			}
		}
	})
}

func (r *rfm) merge(_ int, parts []*Partial) (bool, error) {
	n := 0
	for _, part := range parts {
		n += len(part.Spenders.Recency)
	}
	for _, keys := range []*[]uint64{&r.spenders.Recency, &r.spenders.Frequency, &r.spenders.Monetary} {
		*keys = make([]uint64, 0, n)
	}
	for _, part := range parts {
		all, s := &r.spenders, &part.Spenders
		all.Recency = append(all.Recency, s.Recency...)
		all.Frequency = append(all.Frequency, s.Frequency...)
		all.Monetary = append(all.Monetary, s.Monetary...)
	}
	return true, nil
}

// bounds returns the keys above which the scores 2 to 5 begin. The score is 1 + ⌊5 × (number of lower
// keys) ÷ (number of keys)⌋, so score k + 1 begins above the key at place ⌈k × number ÷ 5⌉ - 1.
func bounds(keys []uint64) (above [4]uint64) {
	var at [4]int
	for k := range at {
		at[k] = ((k+1)*len(keys)+4)/5 - 1
	}
	copy(above[:], places.Find(keys, at[:]...))
	return above
}

// score returns the score minus 1.
func score(key uint64, above *[4]uint64) (score int) {
	for _, bound := range above {
		if key > bound {
			score++
		}
	}
	return score
}

func (r *rfm) answer() (*query.Answer, error) {
	a := &query.Answer{}
	for _, name := range []string{"recency", "frequency", "monetary", "count"} {
		a.Columns = append(a.Columns, query.Column{Name: name, Type: "number"})
	}
	s := &r.spenders
	if len(s.Recency) == 0 {
		return a, nil
	}
	recency, frequency, monetary := bounds(s.Recency), bounds(s.Frequency), bounds(s.Monetary)
	var cells [5 * 5 * 5]int64
	for i, key := range s.Recency {
		cells[score(key, &recency)*25+score(s.Frequency[i], &frequency)*5+score(s.Monetary[i], &monetary)]++
	}
	for cell, n := range cells {
		if n == 0 {
			continue
		}
		row := make([]tree.Value, 0, 4)
		for _, score := range []int{cell / 25, cell / 5 % 5, cell % 5} {
			row = append(row, tree.NumInt(int64(1+score)))
		}
		a.Rows = append(a.Rows, append(row, tree.NumInt(n)))
	}
	return a, nil
}
