package cluster

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
)

// views is one view of every shard: what a statement reads. It must be released.
type views struct {
	all []*engine.View
	now int64 // the newer of the clock and of what the shards have seen: nothing acknowledged is hidden

	sets *sets // of the statement; nil: none
}

func (n *Node) takeViews() *views {
	v := &views{all: make([]*engine.View, len(n.shards)), now: n.config.Clock().UnixMilli()}
	for i, s := range n.shards {
		v.all[i] = s.state.Load().View()
		v.now = max(v.now, v.all[i].Time())
	}
	return v
}

// source is a shard as the language reads it.
func (v *views) source(shard int) query.Source {
	if v.sets == nil {
		return v.all[shard]
	}
	return setSource{Source: v.all[shard], shard: shard, sets: v.sets}
}

func (v *views) release() {
	for _, view := range v.all {
		view.Release()
	}
}

// stats tells where every shard stands.
func (v *views) stats() []query.ShardStat {
	stats := make([]query.ShardStat, len(v.all))
	for i, view := range v.all {
		stats[i] = query.ShardStat{Shard: i, Seq: view.Seq(), Time: view.Time(), SettledTo: view.Time()}
	}
	return stats
}

// stretch is a piece of work: chunks [from, to) of one shard.
type stretch struct{ shard, from, to int }

// stretches cuts the chunks of all shards into pieces of at most size chunks.
func (v *views) stretches(size int) []stretch {
	var all []stretch
	for i, view := range v.all {
		chunks := view.Chunks()
		for from := 0; from < chunks; from += size {
			all = append(all, stretch{i, from, min(from+size, chunks)})
		}
	}
	return all
}

// slots bounds the evaluations of a node that run at once. More of them would make none faster, and
// would keep the writers from the processor.
type slots chan struct{}

// enter waits for a slot.
func (s slots) enter(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) leave() { <-s }

// scatter calls work for every stretch. The caller has one slot and works in it; further workers help
// as long as slots are free. Every worker yields after each stretch. The first error ends it.
func (s slots) scatter(ctx context.Context, all []stretch, work func(ctx context.Context, i int, piece stretch) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	worker := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(all) {
				return
			}
			if err := work(ctx, i, all[i]); err != nil {
				cancel(err)
				return
			}
			runtime.Gosched()
		}
	}
	var helpers sync.WaitGroup
	for range len(all) - 1 {
		select {
		case s <- struct{}{}:
			helpers.Go(func() {
				defer s.leave()
				worker()
			})
			continue
		default:
		}
		break
	}
	worker()
	helpers.Wait()
	return context.Cause(ctx)
}
