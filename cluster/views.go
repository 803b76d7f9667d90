package cluster

import (
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
)

// views is one view of every shard: what a statement reads. It must be released.
type views struct {
	all []*engine.View
	now int64 // the newer of the clock and of what the shards have seen: nothing acknowledged is hidden

	sets *sets // of the statement; nil: none
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
