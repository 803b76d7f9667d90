package exec

import (
	"context"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// has finds whether one profile satisfies a predicate.
type has struct {
	where tree.Pred
	id    string
	home  int // the shard whose profile is preferred if several have the id
	rows  []Row
}

// PrepareHas compiles a checked predicate for Pool.Has, which evaluates it for the profile with a
// literal id. If several shards have one, that of the home shard is preferred.
func PrepareHas(p tree.Pred, id string, home int, s query.Schema, opts Options) (*Plan, error) {
	return prepareStatement(&has{where: p, id: id, home: home}, s, opts)
}

func (h *has) preds() []tree.Pred { return []tree.Pred{h.where} }

func (h *has) partial(ctx context.Context, w *worker, _ int) error {
	var bound *eval.Evaluator
	for w.nextChunk() {
		if err := ctx.Err(); err != nil {
			return err
		}
		ordinal, ok := w.src.Find(h.id)
		if !ok || int(ordinal>>query.ChunkBits) != w.chunk {
			continue
		}
		if bound == nil {
			var err error
			if bound, err = w.bind(h.where); err != nil {
				return err
			}
		}
		pos := uint16(ordinal & (query.ChunkSize - 1))
		var candidate, in query.Bits
		candidate.Set(pos)
		bound.Chunk(w.chunk, &candidate, &in)
		if err := w.scratch.Err(); err != nil {
			return err
		}
		w.part.Rows = append(w.part.Rows, Row{ID: w.src.ID(ordinal), Place: w.place(pos), Values: []tree.Value{tree.Bool(in.Has(pos))}})
	}
	return nil
}

func (h *has) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		h.rows = append(h.rows, part.Rows...)
	}
	return true, nil
}

func (h *has) answer() (*query.Answer, error) { return nil, errNoRows }

// Has runs a plan of PrepareHas over all sources; known is false if no profile has the id.
//
// REQUIRES: the caller has a slot.
func (p *Pool) Has(ctx context.Context, plan *Plan, sources []query.Source) (in, known bool, err error) {
	shards := Shards(sources)
	for done := false; !done; {
		parts, err := p.Partials(ctx, plan, shards)
		if err != nil {
			return false, false, err
		}
		if done, err = plan.Merge(parts); err != nil {
			return false, false, err
		}
	}
	h := plan.stmt.(*has)
	var best *Row
	for i := range h.rows {
		if r := &h.rows[i]; best == nil || h.rank(r) < h.rank(best) {
			best = r
		}
	}
	return best != nil && best.Values[0].True(), best != nil, nil
}

// rank orders the profiles that have the id: the lowest is preferred.
func (h *has) rank(r *Row) uint64 {
	if int(r.Place>>32) == h.home {
		return 0
	}
	return 1 + r.Place>>32
}
