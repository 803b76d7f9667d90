package exec

import (
	"context"
	"sync"
	"time"

	"github.com/musterdb/muster/internal/invariant"
	"github.com/musterdb/muster/query"
)

// Ask runs the rounds of a plan over all sources. Each goroutine makes one partial of all the chunks it
// took, from whichever source, so a statement is bound and merged once per goroutine.
//
// REQUIRES: the caller has a slot.
func (p *Pool) Ask(ctx context.Context, plan *Plan, sources []query.Source) (*query.Answer, error) {
	shards := Shards(sources)
	a, err := p.ask(ctx, plan, shards)
	if err != nil {
		return nil, err
	}
	return plan.Complete(a, func(further *Plan) (*query.Answer, error) { return p.ask(ctx, further, shards) })
}

// ask is Ask without the warnings about values that sums left out.
func (p *Pool) ask(ctx context.Context, plan *Plan, shards []Shard) (*query.Answer, error) {
	plan.budget.halt.ctx = ctx
	for {
		parts, err := p.Partials(ctx, plan, shards)
		if err == nil && invariant.Encodes {
			parts, err = recoded(parts)
		}
		if err != nil {
			return nil, err
		}
		done, err := plan.Merge(parts)
		if err != nil {
			return nil, err
		}
		if done {
			return plan.Answer()
		}
	}
}

// recoded encodes and decodes partials, as if other nodes had sent them. They are charged already.
func recoded(parts []*Partial) ([]*Partial, error) {
	sent := make([]*Partial, len(parts))
	for i, part := range parts {
		var err error
		if sent[i], err = ReadPartial(AppendPartial(nil, part)); err != nil {
			return nil, err
		}
		if part.Counts != nil {
			sent[i].Counts.charged = part.Counts.charged
		}
	}
	return sent, nil
}

// Partials computes the contribution of some shards to the next round of a plan. A node calls it for the
// node that merges.
//
// REQUIRES: the caller has a slot.
func (p *Pool) Partials(ctx context.Context, plan *Plan, shards []Shard) ([]*Partial, error) {
	f := newFeed(shards)
	if s, ok := plan.stmt.(perChunker); ok && s.perChunk() && plan.state.Round >= plan.ranks.rounds() {
		return p.round(&round{pool: p, ctx: ctx, plan: plan, feed: f, byChunk: make([]*Partial, f.to)})
	}
	return p.round(&round{pool: p, ctx: ctx, plan: plan, feed: f})
}

func (p *Pool) round(r *round) ([]*Partial, error) {
	j := &job{pool: p, work: r.work, stop: func() { r.feed.stopped.Store(true) }}
	r.trigger.job = j
	j.run()
	if r.err != nil {
		return nil, r.err
	}
	if r.byChunk != nil {
		return r.byChunk, nil
	}
	return r.parts, nil
}

// round is the evaluation of one round.
type round struct {
	pool    *Pool
	ctx     context.Context // of the statement that the round belongs to
	plan    *Plan
	feed    *feed
	trigger helperTrigger

	mu      sync.Mutex // guards the fields below
	parts   []*Partial // one per worker
	err     error      // the first error
	byChunk []*Partial // used instead of parts if each chunk has its own partial
}

// work evaluates chunks until none is left.
func (r *round) work(caller bool) {
	k := r.pool.getBuffers()
	defer r.pool.putBuffers(k)
	w := r.plan.newWorker(r.feed, k)
	if caller {
		r.trigger.started = time.Now()
		w.trigger = &r.trigger
	} else {
		w.quit = r.pool.isClosed
	}
	if r.byChunk != nil {
		r.eachChunk(w)
		return
	}
	part, err := r.plan.partial(r.ctx, w)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failLocked(err)
		return
	}
	r.parts = append(r.parts, part)
}

func (r *round) failLocked(err error) {
	r.feed.stopped.Store(true)
	if r.err == nil {
		r.err = err
	}
}

// eachChunk evaluates chunks with one partial each. The worker w only takes chunks from the feed.
func (r *round) eachChunk(w *worker) {
	for w.nextChunk() {
		part, err := r.plan.partial(r.ctx, w.forChunk(w.buffers))
		w.scratch.Reclaim()
		r.mu.Lock()
		if err != nil {
			r.failLocked(err)
		}
		r.byChunk[w.base+w.chunk] = part
		r.mu.Unlock()
	}
}

// helperTrigger decides whether a statement is worth helpers: waking one takes longer than a small
// statement.
type helperTrigger struct {
	job     *job
	started time.Time
	second  time.Time // when the second chunk began
	taken   int
}

// minSharedWork is the remaining work for which a helper is called. Waking a helper and putting it to
// sleep again was measured at 6 to 9 µs of processor time, and binding the statement once more takes a
// few more. Both must be small compared to the half that the helper takes over.
const minSharedWork = 40 * time.Microsecond

// firstChunkMargin is how many times minSharedWork the estimate after the first chunk must reach.
const firstChunkMargin = 4

// consider is called before each chunk that the caller takes; left counts that chunk and all after it.
// The time of the first chunk includes binding and one-time lookups, so an estimate from it alone must
// be at least firstChunkMargin times minSharedWork; otherwise the second chunk decides.
func (t *helperTrigger) consider(left int) {
	done := t.taken
	t.taken++
	if done == 0 || left < 2 {
		return
	}
	now := time.Now()
	if done == 1 {
		t.second = now
	}
	spent, chunks := now.Sub(t.started), done
	if done > 1 {
		spent, chunks = now.Sub(t.second), done-1
	}
	if work := time.Duration(left) * spent / time.Duration(chunks); work < minSharedWork || done == 1 && work < firstChunkMargin*minSharedWork {
		return
	}
	t.job.call()
}
