package exec

import (
	"context"
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// ranks are the ranks within a statement. The value of a rank never depends on another rank, so the same
// two rounds find every cut.
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

// find compiles the ranks, each once, in the order in which they occur.
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

// The rounds of ranks: the first collects the values of every shard, the second the ids of the profiles
// whose value is the one at which a rank ends.
const (
	valuesRound = iota
	idsRound
	rankRounds
)

func (r *ranks) rounds() int {
	if len(r.found) == 0 {
		return 0
	}
	return rankRounds
}

func (r *ranks) partial(ctx context.Context, w *worker, round int) error {
	if round == idsRound {
		return r.ids(ctx, w)
	}
	return r.values(ctx, w)
}

// values collects the values of every rank.
func (r *ranks) values(ctx context.Context, w *worker) error {
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
			scan.Chunk(w.shard, w.chunk, all, part)
			if !w.keep(rankCopies * (part.Bytes() - held)) {
				return w.scratch.Err()
			}
		}
		return nil
	})
}

// rankCopies is how many copies of a partial's rank values exist during a merge: in the partials, and
// merged.
const rankCopies = 2

// rankIDBytes is charged for an id; its text belongs to the source until the partial is encoded.
const rankIDBytes = 40

// ids collects the ids of the profiles whose value is the one at which a rank ends.
func (r *ranks) ids(ctx context.Context, w *worker) error {
	ends := w.plan.state.Ends
	w.part.IDs = make([][]string, len(ends))
	for w.nextChunk() {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range ends {
			who := ends[i].Within(w.place(0))
			if len(who) > 0 && !w.keep(rankIDBytes*len(who)) {
				return w.scratch.Err()
			}
			for _, place := range who {
				if !w.scratch.Spend(idWork) {
					return w.scratch.Err()
				}
				w.part.IDs[i] = append(w.part.IDs[i], w.src.ID(uint32(place)))
			}
		}
	}
	return nil
}

// merge finds where the ranks end in the first round, and the cuts in the second.
func (r *ranks) merge(b *budget, state *State, parts []*Partial) error {
	if state.Round == valuesRound {
		return r.mergeValues(state, parts)
	}
	state.Cuts = make([]query.Cut, len(state.Ends))
	for i, end := range state.Ends {
		var ids []string
		for _, part := range parts {
			if len(part.IDs) != len(state.Ends) {
				return fmt.Errorf("a partial has the ids of %d ranks, want %d", len(part.IDs), len(state.Ends))
			}
			ids = append(ids, part.IDs[i]...)
		}
		if len(ids) != len(end.Who) {
			return fmt.Errorf("rank %d: there are %d ids, want %d", i, len(ids), len(end.Who))
		}
		state.Cuts[i] = end.Cut(ids)
		b.refund(rankIDBytes * len(ids))
	}
	state.Ends = nil
	return nil
}

func (r *ranks) mergeValues(state *State, parts []*Partial) error {
	state.Ends = make([]eval.RankEnd, len(r.found))
	for i, q := range r.found {
		var all eval.RankPart
		for _, part := range parts {
			if len(part.Ranks) != len(r.found) {
				return fmt.Errorf("a partial has the values of %d ranks, want %d", len(part.Ranks), len(r.found))
			}
			q.Merge(&all, &part.Ranks[i])
		}
		state.Ends[i] = q.End(&all)
	}
	return nil
}

// cuts returns the cuts found so far, as compiling a predicate needs them.
func (r *ranks) cuts(state State) map[*tree.Rank]query.Cut {
	cuts := make(map[*tree.Rank]query.Cut, len(r.found))
	for i, q := range r.found {
		if i < len(state.Cuts) {
			cuts[q.Node] = state.Cuts[i]
		}
	}
	return cuts
}
