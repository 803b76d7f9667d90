package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/tree"
)

// bound is a checked predicate compiled for a set of views, with the cuts of its ranks.
type bound struct {
	asker *asker
	views *views
	pred  *eval.Pred
	held  *exec.Holding
}

// bind compiles a checked predicate at the views' now, to be evaluated in the memory that is held.
// REQUIRES: the caller has a slot.
func (a *asker) bind(ctx context.Context, p tree.Pred, schema query.Schema, v *views, held *exec.Holding) (*bound, error) {
	zone, err := time.LoadLocation(schema.Zone())
	if err != nil {
		return nil, fmt.Errorf("load zone of the workspace: %w", err)
	}
	env := &eval.Env{Schema: schema, Now: v.now, Zone: zone, Sets: v.sets}
	ranks, err := eval.Ranks(env, p)
	if err != nil {
		return nil, err
	}
	env.Cuts = map[*tree.Rank]eval.Cut{}
	for _, rank := range ranks {
		if env.Cuts[rank.Node], err = a.cut(ctx, rank, v, held); err != nil {
			return nil, err
		}
	}
	compiled, err := eval.Compile(env, p)
	if err != nil {
		return nil, err
	}
	return &bound{asker: a, views: v, pred: compiled, held: held}, nil
}

// cut computes the cut of a rank over all profiles.
func (a *asker) cut(ctx context.Context, rank *eval.RankQuery, v *views, held *exec.Holding) (eval.Cut, error) {
	pieces := v.stretches(stretchChunks)
	parts := make([]eval.RankPart, len(pieces))
	err := a.scatter(ctx, pieces, func(ctx context.Context, i int, piece stretch) error {
		return held.Stock(ctx, func(stock *eval.Stock) error {
			scan := rank.With(stock).On(v.source(piece.shard))
			var profiles query.Bits
			for chunk := piece.from; chunk < piece.to && stock.Err() == nil; chunk++ {
				v.all[piece.shard].Profiles(chunk, &profiles)
				before := parts[i].Bytes()
				scan.Chunk(chunk, &profiles, &parts[i])
				if err := held.Reserve(2 * (parts[i].Bytes() - before)); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return eval.Cut{}, err
	}
	var all eval.RankPart
	for i := range parts {
		rank.Merge(&all, &parts[i])
	}
	return rank.Cut(&all), nil
}

// over evaluates the predicate over some stretches. The result is one set a chunk, in their order.
func (b *bound) over(ctx context.Context, pieces []stretch) ([][]query.Bits, error) {
	sets := make([][]query.Bits, len(pieces))
	err := b.asker.scatter(ctx, pieces, func(ctx context.Context, i int, piece stretch) error {
		return b.held.Stock(ctx, func(stock *eval.Stock) error {
			evaluator := b.pred.With(stock).On(b.views.source(piece.shard))
			sets[i] = make([]query.Bits, piece.to-piece.from)
			var profiles query.Bits
			for chunk := piece.from; chunk < piece.to && stock.Err() == nil; chunk++ {
				b.views.all[piece.shard].Profiles(chunk, &profiles)
				evaluator.Chunk(chunk, &profiles, &sets[i][chunk-piece.from])
			}
			return ctx.Err()
		})
	})
	return sets, err
}

// has reports whether one profile satisfies the predicate.
func (b *bound) has(ctx context.Context, shard int, ordinal uint32) (bool, error) {
	var candidate, out query.Bits
	position := uint16(ordinal & (query.ChunkSize - 1))
	candidate.Set(position)
	err := b.held.Stock(ctx, func(stock *eval.Stock) error {
		b.pred.With(stock).On(b.views.source(shard)).Chunk(int(ordinal>>query.ChunkBits), &candidate, &out)
		return nil
	})
	return out.Has(position), err
}
