package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
)

// maxMoves limits the redirects of one message. Owners have ever lower ranks, so chains of redirects
// end.
const maxMoves = 64

// busyWait is the pause between two tries of messages whose profile is being moved; after busyLimit the
// request is refused.
const (
	busyWait  = 5 * time.Millisecond
	busyLimit = 2 * time.Second
)

// Ingest makes messages durable and applies them: when it returns, readers see them. outcomes[i] belongs
// to msgs[i]. After an error the outcome of every message is unknown; all may be sent again. Messages of
// one literal id take effect in their order. Ingest keeps no reference to msgs.
func (n *Node) Ingest(ctx context.Context, msgs []engine.Incoming) ([]engine.Outcome, error) {
	d, err := n.Begin(ctx, msgs, nil)
	if err != nil {
		return nil, err
	}
	return d.Wait()
}

// Begin is the first half of Ingest; Wait of the returned delivery is the second. When Begin returns,
// the messages are in the queues of the shards, after those of every Begin that returned before.
// Messages whose profile is being moved are sent again by Wait, so a later Begin may overtake them.
//
// mayName reports whether the sender may bring a name that the catalog lacks and has space for. It is
// called once for each such name, in the order of the request, before Begin returns. nil allows any
// name.
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

// reusedMessages is the largest number of messages of a routing that is kept for reuse.
const reusedMessages = 8 << 10

// newRouting returns a routing, with the memory of an earlier request if there is any.
func (n *Node) newRouting() *routing {
	r, _ := n.routings.Get().(*routing)
	if r == nil {
		r = &routing{node: n}
	}
	return r
}

// reuse keeps the memory of a finished request for a later one.
func (n *Node) reuse(r *routing) {
	if cap(r.msgs) > reusedMessages {
		return
	}
	r.resolver.Reuse()
	clear(r.msgs) // the messages refer to the bodies of their requests
	clear(r.outcomes)
	n.routings.Put(r)
}

// routing is one request on its way to the shards. Its messages are grouped by shard, in the order of
// the request within each shard, so that the first parcel for a shard is a subslice of them.
type routing struct {
	node     *Node
	resolver engine.Resolver
	msgs     []engine.Message
	order    []int32          // for each of msgs, its index in the request
	outcomes []engine.Outcome // of msgs; Status 0: not final yet; Dropped is what resolving left out
	homes    []int32          // for each of msgs, the shard it goes to next
	places   []int32          // for each message of the request, its shard
	need     uint64           // the catalog version that msgs need
}

// inOrder returns the outcomes in the order of the request.
func (r *routing) inOrder() []engine.Outcome {
	outcomes := make([]engine.Outcome, len(r.outcomes))
	for k, i := range r.order {
		outcomes[i] = r.outcomes[k]
	}
	return outcomes
}

// arrange decides which shard each message goes to and its place in msgs.
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

// resized returns a slice of n elements, which is s itself if its capacity suffices. Elements keep old
// values.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func (r *routing) refuse(k int, reason string) {
	r.outcomes[k] = engine.Outcome{Status: engine.Refused, Reason: reason}
}

// run continues until every message has its final outcome: moved messages follow their owner, busy ones
// are sent again. No redirect is remembered beyond this request: a retry must go through the shard that
// knows its messageId.
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
			return overloaded("a profile of the request is being merged with another")
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

// submit queues the messages that have no final outcome.
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

// collect waits for the parcels. Messages that were moved or busy still have no outcome afterwards.
func (r *routing) collect(ctx context.Context, parcels []*parcel) (moved, busy bool, err error) {
	for i, p := range parcels {
		answer, err := p.to.await(ctx, p.proposal)
		if err != nil {
			for _, rest := range parcels[i+1:] { // msgs must not be read after we return
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
				if o.Reason == engine.ReasonCatalog { // the entry of the catalog version was lost; the next try sends it again
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

// parcel is a proposal for one shard. index has the place of each of its messages in the routing's msgs.
type parcel struct {
	to       *proposer
	proposal *proposal
	index    []int32
}

// pack makes the parcels of a round, in order, none much larger than an entry. In the first round their
// messages are subslices of the routing's; later, or where a message was refused, they are copied.
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

// reserve reserves queue space for all parcels or for none, so that a request is refused as a whole:
// without messageIds, the accepted part of a request would count twice when the request is sent again.
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
