package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/musterdb/muster/engine/identity"
)

// mergesAtOnce bounds the merges of one shard on their way.
const mergesAtOnce = 64

// mergeRetry is how long a merge waits whose target is busy or whose step got no answer.
const mergeRetry = 50 * time.Millisecond

// mergeLoop drives the merges in a shard's outbox, which is part of its state: what a crash
// interrupts is found there again, and every step may be repeated.
func (n *Node) mergeLoop(ctx context.Context, s *shard) {
	for {
		pending := n.driveAll(ctx, s)
		var retry <-chan time.Time
		if pending {
			retry = time.After(mergeRetry)
		}
		select {
		case <-s.events:
		case <-retry:
		case <-ctx.Done():
			return
		}
	}
}

// driveAll carries every merge of the outbox as far as it gets. Merges of one owner go one after
// another, as they were wanted.
func (n *Node) driveAll(ctx context.Context, s *shard) (pending bool) {
	outbox, at := s.state.Load().Outbox()
	if len(outbox) == 0 {
		return false
	}
	var (
		drives sync.WaitGroup
		slots  = make(chan struct{}, mergesAtOnce)
		mu     sync.Mutex
	)
	for from := 0; from < len(outbox) && ctx.Err() == nil; {
		to := from + 1
		for to < len(outbox) && outbox[to].Owner == outbox[from].Owner {
			to++
		}
		mine := outbox[from:to]
		from = to
		slots <- struct{}{}
		drives.Go(func() {
			defer func() { <-slots }()
			if !n.driveOwner(ctx, mine, at) {
				mu.Lock()
				pending = true
				mu.Unlock()
			}
		})
	}
	drives.Wait()
	return pending
}

// driveOwner drives the merges of one owner, read at a moment; it stops at the first that is not settled.
func (n *Node) driveOwner(ctx context.Context, merges []identity.Merge, at identity.Moment) (settled bool) {
	for _, merge := range merges {
		settled, err := identity.Drive(ctx, merge, at, mergeTransport{n})
		if err != nil && ctx.Err() == nil {
			n.config.Log.Debug("merge waits", "owner_shard", n.home(merge.Owner).number, "err", err)
		}
		if !settled {
			return false
		}
		n.counters.merges.Add(1)
	}
	return true
}

// home is the shard where an id lives.
func (n *Node) home(id identity.Ref) *shard { return n.shards[place(id.ID, len(n.shards))] }

// mergeTransport carries the steps of a merge to the shards: each is a command in a log.
type mergeTransport struct{ node *Node }

var _ identity.Transport = mergeTransport{}

// Step implements identity.Transport.
func (t mergeTransport) Step(ctx context.Context, c identity.Command) (identity.Reply, identity.Moment, error) {
	s := t.node.home(c.At())
	reply, seq, err := s.identityStep(ctx, c)
	return reply, identity.Moment{Shard: s.number, Seq: seq}, err
}

// Part implements identity.Transport.
func (t mergeTransport) Part(_ context.Context, owner, target identity.Ref, part int) ([]byte, bool, error) {
	data, ok := t.node.home(target).state.Load().Part(owner, target, part)
	return data, ok, nil
}

// Home implements identity.Transport.
func (t mergeTransport) Home(_ context.Context, id identity.Ref) (identity.Home, error) {
	return t.node.home(id).home(id), nil
}
