package cluster

import (
	"context"
	"runtime"
	"time"

	"github.com/musterdb/muster/internal/retrylog"
)

// startLoops starts the node's own goroutines; they end with ctx.
func (n *Node) startLoops(ctx context.Context) {
	n.loops.Go(func() { n.watch.run(ctx, n.config.WatchEvery) })
	n.loops.Go(func() { n.snapshotLoop(ctx) })
	n.loops.Go(func() { n.maintainLoop(ctx) })
	n.loops.Go(func() { n.refreshLoop(ctx) })
	n.loops.Go(func() { n.warnPrices(ctx) })
	for _, s := range n.shards {
		n.loops.Go(func() { n.mergeLoop(ctx, s) })
	}
}

// snapshotLook is how often the snapshotter checks the groups; after a failed snapshot it leaves the
// group alone for snapshotRest. A group that has been quiet for snapshotQuiet gets its snapshot early:
// that disturbs no one, and makes a restart short.
const (
	snapshotLook  = time.Second
	snapshotRest  = 30 * time.Second
	snapshotQuiet = 15 * time.Second
	quietGrowth   = 4 << 10 // bytes between two checks up to which a group is quiet
	quietShare    = 16      // the divisor of the limit from which on a quiet group gets a snapshot
)

// snapshotTarget is one group as the snapshotter sees it.
type snapshotTarget struct {
	group *group
	bytes func() int64
	limit int64
	last  time.Time // the last success, or the start
	rest  time.Time // no snapshot before it
	seen  int64     // bytes at the last check
	busy  time.Time // the last check at which the group was not quiet
	tries retrylog.Tries
}

// snapshotLoop takes snapshots by log bytes and age, one group at a time.
func (n *Node) snapshotLoop(ctx context.Context) {
	now := time.Now()
	targets := []*snapshotTarget{{group: n.group, bytes: n.registry.bytes.Load, limit: n.config.SnapshotBytes / 16, last: now, busy: now}}
	for _, s := range n.shards {
		last := now
		if since := s.since.Load(); since != 0 { // a node that restarts often must not postpone it forever
			last = time.UnixMilli(since)
		}
		targets = append(targets, &snapshotTarget{group: s.group, bytes: s.bytes.Load, limit: n.config.SnapshotBytes, last: last, busy: now})
	}
	ticker := time.NewTicker(min(snapshotLook, n.config.SnapshotAge))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, t := range targets {
			if ctx.Err() == nil && !n.watch.diskLow.Load() && t.due(n.config.SnapshotAge) {
				n.snapshot(ctx, t)
			}
		}
	}
}

func (t *snapshotTarget) due(age time.Duration) bool {
	now := time.Now()
	bytes := t.bytes()
	if bytes-t.seen > quietGrowth {
		t.busy = now
	}
	t.seen = bytes
	if now.Before(t.rest) || bytes == 0 {
		return false
	}
	return bytes >= t.limit || now.Sub(t.last) >= age || bytes >= t.limit/quietShare && now.Sub(t.busy) >= snapshotQuiet
}

func (n *Node) snapshot(ctx context.Context, t *snapshotTarget) {
	started, bytes := time.Now(), t.bytes()
	err := t.group.snapshot(ctx)
	if ctx.Err() == nil {
		t.tries.Note(n.config.Log, "taking a snapshot", err, "group", t.group.name)
	}
	if err != nil {
		t.rest = time.Now().Add(snapshotRest)
		return
	}
	t.last = time.Now()
	n.counters.snapshots.Add(1)
	n.config.Log.Info("snapshot taken", "group", t.group.name, "log_bytes", bytes, "elapsed", t.last.Sub(started))
}

// maintainLoop lets the shards build their leaves, one step of one shard at a time: ingest shares the
// machine with one maintainer, not with one per shard.
func (n *Node) maintainLoop(ctx context.Context) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		worked := false
		for _, s := range n.shards {
			select {
			case <-s.idle:
			default:
				continue
			}
			end := n.config.Gate.Turn(ctx)
			more := s.state.Load().Maintain(n.config.MaintainBudget)
			if end(); more {
				signal(s.idle)
				worked = true
			}
			runtime.Gosched()
			if ctx.Err() != nil {
				return
			}
		}
		if worked {
			continue
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}
