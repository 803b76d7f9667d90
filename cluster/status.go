package cluster

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
)

// servingError returns why the node cannot accept and keep messages, or nil. A lack of space is no
// reason: statements are still answered.
func (n *Node) servingError() error {
	if err := n.watch.broken(); err != nil {
		return err
	}
	var none []string
	if !n.group.leads() {
		none = append(none, n.group.name)
	}
	for _, s := range n.shards {
		if !s.leads() {
			none = append(none, s.name())
		}
	}
	if len(none) > 0 {
		return fmt.Errorf("no leader: %s", strings.Join(none, ", "))
	}
	return nil
}

// Status returns the state of the node.
func (n *Node) Status(context.Context) node.Status {
	st := node.Status{Ready: n.ready.Load(), DiskFree: n.watch.free.Load(), Counters: n.counters.values()}
	if !st.Ready {
		st.Reason = "the node is opening or closing"
		return st
	}
	for _, r := range n.config.repairs {
		if r.Kind == SkippedEntry {
			st.Skipped = append(st.Skipped, node.SkippedEntry{Group: r.Group, Index: r.Index, At: r.At, What: r.What})
		}
	}
	if skipped := n.skippedText(); skipped != "" {
		st.Degraded, st.Reason = true, skipped
	}
	if err := n.watch.admit(); err != nil {
		st.Degraded, st.Reason = true, err.Error()
	}
	if err := n.servingError(); err != nil {
		st.Ready, st.Degraded, st.Reason = false, true, err.Error()
	}
	memory := map[string]int64{}
	v := n.takeViews()
	defer v.release()
	for i, stat := range v.stats() {
		s := n.shards[i]
		hash := v.all[i].Hash()
		profiles, events := v.all[i].Size()
		one := node.ShardStatus{ShardStat: stat, Leader: s.leads(), Profiles: profiles, Events: events,
			LogBytes: s.bytes.Load(), Hash: hex.EncodeToString(hash[:])}
		st.Shards = append(st.Shards, one)
		st.Profiles += one.Profiles
		st.Events += one.Events
		for _, line := range s.state.Load().Memory() {
			memory[line.Name] += line.Bytes
		}
	}
	for name, bytes := range memory {
		st.Memory = append(st.Memory, engine.MemoryLine{Name: name, Bytes: bytes})
	}
	st.Prices = n.Prices()
	slices.SortFunc(st.Memory, func(a, b engine.MemoryLine) int { return strings.Compare(a.Name, b.Name) })
	return st
}
