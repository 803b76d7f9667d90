package exec

import (
	"context"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// ranks are the ranks within a statement. What they are by is never itself a rank, so that one round
// finds every cut.
type ranks struct {
	in    []tree.Pred
	found []*eval.RankQuery // compiled for merging
}

func newRanks(env *eval.Env, in []tree.Pred) (*ranks, error) {
	r := &ranks{in: in}
	var err error
	r.found, err = r.find(env)
	return r, err
}

// find compiles the ranks, each once, in the order in which they stand.
func (r *ranks) find(env *eval.Env) ([]*eval.RankQuery, error) {
	var found []*eval.RankQuery
	seen := map[*tree.Rank]bool{}
	for _, p := range r.in {
		if p == nil {
			continue
		}
		queries, err := eval.Ranks(env, p)
		if err != nil {
			return nil, err
		}
		for _, q := range queries {
			if !seen[q.Node] {
				seen[q.Node] = true
				found = append(found, q)
			}
		}
	}
	return found, nil
}

func (r *ranks) rounds() int { return min(len(r.found), 1) }

// partial collects the keys of every rank.
func (r *ranks) partial(ctx context.Context, w *worker) error {
	queries, err := r.find(w.env)
	if err != nil {
		return err
	}
	w.part.Ranks = make([]eval.RankPart, len(queries))
	scans := make([]*eval.RankScan, len(queries))
	for i, q := range queries {
		scans[i] = q.On(w.src)
	}
	return w.profiles(ctx, func(all *query.Bits) error {
		for i, scan := range scans {
			part := &w.part.Ranks[i]
			held := part.Bytes()
			scan.Move(w.src.Source)
			scan.Chunk(w.chunk, all, part)
			if !w.keep(rankCopies * (part.Bytes() - held)) {
				return w.stock.Err()
			}
		}
		return nil
	})
}

// rankCopies is how often what a partial knows of a rank is there while partials meet: theirs, all of
// them together, and what looks for the cut.
const rankCopies = 2

// merge finds the cuts.
func (r *ranks) merge(state *State, parts []*Partial) {
	state.Cuts = make([]eval.Cut, len(r.found))
	for i, q := range r.found {
		var all eval.RankPart
		for _, part := range parts {
			q.Merge(&all, &part.Ranks[i])
		}
		state.Cuts[i] = q.Cut(&all)
	}
}

// cuts returns what compiling a predicate asks for.
func (r *ranks) cuts(state State) map[*tree.Rank]eval.Cut {
	cuts := make(map[*tree.Rank]eval.Cut, len(r.found))
	for i, q := range r.found {
		if i < len(state.Cuts) {
			cuts[q.Node] = state.Cuts[i]
		}
	}
	return cuts
}
