package exec

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// worker computes one partial: a plan bound to the chunks a feed hands it, of one source after the
// other. It is for one goroutine.
type worker struct {
	plan *Plan
	env  *eval.Env
	part *Partial
	*kit

	feed    *feed
	asker   *asking     // nil for helpers: who may call them
	leave   func() bool // of helpers: leaves the rest to the asker
	turns   int
	base    int  // chunks of the shards before
	chunks  int  // of the shard
	at      int  // the shard's place in the feed
	shard   int  // its number
	chunk   int  // being looked at
	present int  // profiles in it
	hides   bool // it has facts of others too
	charged int  // bytes until the partial is done
	kept    int  // bytes that keep has not charged yet

	scanned atomic.Int64
	blocks  atomic.Int64
	beyond  atomic.Bool // a sum came upon a value it leaves out
	dims    []*dimension
}

// kit is what a worker uses again for the next statement.
type kit struct {
	src      *moving
	all      query.Bits
	found    query.Bits
	assigned assignment
	slots    slotting
	places   []uint16
	key      []tree.Value
	visitors visitors
	stock    eval.Stock
}

// moving is one source after the other: what is bound to it need not be bound again to the next, and
// keeps its buffers and what it has learnt.
type moving struct{ query.Source }

func newKit() *kit { return &kit{src: &moving{}} }

func (p *Plan) newWorker(f *feed, k *kit) *worker {
	w := &worker{plan: p, feed: f, kit: k, part: &Partial{Round: p.state.Round}, at: -1}
	k.slots.reset()
	env := p.env
	env.Scanned, env.Blocks, env.Beyond, env.Stock = &w.scanned, &w.blocks, &w.beyond, &k.stock
	if p.state.Round >= p.ranks.rounds() {
		env.Cuts = p.ranks.cuts(p.state)
	}
	w.env = &env
	return w
}

// begin holds what is bound from now on to the statement's memory and time.
func (w *worker) begin(ctx context.Context) {
	w.stock.Bind(eval.Bound{Reserve: w.charge, Done: ctx.Err})
}

// yieldTurns is how many chunks are evaluated without yielding: some milliseconds.
const yieldTurns = 4

// turn takes the next chunk; false when there is none left.
func (w *worker) turn() bool {
	if w.feed.stopped.Load() || w.leave != nil && w.leave() {
		return false
	}
	next := int(w.feed.next.Add(1)) - 1
	if next >= w.feed.to {
		return false
	}
	if w.asker != nil {
		w.asker.consider(w.feed.to - next)
	}
	if w.turns++; w.turns%yieldTurns == 0 {
		runtime.Gosched()
	}
	for next >= w.base+w.chunks {
		w.base += w.chunks
		w.at++
		w.stock.Move()
		w.shard, w.src.Source = w.feed.shards[w.at].Number, w.feed.shards[w.at].Source
		w.chunks = w.src.Chunks()
		if given, asked := len(w.src.Inputs()), len(w.plan.Inputs()); given < asked {
			w.stock.Fail(fmt.Errorf("shard %d was given %d inputs of the statement, want %d", w.shard, given, asked))
			return false
		}
	}
	w.chunk = next - w.base
	return true
}

// one returns a worker of the chunk being looked at alone.
func (w *worker) one(k *kit) *worker {
	at := w.base + w.chunk
	alone := w.plan.newWorker(feedOf(w.feed.shards, at, at+1), k)
	k.src.Source = w.src.Source
	alone.base, alone.chunks, alone.at, alone.shard = w.base, w.chunks, w.at, w.shard
	return alone
}

// bind compiles a predicate for the worker's sources; nil is everyone.
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
		bound, err := w.newDimension(d, nil)
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
	everyone := where == nil
	return w.profiles(ctx, func(all *query.Bits) error {
		members, n := all, w.present
		if !everyone {
			members = &w.found
			n = bound.Among(w.chunk, all, w.present, members)
			if err := w.stock.Err(); err != nil {
				return err
			}
		}
		w.part.Members += int64(n)
		if n == 0 {
			return nil
		}
		return fn(members)
	})
}

// count adds up the profiles that satisfy where: by the sizes of sets where the index has them.
func (w *worker) count(ctx context.Context, where tree.Pred) error {
	bound, err := w.bind(where)
	if err != nil {
		return err
	}
	return w.profiles(ctx, func(all *query.Bits) error {
		n, ok := w.present, where == nil
		if !ok && !w.hides {
			n, ok = bound.Count(w.chunk, w.present)
		}
		if !ok {
			n = bound.Among(w.chunk, all, w.present, &w.found)
		}
		w.part.Members += int64(n)
		return w.stock.Err()
	})
}

// profiles calls fn with all profiles of each chunk. The context is looked at once per chunk.
func (w *worker) profiles(ctx context.Context, fn func(all *query.Bits) error) error {
	for w.turn() {
		if err := w.chunkProfiles(ctx, fn); err != nil {
			return err
		}
	}
	return nil
}

// chunkProfiles is profiles for the chunk being looked at.
func (w *worker) chunkProfiles(ctx context.Context, fn func(all *query.Bits) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.present = w.src.Profiles(w.chunk, &w.all)
	if w.present == 0 {
		return nil
	}
	w.hides = w.src.Hides(w.chunk)
	w.part.Profiles += int64(w.present)
	if err := fn(&w.all); err != nil {
		return err
	}
	return w.stock.Err()
}

// ordinal returns the ordinal of a position of the chunk being looked at.
func (w *worker) ordinal(pos uint16) uint32 { return uint32(w.chunk)<<query.ChunkBits | uint32(pos) }

// place tells apart the profiles of all shards.
func (w *worker) place(pos uint16) uint64 { return uint64(w.shard)<<32 | uint64(w.ordinal(pos)) }
