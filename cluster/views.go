package cluster

import (
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
)

// views is one view of every shard: what a statement reads. Each is of a moment of its own, but what moves
// between shards is in one of them: see settle. It must be released.
type views struct {
	all []*engine.View
	now int64 // the newer of the clock and of what the shards have seen: nothing acknowledged is hidden

	inputs [][]query.Set // of the statement, by shard; see Node.resolve
}

// takeViews takes those views first that are there at once: a shard in the middle of an entry lets wait for
// milliseconds, and until then others may be too.
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
	v.settle(func(shard int) *engine.View { return n.shards[shard].state.Load().View() }, n.viewsOfOneMoment)
	for _, view := range v.all {
		v.now = max(v.now, view.Time())
	}
	return v
}

func (n *Node) viewsOfOneMoment() []*engine.View {
	states := make([]*engine.Shard, len(n.shards))
	for i, s := range n.shards {
		states[i] = s.state.Load()
	}
	return engine.Views(states)
}

// settleRounds is how often views are taken anew one by one.
const settleRounds = 8

// settle makes views that were taken at different moments show every join of profiles either before or
// after it. take returns a view of a shard that is as new as it gets, together views of all shards of one
// moment.
//
// A view tells how far other shards were when it came about. One that is behind that is taken anew; that
// shard has been there already, since each step of a join begins when the one before has been applied. What
// is left is profiles that one view shows on their way and another already with their owner: they are hidden
// in the first.
//
// A view taken anew may presuppose more than the others have, when a step has come about in between. A step
// takes longer than that, so this happens once or twice; where it goes on all shards are held up for a moment.
// A view that stays behind lacks entries its shard had once: then a log was lost, and there is nothing to wait
// for.
func (v *views) settle(take func(shard int) *engine.View, together func() []*engine.View) {
	var lost uint64 // shards that stay behind, by bit; there are at most 64
	for round := 0; ; round++ {
		behind := v.behind() &^ lost
		if behind == 0 {
			break
		}
		if round == settleRounds {
			v.release()
			v.all = together()
			break
		}
		for shard := range v.all {
			if behind>>shard&1 == 0 {
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

// behind returns, by bit, the shards whose views are older than what another view presupposes.
func (v *views) behind() (shards uint64) {
	for _, view := range v.all {
		for shard, seq := range view.Needs() {
			if shard < len(v.all) && v.all[shard].Seq() < seq {
				shards |= 1 << shard
			}
		}
	}
	return shards
}

// source is a shard as the language reads it.
func (v *views) source(shard int) query.Source {
	if v.inputs == nil {
		return v.all[shard]
	}
	return shardSource{v.all[shard], v.inputs[shard]}
}

// sources are all shards.
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

// stats tells where every shard stands.
func (v *views) stats() []query.ShardStat {
	stats := make([]query.ShardStat, len(v.all))
	for i, view := range v.all {
		stats[i] = query.ShardStat{Shard: i, Seq: view.Seq(), Time: view.Time(), SettledTo: view.SettledTo(v.now)}
	}
	return stats
}
