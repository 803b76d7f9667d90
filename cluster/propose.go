package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/semaphore"

	"github.com/musterdb/muster/engine"
)

// proposal is what a caller wants in a shard's log: messages, which share an entry with others, or one
// encoded command in an entry of its own.
type proposal struct {
	msgs    []engine.Message
	command func(now int64) []byte // nil for messages
	need    uint64                 // the catalog version it needs
	size    int                    // estimated bytes
	done    chan reply             // capacity 1: a reply does not wait for a receiver
	encoded chan struct{}          // closed when msgs are no longer read
}

// reply is the result of a proposal.
type reply struct {
	outcomes []engine.Outcome
	result   any // of a command
	seq      uint64
	err      error // the outcome is unknown, unless it is a *node.Error
}

func newProposal(msgs []engine.Message, need uint64, size int) *proposal {
	return &proposal{msgs: msgs, need: need, size: size, done: make(chan reply, 1), encoded: make(chan struct{})}
}

// shardLog is a shard as its proposer uses it.
type shardLog interface {
	// propose gives an entry to raft.
	propose(entry []byte) raft.ApplyFuture
	// due returns the first instant (Unix ms) at which time alone may change the shard's state.
	due() int64
	// messages encodes an entry of messages.
	messages(version uint64, now int64, parcels [][]engine.Message) []byte
	tick(now int64) []byte
	// changes returns the catalog changes from one version to another, each encoded as an entry.
	changes(after, upTo uint64, now func() int64) ([][]byte, error)
	// catalog returns the newest version the shard has applied.
	catalog() uint64
	// refused returns why nothing may be written now, or nil. No ticks are written then.
	refused() error
}

// proposer is the queue in front of one shard's log, and the log's only writer: that keeps the order per
// literal id and puts a catalog version before the first message that needs it.
//
// The first proposal after a pause of BatchWait is sent immediately. After that, one entry collects what
// comes until the next beat of BatchWait, up to BatchBytes. Beats are aligned to the clock, so all
// shards write at the same time: a request to all of them waits for half a beat on average, not for
// nearly a whole one, and one sync of the disk serves many. At most FlightEntries entries of messages
// and FlightBytes bytes are in flight; sixteen commands count as one entry, since raft stores those that
// come together with one fsync. The rest waits in a queue with a limit in bytes, beyond which requests
// are refused as "overloaded".
type proposer struct {
	shard       int
	c           Config
	log         shardLog
	stamp       *stamper
	flightBytes *semaphore.Weighted // bytes in flight
	slots       *semaphore.Weighted // commands in flight; an entry of messages counts as commandsPerEntry
	flights     chan flight
	wake        chan struct{} // capacity 1
	ended       chan struct{}
	failing     atomic.Bool // the last entry failed

	mu struct {
		sync.Mutex
		queue    []*proposal
		queued   int    // bytes in queue
		reserved int    // bytes reserved for proposals not yet submitted
		target   uint64 // catalog version the shard should have
		lost     bool   // an entry failed: the catalog version in the log is unknown
		closed   bool
	}
}

// flight is an entry in flight.
type flight struct {
	future raft.ApplyFuture
	batch  []*proposal
	bytes  int64
	weight int64
}

// commandsPerEntry is how many commands in flight count as one entry of messages.
const commandsPerEntry = 16

// newProposer starts the two goroutines. They end with ctx.
func newProposer(ctx context.Context, shard int, c Config, log shardLog, stamp *stamper) *proposer {
	p := &proposer{
		shard: shard, c: c, log: log, stamp: stamp, flightBytes: semaphore.NewWeighted(int64(c.FlightBytes)),
		slots:   semaphore.NewWeighted(int64(c.FlightEntries) * commandsPerEntry),
		flights: make(chan flight, c.FlightEntries*commandsPerEntry),
		wake:    make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go p.run(ctx)
	go p.collect()
	return p
}

// reserve reserves queue space for a proposal of size bytes. A proposal larger than the queue is
// accepted only while the queue is empty. The caller must call submit or unreserve.
func (p *proposer) reserve(size int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	used := p.mu.queued + p.mu.reserved
	if p.mu.closed {
		return ErrClosed
	}
	if used > 0 && used+size > p.c.QueueBytes {
		return overloaded("too many messages are queued")
	}
	p.mu.reserved += size
	return nil
}

func (p *proposer) unreserve(size int) {
	p.mu.Lock()
	p.mu.reserved -= size
	p.mu.Unlock()
}

// submit queues a proposal. REQUIRES: its size is reserved.
func (p *proposer) submit(q *proposal) {
	p.mu.Lock()
	p.mu.reserved -= q.size
	closed := p.mu.closed
	if !closed {
		p.mu.queue = append(p.mu.queue, q)
		p.mu.queued += q.size
	}
	p.mu.Unlock()
	if closed {
		q.fail(ErrClosed)
		return
	}
	p.nudge()
}

// withdraw removes a proposal that has not been encoded yet. Otherwise it waits until the proposal's
// messages are no longer read, which is soon.
func (p *proposer) withdraw(q *proposal) {
	p.mu.Lock()
	for i, queued := range p.mu.queue {
		if queued == q {
			p.mu.queue = append(p.mu.queue[:i:i], p.mu.queue[i+1:]...)
			p.mu.queued -= q.size
			p.mu.Unlock()
			return
		}
	}
	p.mu.Unlock()
	<-q.encoded
}

// await returns the reply to a proposal, or withdraws it when ctx ends.
func (p *proposer) await(ctx context.Context, q *proposal) (reply, error) {
	select {
	case r := <-q.done:
		return r, r.err
	case <-ctx.Done():
		p.withdraw(q)
		return reply{}, ctx.Err()
	}
}

// do queues a command and waits for its reply.
func (p *proposer) do(ctx context.Context, need uint64, size int, command func(now int64) []byte) (reply, error) {
	q, err := p.start(need, size, command)
	if err != nil {
		return reply{}, err
	}
	return p.await(ctx, q)
}

// start queues a command. The caller must await it.
func (p *proposer) start(need uint64, size int, command func(now int64) []byte) (*proposal, error) {
	if err := p.reserve(size); err != nil {
		return nil, err
	}
	q := newProposal(nil, need, size)
	q.command = command
	p.submit(q)
	return q, nil
}

// wantCatalog makes the shard apply the catalog up to version soon.
func (p *proposer) wantCatalog(version uint64) {
	p.mu.Lock()
	p.mu.target = max(p.mu.target, version)
	p.mu.Unlock()
	p.nudge()
}

func (p *proposer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (q *proposal) fail(err error) {
	select {
	case <-q.encoded:
	default:
		close(q.encoded)
	}
	q.done <- reply{err: err}
}

// run is the goroutine that writes the log.
func (p *proposer) run(ctx context.Context) {
	defer p.shutDown()
	var ticks <-chan time.Time
	if p.c.TickEvery > 0 {
		ticker := time.NewTicker(p.c.TickEvery)
		defer ticker.Stop()
		ticks = ticker.C
	}
	var sent time.Time // when the last entry was sent
	var version uint64 // of the catalog proposed last
	version = p.log.catalog()
	for {
		select {
		case <-p.wake:
		case <-ticks:
			if !p.mayTick(sent) {
				continue
			}
			p.send(ctx, nil, p.log.tick(p.stamp.next()), 1)
			sent = time.Now()
			continue
		case <-ctx.Done():
			return
		}
		for p.pending(version) {
			if err := p.gather(ctx, sent); err != nil {
				return
			}
			version = p.entry(ctx, version)
			sent = time.Now()
		}
	}
}

// mayTick reports whether to write a tick: time has something to change in the shard, the last entry
// failed and the log may accept one again, or there has been no entry for long.
func (p *proposer) mayTick(sent time.Time) bool {
	silent := time.Since(sent)
	if silent < p.c.TickEvery/2 || p.log.refused() != nil {
		return false
	}
	return silent >= p.c.IdleTick || p.failing.Load() || p.log.due() <= p.c.Clock().UnixMilli()
}

// pending reports whether there is anything to propose.
func (p *proposer) pending(version uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.queue) > 0 || p.mu.target > version
}

// gather waits for the next beat, unless the last entry is older than a beat or a whole entry is queued.
// A command does not wait, since nothing could share its entry.
func (p *proposer) gather(ctx context.Context, sent time.Time) error {
	for {
		now := time.Now()
		if now.Sub(sent) >= p.c.BatchWait || p.full() || p.beat(now) != p.beat(sent) {
			return ctx.Err()
		}
		left := p.c.BatchWait - time.Duration(now.UnixNano())%p.c.BatchWait
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// beat returns the number of the beat that an instant is in.
func (p *proposer) beat(at time.Time) int64 { return at.UnixNano() / int64(max(p.c.BatchWait, 1)) }

func (p *proposer) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.queued >= p.c.BatchBytes || len(p.mu.queue) > 0 && p.mu.queue[0].command != nil
}

// take removes the next entry's proposals from the queue: messages up to BatchBytes, or one command.
func (p *proposer) take() (batch []*proposal, need uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	need = p.mu.target
	size, n := 0, 0
	for n < len(p.mu.queue) {
		q := p.mu.queue[n]
		if n > 0 && (q.command != nil || size+q.size > p.c.BatchBytes) {
			break
		}
		n++
		size += q.size
		need = max(need, q.need)
		if q.command != nil {
			break
		}
	}
	batch = append(batch, p.mu.queue[:n]...)
	clear(p.mu.queue[:n]) // the array must not keep proposals that were taken
	p.mu.queue = p.mu.queue[n:]
	p.mu.queued -= size
	return batch, need
}

// entry sends the next entry, after the catalog changes it needs. It returns the catalog version
// proposed so far.
func (p *proposer) entry(ctx context.Context, version uint64) uint64 {
	batch, need := p.take()
	p.mu.Lock()
	if p.mu.lost {
		p.mu.lost, version = false, p.log.catalog()
	}
	p.mu.Unlock()
	if need > version {
		changes, err := p.log.changes(version, need, p.stamp.next)
		if err != nil {
			p.failAll(batch, fmt.Errorf("read catalog changes %d to %d: %w", version, need, err))
			return version
		}
		for _, change := range changes {
			p.send(ctx, nil, change, 1)
		}
		version = max(version, need)
	}
	if len(batch) == 0 {
		return version
	}
	now := p.stamp.next()
	var data []byte
	weight := int64(commandsPerEntry)
	if batch[0].command != nil {
		data, weight = batch[0].command(now), 1
	} else {
		data = p.log.messages(need, now, parcelsOf(batch))
	}
	for _, q := range batch {
		close(q.encoded)
	}
	p.send(ctx, batch, data, weight)
	return version
}

func parcelsOf(batch []*proposal) [][]engine.Message {
	parcels := make([][]engine.Message, len(batch))
	for i, q := range batch {
		parcels[i] = q.msgs
	}
	return parcels
}

// send proposes one entry when there is capacity in flight.
func (p *proposer) send(ctx context.Context, batch []*proposal, data []byte, weight int64) {
	if err := p.slots.Acquire(ctx, weight); err != nil {
		p.failAll(batch, ErrClosed)
		return
	}
	bytes := min(int64(len(data)), int64(p.c.FlightBytes)) // a larger entry is alone in flight
	if err := p.flightBytes.Acquire(ctx, bytes); err != nil {
		p.slots.Release(weight)
		p.failAll(batch, ErrClosed)
		return
	}
	p.flights <- flight{future: p.log.propose(data), batch: batch, bytes: bytes, weight: weight}
}

// collect is the goroutine that replies to the proposals, in log order.
func (p *proposer) collect() {
	defer close(p.ended)
	for f := range p.flights {
		err := f.future.Error()
		p.flightBytes.Release(f.bytes)
		p.slots.Release(f.weight)
		p.failing.Store(err != nil)
		if err != nil {
			p.mu.Lock()
			p.mu.lost = true
			p.mu.Unlock()
			p.failAll(f.batch, proposalError(err))
			p.nudge()
			continue
		}
		replyAll(f)
	}
}

// applied is what the state machine returns for an entry.
type applied struct {
	outcomes []engine.Outcome
	result   any
	err      error
}

// replyAll sends each proposal of a flight its part of the outcomes.
func replyAll(f flight) {
	a, _ := f.future.Response().(applied)
	at := 0
	for _, q := range f.batch {
		r := reply{result: a.result, seq: f.future.Index(), err: a.err}
		if n := len(q.msgs); a.err == nil && n > 0 {
			if at+n > len(a.outcomes) {
				r.err = fmt.Errorf("apply entry %d: %d outcomes for %d messages", r.seq, len(a.outcomes), at+n)
			} else {
				r.outcomes = a.outcomes[at : at+n : at+n]
			}
			at += n
		}
		q.done <- r
	}
}

// proposalError returns the error that a sender gets for a failed proposal.
func proposalError(err error) error {
	if errors.Is(err, raft.ErrRaftShutdown) {
		return ErrClosed
	}
	return notReady("the entry was not accepted by the log", err)
}

func (p *proposer) failAll(batch []*proposal, err error) {
	for _, q := range batch {
		q.fail(err)
	}
}

// shutDown refuses queued proposals and lets collect end after the entries in flight.
func (p *proposer) shutDown() {
	p.mu.Lock()
	p.mu.closed = true
	queue := p.mu.queue
	p.mu.queue, p.mu.queued = nil, 0
	p.mu.Unlock()
	p.failAll(queue, ErrClosed)
	close(p.flights)
}
