package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/musterdb/muster/engine/identity"
)

// mergesAtOnce limits the merges of one shard that are in flight.
const mergesAtOnce = 64

// mergeRetry is the pause before a merge is retried whose target is busy or whose step got no reply.
const mergeRetry = 50 * time.Millisecond

// mergeLoop drives the merges in a shard's outbox. The outbox is part of the shard's state: a merge that
// a crash interrupts is still in it, and every step may be repeated.
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

// driveAll drives every merge of the outbox as far as possible. The merges of one owner run one after
// another, in the order in which they were requested.
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

// driveOwner drives the merges of one owner, as read from the outbox at a moment. It stops at the first
// that is not settled.
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

// home returns the shard that an id is placed in.
func (n *Node) home(id identity.Ref) *shard { return n.shards[place(id.ID, len(n.shards))] }

// mergeTransport sends the steps of a merge to the shards: each step is a command in a log.
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
