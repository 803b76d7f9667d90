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

// worker computes one partial: it takes chunks from a feed, which go from one source to the next, and
// evaluates the plan over them. It is for one goroutine.
type worker struct {
	plan *Plan
	env  *eval.Env
	part *Partial
	*buffers

	feed    *feed
	trigger *helperTrigger // calls helpers; nil in a helper
	quit    func() bool    // reports whether a helper must stop early and leave the rest to the caller
	taken   int            // chunks taken
	base    int            // number of the shard's first chunk in the feed
	chunks  int            // in the current shard
	at      int            // index of the current shard in the feed
	shard   int            // number of the current shard
	chunk   int            // the current chunk, counted within the shard
	present int            // profiles in the current chunk
	hides   bool           // the chunk has facts of profiles that Profiles leaves out; see query.Source.Hides
	charged int            // bytes to refund when the partial is complete
	kept    int            // bytes passed to keep and not charged yet

	scanned atomic.Int64
	blocks  atomic.Int64
	beyond  atomic.Bool // a sum met a value beyond ±10^18
	dims    []*dimension
}

// buffers are the parts of a worker that the next statement reuses.
type buffers struct {
	src      *currentSource
	all      query.Bits
	found    query.Bits
	assigned assignment
	slots    slotNumbering
	places   []uint16
	key      []tree.Value
	visitors visitors
	scratch  eval.Scratch
}

// currentSource is the source being evaluated. Evaluators are bound to it once: when the worker goes to
// the next source they keep their buffers and what they have looked up.
type currentSource struct{ query.Source }

func newBuffers() *buffers { return &buffers{src: &currentSource{}} }

func (p *Plan) newWorker(f *feed, k *buffers) *worker {
	w := &worker{plan: p, feed: f, buffers: k, part: &Partial{Round: p.state.Round}, at: -1}
	k.slots.reset()
	env := p.env
	env.Scanned, env.Blocks, env.Beyond, env.Scratch = &w.scanned, &w.blocks, &w.beyond, &k.scratch
	if p.state.Round >= p.ranks.rounds() {
		env.Cuts = p.ranks.cuts(p.state)
	}
	w.env = &env
	return w
}

// begin makes evaluators that are bound from now on charge the statement's memory and stop with its
// context.
func (w *worker) begin(ctx context.Context) {
	w.scratch.Bind(eval.Limits{Reserve: w.charge, Done: ctx.Err})
}

// yieldEvery is the number of chunks evaluated between two yields of the processor, some milliseconds of
// work.
const yieldEvery = 4

// nextChunk takes the next chunk from the feed. It returns false if there is none left or the worker
// must stop.
func (w *worker) nextChunk() bool {
	if w.feed.stopped.Load() || w.quit != nil && w.quit() {
		return false
	}
	next := int(w.feed.next.Add(1)) - 1
	if next >= w.feed.to {
		return false
	}
	if w.trigger != nil {
		w.trigger.consider(w.feed.to - next)
	}
	if w.taken++; w.taken%yieldEvery == 0 {
		runtime.Gosched()
	}
	for next >= w.base+w.chunks {
		w.base += w.chunks
		w.at++
		w.scratch.NextSource()
		w.shard, w.src.Source = w.feed.shards[w.at].Number, w.feed.shards[w.at].Source
		w.chunks = w.src.Chunks()
		if given, asked := len(w.src.Inputs()), len(w.plan.Inputs()); given < asked {
			w.scratch.Fail(fmt.Errorf("shard %d was given %d inputs of the statement, want %d", w.shard, given, asked))
			return false
		}
	}
	w.chunk = next - w.base
	return true
}

// forChunk returns a worker for the current chunk alone.
func (w *worker) forChunk(k *buffers) *worker {
	at := w.base + w.chunk
	alone := w.plan.newWorker(feedOf(w.feed.shards, at, at+1), k)
	k.src.Source = w.src.Source
	alone.base, alone.chunks, alone.at, alone.shard = w.base, w.chunks, w.at, w.shard
	return alone
}

// bind compiles a predicate for the worker's sources; nil matches every profile.
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

// members calls fn with the profiles of each chunk that satisfy where. It skips chunks without any.
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
			if err := w.scratch.Err(); err != nil {
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

// count counts the profiles that satisfy where. It uses the sizes of index sets where possible.
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
		return w.scratch.Err()
	})
}

// profiles calls fn with all profiles of each chunk. It checks the context once per chunk.
func (w *worker) profiles(ctx context.Context, fn func(all *query.Bits) error) error {
	for w.nextChunk() {
		if err := w.chunkProfiles(ctx, fn); err != nil {
			return err
		}
	}
	return nil
}

// chunkProfiles is profiles for the current chunk.
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
	return w.scratch.Err()
}

// ordinal returns the ordinal of a position of the current chunk.
func (w *worker) ordinal(pos uint16) uint32 { return uint32(w.chunk)<<query.ChunkBits | uint32(pos) }

// place returns a number that is unique among the profiles of all shards.
func (w *worker) place(pos uint16) uint64 { return uint64(w.shard)<<32 | uint64(w.ordinal(pos)) }
