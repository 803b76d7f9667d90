package exec

import (
	"context"
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// lookalike is `lookalike of P top N [among P]`. The weight of a fact (a string, boolean, list item, or
// event ever done) is the share of P that has it minus the share of the other candidates that has it,
// rounded to millionths. The score of a profile is the sum of the weights of its facts. The first round
// counts facts, the second computes scores.
type lookalike struct {
	stmt     *tree.LookalikeStmt
	contrast // its counts are the basis of the weights
	top      *list
}

func newLookalike(p *Plan, s *tree.LookalikeStmt) (statement, error) {
	return &lookalike{
		stmt: s, contrast: newContrast(p),
		top: &list{orders: []tree.Order{{Desc: true}}, limit: s.Top, plan: p, budget: &p.budget},
	}, nil
}

func (l *lookalike) preds() []tree.Pred { return []tree.Pred{l.stmt.Of, l.stmt.Among} }

func (l *lookalike) partial(ctx context.Context, w *worker, round int) error {
	of, err := w.bind(l.stmt.Of)
	if err != nil {
		return err
	}
	among, err := w.bind(l.stmt.Among)
	if err != nil {
		return err
	}
	facts, err := w.newFacts()
	if err != nil {
		return err
	}
	if round == 1 {
		if err := facts.weigh(w.plan.state.Stmt.Groups); err != nil {
			return err
		}
	}
	top := newTopRows(l.top, w)
	var inside, others query.Bits
	err = w.profiles(ctx, func(all *query.Bits) error {
		of.Chunk(w.chunk, all, &inside)
		among.Chunk(w.chunk, all, &others)
		others.AndNot(&inside)
		w.part.Members += int64(inside.Count())
		w.part.Others += int64(others.Count())
		if round == 0 {
			return facts.count(w, &inside, &others)
		}
		return facts.score(w, &others, top)
	})
	if round == 0 {
		w.part.Groups, w.part.Skipped = facts.groups()
	} else {
		w.part.Rows = top.finish()
	}
	return err
}

// weigh prepares facts for scoring: the groups of an attribute are its values with a weight, and
// attributes without any are skipped.
func (f *facts) weigh(weights []Group) error {
	attributes := map[string]*attributeFacts{}
	for _, a := range f.attributes {
		attributes[a.name] = a
		a.skipped = true
	}
	events := map[string]*eventFacts{}
	for _, e := range f.events {
		events[e.name] = e
	}
	for _, g := range weights {
		name := g.Key[1].Str
		if g.Key[0].Str == "event" {
			events[name].cells[0].N = g.Cells[0].N
			continue
		}
		attributes[name].skipped = false
		i, err := attributes[name].groups.at(g.Key[2:])
		if err != nil {
			return err
		}
		attributes[name].groups.all[i].Cells[0].N = g.Cells[0].N
	}
	return nil
}

// score adds up the weights of the facts of each candidate of a chunk.
func (f *facts) score(w *worker, candidates *query.Bits, top *topRows) error {
	if !candidates.Any() {
		return nil
	}
	scores := make([]int64, query.ChunkSize)
	for _, a := range f.attributes {
		if a.skipped {
			continue
		}
		if !w.scratch.Spend(factWork) {
			return w.scratch.Err()
		}
		w.dims = []*dimension{a.dim}
		assigned, err := w.assign(candidates, a.groups)
		if err != nil {
			return err
		}
		for pos := range candidates.All {
			for _, i := range assigned.of(pos) {
				scores[pos] += a.groups.all[i].Cells[0].N
			}
		}
	}
	var did query.Bits
	for _, e := range f.events {
		if !w.scratch.Spend(factWork) {
			return w.scratch.Err()
		}
		e.did.Chunk(w.chunk, candidates, &did)
		for pos := range did.All {
			scores[pos] += e.cells[0].N
		}
	}
	for pos := range candidates.All {
		if !w.scratch.Spend(idWork) {
			return w.scratch.Err()
		}
		row := Row{ID: w.src.ID(w.ordinal(pos)), Place: w.place(pos), Keys: []tree.Value{tree.Num(tree.Decimal(scores[pos], 6))}}
		if _, err := top.add(row); err != nil {
			return err
		}
	}
	return nil
}

func (l *lookalike) merge(round int, parts []*Partial) (bool, error) {
	if round == 1 {
		_, err := l.top.merge(0, parts)
		return true, err
	}
	return false, l.add(parts)
}

// shared returns the weights. Values that no profile inside has get a weight, too: it is negative.
func (l *lookalike) shared() *Partial {
	shared := &Partial{}
	for _, g := range l.groups.all {
		if g.Key[0].Str == "attribute" && (l.skipped[g.Key[1].Str] || g.Key[2].Missing()) {
			continue
		}
		inside := float64(g.Cells[0].N) / float64(max(l.inside, 1))
		outside := float64(g.Cells[1].N) / float64(max(l.outside, 1))
		weight := int64(math.Round(1e6 * (inside - outside)))
		if weight != 0 {
			shared.Groups = append(shared.Groups, Group{Key: g.Key, Cells: []Cell{{N: weight}}})
		}
	}
	return shared
}

func (l *lookalike) answer() (*query.Answer, error) {
	a := &query.Answer{Columns: []query.Column{{Name: "user_id", Type: "string"}, {Name: "score", Type: "number"}},
		Warnings: skippedWarnings(l.skipped)}
	for _, r := range l.top.rows {
		a.Rows = append(a.Rows, []tree.Value{tree.Str(r.ID), r.Keys[0]})
	}
	return a, nil
}
