package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
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
	d, err := n.Begin(ctx, msgs, nil)
	if err != nil {
		return nil, err
	}
	return d.Wait()
}

// Begin is the first half of Ingest, Wait of what it returns the other: when Begin returns, the messages have their
// places in the queues of the shards, behind those of every Begin that returned before. Messages whose
// profile is moving are sent again by Wait: those may be overtaken by a later Begin.
//
// mayName reports whether the sender may bring a name that the catalog lacks and has room for; it is asked
// once for each, in the order of the request, before Begin returns. nil lets it bring any.
func (n *Node) Begin(ctx context.Context, msgs []engine.Incoming, mayName func(catalog.Name) bool) (node.Delivery, error) {
	if len(msgs) == 0 {
		return &delivery{}, nil
	}
	if err := n.watch.admit(); err != nil {
		n.counters.refusedRequests.Add(1)
		return nil, err
	}
	r := n.newRouting()
	if err := r.resolve(ctx, msgs, mayName); err != nil {
		return nil, err
	}
	parcels, err := r.submit()
	if err != nil {
		return nil, err
	}
	return &delivery{ctx, r, parcels}, nil
}

// delivery is a request whose messages have been submitted.
type delivery struct {
	ctx     context.Context
	routing *routing // nil for no messages
	parcels []*parcel
}

// Wait implements node.Delivery.
func (d *delivery) Wait() ([]engine.Outcome, error) {
	r := d.routing
	if r == nil {
		return nil, nil
	}
	if err := r.run(d.ctx, d.parcels); err != nil {
		return nil, err
	}
	r.node.counters.count(r.outcomes)
	outcomes := r.inOrder()
	r.node.reuse(r)
	return outcomes, nil
}

// reusedMessages is how many messages the memory kept for later requests holds at most.
const reusedMessages = 8 << 10

// newRouting returns a routing, with the memory of an earlier request if there is some.
func (n *Node) newRouting() *routing {
	r, _ := n.routings.Get().(*routing)
	if r == nil {
		r = &routing{node: n}
	}
	return r
}

// reuse keeps the memory of a request that came to its end.
func (n *Node) reuse(r *routing) {
	if cap(r.msgs) > reusedMessages {
		return
	}
	r.resolver.Reuse()
	clear(r.msgs) // they keep the bodies they came in
	clear(r.outcomes)
	n.routings.Put(r)
}

// routing is one request on its way to the shards. Its messages lie together by shard, each shard's
// in the order of the request, so that what goes to one shard at first is a slice of them.
type routing struct {
	node     *Node
	resolver engine.Resolver
	msgs     []engine.Message
	order    []int32          // which message of the request each of msgs is
	outcomes []engine.Outcome // of msgs; Status 0: still to be sent, and Dropped says what resolving left out
	homes    []int32          // the shard each of msgs goes to next
	places   []int32          // the shard of each message of the request
	need     uint64
}

// inOrder returns the outcomes in the order of the request.
func (r *routing) inOrder() []engine.Outcome {
	outcomes := make([]engine.Outcome, len(r.outcomes))
	for k, i := range r.order {
		outcomes[i] = r.outcomes[k]
	}
	return outcomes
}

// arrange decides where each message goes and where in msgs it will be.
func (r *routing) arrange(msgs []engine.Incoming) {
	r.msgs, r.outcomes = resized(r.msgs, len(msgs)), resized(r.outcomes, len(msgs))
	r.order, r.homes, r.places = resized(r.order, len(msgs)), resized(r.homes, len(msgs)), resized(r.places, len(msgs))
	next := make([]int32, len(r.node.shards)+1)
	places := r.places
	for i := range msgs {
		home := place(literalID(msgs[i].UserID, msgs[i].AnonymousID), len(r.node.shards))
		places[i] = int32(home)
		next[home+1]++
	}
	for home := range r.node.shards {
		next[home+1] += next[home]
	}
	for i, home := range places {
		k := next[home]
		next[home]++
		r.order[k], r.homes[k] = int32(i), home
	}
}

// resized returns a slice of n elements, s itself where it has room. What is in it is from before.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func (r *routing) refuse(k int, reason string) {
	r.outcomes[k] = engine.Outcome{Status: engine.Refused, Reason: reason}
}

// run goes on with what has been submitted until every message has its final outcome: moved ones
// follow their owner, busy ones are sent again. No redirect is remembered beyond this request: a retry
// has to pass the shard that knows its messageId.
func (r *routing) run(ctx context.Context, parcels []*parcel) error {
	var busySince time.Time
	for moves := 0; ; {
		moved, busy, err := r.collect(ctx, parcels)
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
		if parcels, err = r.submit(); err != nil {
			return err
		}
	}
}

// submit queues what has no final outcome.
func (r *routing) submit() ([]*parcel, error) {
	parcels := r.pack()
	if err := r.reserve(parcels); err != nil {
		r.node.counters.overloaded.Add(1)
		return nil, err
	}
	for _, p := range parcels {
		p.to.submit(p.proposal)
	}
	return parcels, nil
}

// collect waits for the parcels. What was moved or busy is still without an outcome afterwards.
func (r *routing) collect(ctx context.Context, parcels []*parcel) (moved, busy bool, err error) {
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
			if o.Status == engine.Accepted || o.Status == engine.Duplicate {
				o.Dropped = r.outcomes[at].Dropped
			}
			r.outcomes[at] = o
		}
	}
	return moved, busy, nil
}

// parcel is a proposal for one shard; index says which of the routing's messages each of its is.
type parcel struct {
	to       *proposer
	proposal *proposal
	index    []int32
}

// pack makes the parcels of a round, in order and none much larger than an entry. In the first round
// their messages are slices of the routing's; later, or where one was refused, they are gathered.
func (r *routing) pack() []*parcel {
	var parcels []*parcel
	open := make([]*parcel, len(r.node.shards))
	for k := range r.msgs {
		if r.outcomes[k].Status != 0 {
			continue
		}
		home := r.homes[k]
		size := messageSize(&r.msgs[k])
		p := open[home]
		if p == nil || p.proposal.size+size > r.node.config.BatchBytes {
			p = &parcel{to: r.node.shards[home].proposer, proposal: newProposal(nil, r.need, 0)}
			parcels = append(parcels, p)
			open[home] = p
		}
		p.index = append(p.index, int32(k))
		p.proposal.size += size
	}
	for _, p := range parcels {
		first, n := int(p.index[0]), len(p.index)
		if int(p.index[n-1])-first == n-1 {
			p.proposal.msgs = r.msgs[first : first+n : first+n]
			continue
		}
		p.proposal.msgs = make([]engine.Message, n)
		for i, k := range p.index {
			p.proposal.msgs[i] = r.msgs[k]
		}
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
