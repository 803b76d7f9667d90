package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
)

// maxMoves bounds the redirects of one message; ranks make chains of redirects strictly descend.
const maxMoves = 64

// The wait between two tries of messages whose profile is moving, and how long they go on.
const (
	busyWait  = 5 * time.Millisecond
	busyLimit = 2 * time.Second
)

// Ingest makes messages durable and applied: when it returns, readers see them. outcomes[i] belongs
// to msgs[i]. On an error nothing is known of any of them; all may be sent again. Messages of one
// literal id take effect in their order. It keeps no reference to msgs.
func (n *Node) Ingest(ctx context.Context, msgs []engine.Incoming) ([]engine.Outcome, error) {
	if len(msgs) == 0 {
		return nil, nil
	}
	if err := n.watch.admit(); err != nil {
		n.counters.refusedRequests.Add(1)
		return nil, err
	}
	r := &routing{node: n, outcomes: make([]engine.Outcome, len(msgs)), homes: make([]int32, len(msgs))}
	if err := r.resolve(ctx, msgs); err != nil {
		return nil, err
	}
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	n.counters.count(r.outcomes)
	return r.outcomes, nil
}

// routing is one request on its way to the shards.
type routing struct {
	node     *Node
	msgs     []engine.Message
	outcomes []engine.Outcome // Status 0: still to be sent
	homes    []int32          // the shard each message goes to next
	need     uint64
}

// resolve gives names their ids, defining those the catalog lacks. Messages it cannot take are
// refused one by one.
func (r *routing) resolve(ctx context.Context, msgs []engine.Incoming) error {
	state := r.node.registry.state.Load()
	r.msgs = make([]engine.Message, len(msgs))
	var again []int // messages with missing names
	var names []catalog.Name
	seen := map[catalog.Name]bool{}
	for i := range msgs {
		missing, err := r.resolveOne(state, msgs, i)
		if err != nil || len(missing) == 0 {
			continue
		}
		again = append(again, i)
		for _, name := range missing {
			if !seen[name] {
				// The definer may look at it after we have given up and msgs is somebody else's again.
				name.Event, name.Name = strings.Clone(name.Event), strings.Clone(name.Name)
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	if len(again) > 0 {
		defined, err := r.node.definer.names(ctx, names)
		if err != nil {
			return fmt.Errorf("define names: %w", err)
		}
		state = defined
		for _, i := range again {
			_, _ = r.resolveOne(state, msgs, i) // what is missing now was refused; err is in the outcome
			if r.msgs[i].Event == engine.NoEvent && r.msgs[i].Kind.HasEvent() {
				r.refuse(i, "there are too many event names, or this one cannot be a name")
			}
		}
	}
	r.need = state.Version()
	return nil
}

func (r *routing) resolveOne(state *catalog.State, msgs []engine.Incoming, i int) ([]catalog.Name, error) {
	msg, missing, err := engine.Resolve(state, &msgs[i])
	if err != nil {
		r.refuse(i, err.Error())
		return nil, err
	}
	r.msgs[i] = msg
	r.homes[i] = int32(place(literalID(msg.UserID, msg.AnonymousID), len(r.node.shards)))
	return missing, nil
}

func (r *routing) refuse(i int, reason string) {
	r.outcomes[i] = engine.Outcome{Status: engine.Refused, Reason: reason}
}

// run sends until every message has its final outcome: moved ones follow their owner, busy ones are
// sent again. No redirect is remembered beyond this request: a retry has to pass the shard that
// knows its messageId.
func (r *routing) run(ctx context.Context) error {
	var busySince time.Time
	for moves := 0; ; {
		moved, busy, err := r.round(ctx)
		if err != nil {
			return err
		}
		switch {
		case !moved && !busy:
			return nil
		case moved:
			if moves++; moves > maxMoves {
				return fmt.Errorf("follow moved profiles: more than %d redirects", maxMoves)
			}
		case busySince.IsZero():
			busySince = time.Now()
		case time.Since(busySince) > busyLimit:
			return overloaded("a profile of the request is being merged")
		}
		if busy {
			if err := sleep(ctx, busyWait); err != nil {
				return err
			}
		}
	}
}

// round sends what has no final outcome once.
func (r *routing) round(ctx context.Context) (moved, busy bool, err error) {
	parcels := r.pack()
	if err := r.reserve(parcels); err != nil {
		r.node.counters.overloaded.Add(1)
		return false, false, err
	}
	for _, p := range parcels {
		p.to.submit(p.proposal)
	}
	for i, p := range parcels {
		answer, err := p.to.await(ctx, p.proposal)
		if err != nil {
			for _, rest := range parcels[i+1:] { // nobody may look at msgs after we return
				rest.to.withdraw(rest.proposal)
			}
			return false, false, err
		}
		for k, at := range p.index {
			o := answer.outcomes[k]
			switch o.Status {
			case engine.Moved:
				moved = true
				r.msgs[at].To = o.MoveTo
				r.homes[at] = int32(place(o.MoveTo, len(r.node.shards)))
				continue
			case engine.Busy:
				busy = true
				continue
			case engine.Refused:
				if o.Reason == engine.ReasonCatalog { // the catalog's entry was lost; the next try brings it
					busy = true
					continue
				}
			}
			r.outcomes[at] = o
		}
	}
	return moved, busy, nil
}

// parcel is a proposal for one shard; index says which message each of its messages is.
type parcel struct {
	to       *proposer
	proposal *proposal
	index    []int
}

// pack makes the parcels of a round, in order and none much larger than an entry.
func (r *routing) pack() []*parcel {
	var parcels []*parcel
	open := make([]*parcel, len(r.node.shards))
	for i := range r.msgs {
		if r.outcomes[i].Status != 0 {
			continue
		}
		home := r.homes[i]
		size := messageSize(&r.msgs[i])
		p := open[home]
		if p == nil || p.proposal.size+size > r.node.config.BatchBytes {
			p = &parcel{to: r.node.shards[home].proposer, proposal: newProposal(nil, r.need, 0)}
			parcels = append(parcels, p)
			open[home] = p
		}
		p.proposal.msgs = append(p.proposal.msgs, r.msgs[i])
		p.proposal.size += size
		p.index = append(p.index, i)
	}
	return parcels
}

// reserve finds room for all parcels or for none, so that a request is refused as a whole: without
// messageIds what was taken of a half-taken one would count twice when it is sent again.
func (r *routing) reserve(parcels []*parcel) error {
	sizes := make([]int, len(r.node.shards))
	for _, p := range parcels {
		sizes[p.to.shard] += p.proposal.size
	}
	for shard, size := range sizes {
		if size == 0 {
			continue
		}
		if err := r.node.shards[shard].proposer.reserve(size); err != nil {
			for before := range shard {
				r.node.shards[before].proposer.unreserve(sizes[before])
			}
			return err
		}
	}
	return nil
}
