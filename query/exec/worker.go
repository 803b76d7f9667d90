package exec

import (
	"context"
	"sync/atomic"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// worker computes one partial: a plan bound to a stretch of chunks of one source. It is for one
// goroutine.
type worker struct {
	plan    *Plan
	env     *eval.Env
	src     query.Source
	from    int
	to      int
	part    *Partial
	scanned atomic.Int64
	blocks  atomic.Int64

	chunk    int // being looked at
	dims     []*dimension
	assigned assignment
	key      []tree.Value
}

func (p *Plan) newWorker(src query.Source, from, to int) *worker {
	w := &worker{plan: p, src: src, from: from, to: min(to, src.Chunks()), part: &Partial{}}
	env := p.env
	env.Scanned, env.Blocks = &w.scanned, &w.blocks
	w.env = &env
	return w
}

// bind compiles a predicate for the worker's source; nil is everyone.
func (w *worker) bind(p tree.Pred) (*eval.Evaluator, error) {
	compiled, err := eval.Compile(w.env, p)
	if err != nil {
		return nil, err
	}
	return compiled.On(w.src), nil
}

// by binds the dimensions of a breakdown.
func (w *worker) by(dims []tree.Dimension) error {
	for _, d := range dims {
		bound, err := w.newDimension(d)
		if err != nil {
			return err
		}
		w.dims = append(w.dims, bound)
	}
	return nil
}

// members calls fn with the profiles of each chunk that satisfy where, chunks without any left out.
func (w *worker) members(ctx context.Context, where tree.Pred, fn func(members *query.Bits) error) error {
	bound, err := w.bind(where)
	if err != nil {
		return err
	}
	var members query.Bits
	return w.profiles(ctx, func(all *query.Bits) error {
		bound.Chunk(w.chunk, all, &members)
		n := members.Count()
		w.part.Members += int64(n)
		if n == 0 {
			return nil
		}
		return fn(&members)
	})
}

// profiles calls fn with all profiles of each chunk. The context is looked at once per chunk.
func (w *worker) profiles(ctx context.Context, fn func(all *query.Bits) error) error {
	var all query.Bits
	for w.chunk = w.from; w.chunk < w.to; w.chunk++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.src.Profiles(w.chunk, &all)
		n := all.Count()
		if n == 0 {
			continue
		}
		w.part.Profiles += int64(n)
		if err := fn(&all); err != nil {
			return err
		}
	}
	return nil
}

// ordinal returns the ordinal of a position of the chunk being looked at.
func (w *worker) ordinal(pos uint16) uint32 { return uint32(w.chunk)<<query.ChunkBits | uint32(pos) }
