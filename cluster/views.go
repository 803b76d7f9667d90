package cluster

import (
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
)

// views is one view of every shard, for a statement. Each view is of its own moment, but a profile that
// moves between shards is in exactly one of them: see settle. views must be released.
type views struct {
	all []*engine.View
	now int64 // the latest of the clock and the shards' times, so that everything acknowledged is visible

	inputs [][]query.Set // of the statement, by shard; see Node.resolve
}

// takeViews first takes the views that are available immediately. A shard in the middle of an entry
// makes a reader wait for milliseconds, and other shards may be free until then.
func (n *Node) takeViews() *views {
	v := &views{all: make([]*engine.View, len(n.shards)), now: n.config.Clock().UnixMilli()}
	for i, s := range n.shards {
		v.all[i] = s.state.Load().TryView()
	}
	for i, s := range n.shards {
		if v.all[i] == nil {
			v.all[i] = s.state.Load().View()
		}
	}
	v.settle(func(shard int) *engine.View { return n.shards[shard].state.Load().View() }, n.simultaneousViews)
	for _, view := range v.all {
		v.now = max(v.now, view.Time())
	}
	return v
}

func (n *Node) simultaneousViews() []*engine.View {
	states := make([]*engine.Shard, len(n.shards))
	for i, s := range n.shards {
		states[i] = s.state.Load()
	}
	return engine.Views(states)
}

// settleRounds is how often views are taken again one by one.
const settleRounds = 8

// settle makes views that were taken at different moments show every join of profiles either before or
// after the join. take returns a view of a shard that is as new as possible; together returns views of
// all shards at one moment.
//
// A view knows the entry that each other shard had reached when the view was taken, at least. A view
// older than that is taken again; its shard is there already, since each step of a join begins after the
// step before has been applied. Then some profiles may be moving in one view and be with their owner in
// another already: they are hidden in the first.
//
// A view taken again may need newer views of other shards, if another step was applied in between. A
// step takes longer than a round, so this happens once or twice; if it continues, all shards are held
// for a moment. A view that stays too old lacks entries that its shard once had: a log was lost, and
// waiting is no use.
func (v *views) settle(take func(shard int) *engine.View, together func() []*engine.View) {
	var lost uint64 // by bit: shards that stay too old; there are at most 64
	for round := 0; ; round++ {
		outdated := v.outdated() &^ lost
		if outdated == 0 {
			break
		}
		if round == settleRounds {
			v.release()
			v.all = together()
			break
		}
		for shard := range v.all {
			if outdated>>shard&1 == 0 {
				continue
			}
			before := v.all[shard]
			if v.all[shard] = take(shard); v.all[shard].Seq() == before.Seq() {
				lost |= 1 << shard
			}
			before.Release()
		}
	}
	for _, view := range v.all {
		for _, pair := range view.Absorbed() {
			v.all[place(pair.Target.ID, len(v.all))].Hide(pair)
		}
	}
}

// outdated returns, by bit, the shards whose views are older than another view needs.
func (v *views) outdated() (shards uint64) {
	for _, view := range v.all {
		for shard, seq := range view.Needs() {
			if shard < len(v.all) && v.all[shard].Seq() < seq {
				shards |= 1 << shard
			}
		}
	}
	return shards
}

// source returns the view of a shard with the inputs of the statement.
func (v *views) source(shard int) query.Source {
	if v.inputs == nil {
		return v.all[shard]
	}
	return shardSource{v.all[shard], v.inputs[shard]}
}

// sources returns the sources of all shards.
func (v *views) sources() []query.Source {
	all := make([]query.Source, len(v.all))
	for shard := range v.all {
		all[shard] = v.source(shard)
	}
	return all
}

func (v *views) release() {
	for _, view := range v.all {
		view.Release()
	}
}

// stats returns the seq and the times of every view.
func (v *views) stats() []query.ShardStat {
	stats := make([]query.ShardStat, len(v.all))
	for i, view := range v.all {
		stats[i] = query.ShardStat{Shard: i, Seq: view.Seq(), Time: view.Time(), SettledTo: view.SettledTo(v.now)}
	}
	return stats
}
