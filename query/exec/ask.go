package exec

import (
	"context"
	"sync"
	"time"

	"github.com/musterdb/muster/internal/invariant"
	"github.com/musterdb/muster/query"
)

// Ask runs the rounds of a plan over all sources. A partial is what one goroutine finds in all chunks it
// took, of whichever source, so that a statement is bound and merged once a goroutine.
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

// ask is Ask without a word about what sums left out.
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

// recoded returns partials as other nodes would send them. They are charged already.
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

// Partials computes what some shards contribute to the round of a plan that comes next: what a node does for
// the one that merges.
//
// REQUIRES: the caller has a slot.
func (p *Pool) Partials(ctx context.Context, plan *Plan, shards []Shard) ([]*Partial, error) {
	f := newFeed(shards)
	if s, ok := plan.stmt.(storer); ok && s.stores() && plan.state.Round >= plan.ranks.rounds() {
		return p.round(&round{pool: p, ctx: ctx, plan: plan, feed: f, stored: make([]*Partial, f.to)})
	}
	return p.round(&round{pool: p, ctx: ctx, plan: plan, feed: f})
}

func (p *Pool) round(r *round) ([]*Partial, error) {
	c := &crew{pool: p, work: r.work, stop: func() { r.feed.stopped.Store(true) }}
	r.asking.crew = c
	c.run()
	if r.err != nil {
		return nil, r.err
	}
	if r.stored != nil {
		return r.stored, nil
	}
	return r.parts, nil
}

// round is one round while it is evaluated.
type round struct {
	pool   *Pool
	ctx    context.Context // of the statement, which the round is part of
	plan   *Plan
	feed   *feed
	asking asking

	mu     sync.Mutex // of what follows
	parts  []*Partial // one a worker
	err    error      // the first
	stored []*Partial // instead of parts, one a chunk in their order
}

// work evaluates chunks until none is left.
func (r *round) work(asker bool) {
	k := r.pool.lend()
	defer r.pool.back(k)
	w := r.plan.newWorker(r.feed, k)
	if asker {
		r.asking.started = time.Now()
		w.asker = &r.asking
	} else {
		w.leave = r.pool.isClosed
	}
	if r.stored != nil {
		r.chunks(w)
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

// chunks evaluates chunks with a partial each. The worker only hands them out.
func (r *round) chunks(w *worker) {
	for w.turn() {
		part, err := r.plan.partial(r.ctx, w.one(w.kit))
		w.stock.Reclaim()
		r.mu.Lock()
		if err != nil {
			r.failLocked(err)
		}
		r.stored[w.base+w.chunk] = part
		r.mu.Unlock()
	}
}

// asking decides whether a statement is worth helpers. Waking one takes longer than small statements do.
type asking struct {
	crew    *crew
	started time.Time
	second  time.Time // when the second chunk began
	turns   int
}

// wakeAt is the work left from which on a helper is called. Waking it and its going to sleep again were
// measured at 6 to 9 µs of processor time, binding the statement once more is a few more; both must be
// small against the half it takes over.
const wakeAt = 40 * time.Microsecond

// clearly is how many times wakeAt the work left must seem to be after the first chunk.
const clearly = 4

// consider is called before each chunk the asker takes, left counting it and all behind it. The first chunk
// also pays for what is bound and looked up once: where it alone speaks for a helper, and not clearly, the
// second one decides.
func (a *asking) consider(left int) {
	done := a.turns
	a.turns++
	if done == 0 || left < 2 {
		return
	}
	now := time.Now()
	if done == 1 {
		a.second = now
	}
	spent, chunks := now.Sub(a.started), done
	if done > 1 {
		spent, chunks = now.Sub(a.second), done-1
	}
	if work := time.Duration(left) * spent / time.Duration(chunks); work < wakeAt || done == 1 && work < clearly*wakeAt {
		return
	}
	a.crew.call()
}
