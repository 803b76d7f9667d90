package cluster

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
)

// Status is the health of a node.
type Status struct {
	Ready    bool
	Reason   string // why not ready, or what is degraded
	Degraded bool   // serving, but e.g. refusing writes
	Profiles int64
	Events   int64
	Shards   []ShardStatus
	Memory   []engine.MemoryLine
	DiskFree int64
	Counters map[string]int64 // monotonic
}

// ShardStatus is the state of one replica.
type ShardStatus struct {
	query.ShardStat
	Leader   bool
	Profiles int64
	Events   int64
	LogBytes int64
	Hash     string // hex of the state hash
}

// Status tells how the node is.
func (n *Node) Status(context.Context) Status {
	st := Status{Ready: n.ready.Load(), DiskFree: n.watch.free.Load(), Counters: n.counters.values()}
	if !st.Ready {
		st.Reason = "the node is opening or closing"
		return st
	}
	if err := n.watch.admit(); err != nil {
		st.Degraded, st.Reason = true, err.Error()
	}
	memory := map[string]int64{}
	v := n.takeViews()
	defer v.release()
	for i, stat := range v.stats() {
		s := n.shards[i]
		hash := v.all[i].Hash()
		size := s.totals.of(v.all[i])
		one := ShardStatus{ShardStat: stat, Leader: s.group.leads(), Profiles: size.profiles, Events: size.events,
			LogBytes: s.bytes.Load(), Hash: hex.EncodeToString(hash[:])}
		st.Shards = append(st.Shards, one)
		st.Profiles += one.Profiles
		st.Events += one.Events
		if !one.Leader {
			st.Degraded, st.Reason = true, "a shard has no leader"
		}
		for _, line := range s.state.Load().Memory() {
			memory[line.Name] += line.Bytes
		}
	}
	for name, bytes := range memory {
		st.Memory = append(st.Memory, engine.MemoryLine{Name: name, Bytes: bytes})
	}
	slices.SortFunc(st.Memory, func(a, b engine.MemoryLine) int { return strings.Compare(a.Name, b.Name) })
	return st
}

// totals is how much a shard holds, counted at most every countEvery: health is asked for often.
type totals struct {
	sync.Mutex
	counted          time.Time
	seq              uint64
	profiles, events int64
}

const countEvery = 2 * time.Second

// size is what a shard holds.
type size struct{ profiles, events int64 }

func (t *totals) of(view *engine.View) size {
	t.Lock()
	defer t.Unlock()
	if t.counted.IsZero() || view.Seq() != t.seq && time.Since(t.counted) >= countEvery {
		t.profiles, t.events = 0, 0
		var profiles query.Bits
		for chunk := range view.Chunks() {
			view.Profiles(chunk, &profiles)
			t.profiles += int64(profiles.Count())
			for _, event := range view.Events(chunk) {
				t.events += int64(view.Series(event, chunk).Rows)
			}
		}
		t.counted, t.seq = time.Now(), view.Seq()
	}
	return size{t.profiles, t.events}
}
