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

// proposal is something a shard's log shall take: messages, which share an entry with others, or one
// encoded command of its own.
type proposal struct {
	msgs    []engine.Message
	command func(now int64) []byte // nil for messages
	need    uint64                 // the catalog version it stands on
	size    int                    // estimated bytes
	done    chan reply             // capacity 1: nobody has to listen
	encoded chan struct{}          // closed when msgs are no longer looked at
}

// reply is what became of a proposal.
type reply struct {
	outcomes []engine.Outcome
	result   any // of a command
	seq      uint64
	err      error // the outcome is unknown, unless it is a *Error
}

func newProposal(msgs []engine.Message, need uint64, size int) *proposal {
	return &proposal{msgs: msgs, need: need, size: size, done: make(chan reply, 1), encoded: make(chan struct{})}
}

// entries is how a proposer makes a shard's log entries and gets them in.
type entries interface {
	// propose starts an entry on its way.
	propose(entry []byte) raft.ApplyFuture
	// due is the first instant (Unix ms) at which time alone may change what the shard holds.
	due() int64
	// messages encodes an entry of messages; tick one of nothing but time.
	messages(version uint64, now int64, parcels [][]engine.Message) []byte
	tick(now int64) []byte
	// changes returns the catalog changes from one version to another, each encoded as an entry.
	changes(after, upTo uint64, now func() int64) ([][]byte, error)
	// catalog is the newest version the shard has applied.
	catalog() uint64
	// refused tells why nothing may be written now; it silences ticks.
	refused() error
}

// proposer is the queue in front of one shard's log, and the only one to write to it: that keeps the
// order per literal id and puts a catalog version before the first message that needs it.
//
// The first proposal after a silence of BatchWait goes at once; after that one entry gathers what
// comes until the next beat of BatchWait, up to BatchBytes. The beat is that of the clock, so that all
// shards write at once: a request that goes to all of them waits for half a beat and not for nearly a
// whole one, and the disk is synced for many at a time. At most FlightEntries entries of messages and FlightBytes
// bytes are on their way; sixteen commands count as one entry, since raft stores those that come
// together with one fsync. What cannot go waits in a queue bounded in bytes; beyond it is "overloaded".
type proposer struct {
	shard   int
	c       Config
	entries entries
	stamp   *stamper
	flight  *semaphore.Weighted // bytes
	room    *semaphore.Weighted // commands; an entry of messages counts as commandsAnEntry
	flights chan flight
	wake    chan struct{} // capacity 1
	ended   chan struct{}
	failing atomic.Bool // the log did not take the last entry

	mu struct {
		sync.Mutex
		queue    []*proposal
		queued   int    // bytes in queue
		reserved int    // bytes promised to proposals not yet submitted
		target   uint64 // catalog version the shard shall have
		lost     bool   // an entry failed: what was proposed of the catalog is unknown
		closed   bool
	}
}

// flight is an entry on its way.
type flight struct {
	future raft.ApplyFuture
	batch  []*proposal
	bytes  int64
	weight int64
}

// commandsAnEntry is how many commands may be on their way instead of one entry of messages.
const commandsAnEntry = 16

// newProposer starts the two goroutines; they end with ctx.
func newProposer(ctx context.Context, shard int, c Config, e entries, stamp *stamper) *proposer {
	p := &proposer{
		shard: shard, c: c, entries: e, stamp: stamp, flight: semaphore.NewWeighted(int64(c.FlightBytes)),
		room:    semaphore.NewWeighted(int64(c.FlightEntries) * commandsAnEntry),
		flights: make(chan flight, c.FlightEntries*commandsAnEntry),
		wake:    make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go p.run(ctx)
	go p.collect()
	return p
}

// reserve promises room for a proposal of size bytes; one larger than the queue gets an empty queue.
// It must be followed by submit or unreserve.
func (p *proposer) reserve(size int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	used := p.mu.queued + p.mu.reserved
	if p.mu.closed {
		return ErrClosed
	}
	if used > 0 && used+size > p.c.QueueBytes {
		return overloaded("too many messages are waiting")
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

// withdraw takes a proposal back if it has not been encoded yet; else it waits until its messages are
// no longer looked at, which is soon.
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

// start queues a command, which is to be awaited.
func (p *proposer) start(need uint64, size int, command func(now int64) []byte) (*proposal, error) {
	if err := p.reserve(size); err != nil {
		return nil, err
	}
	q := newProposal(nil, need, size)
	q.command = command
	p.submit(q)
	return q, nil
}

// wantCatalog makes the shard apply the catalog up to version, soon.
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

// run is the goroutine that fills the log.
func (p *proposer) run(ctx context.Context) {
	defer p.shut()
	var ticks <-chan time.Time
	if p.c.TickEvery > 0 {
		ticker := time.NewTicker(p.c.TickEvery)
		defer ticker.Stop()
		ticks = ticker.C
	}
	var sent time.Time // the last entry
	var version uint64 // of the catalog proposed last
	version = p.entries.catalog()
	for {
		select {
		case <-p.wake:
		case <-ticks:
			if !p.mayTick(sent) {
				continue
			}
			p.send(ctx, nil, p.entries.tick(p.stamp.next()), 1)
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

// mayTick reports whether an entry of nothing but time has a purpose: time has something to do in the shard, the
// log did not take the last entry and may again, or it has been silent for long.
func (p *proposer) mayTick(sent time.Time) bool {
	silent := time.Since(sent)
	if silent < p.c.TickEvery/2 || p.entries.refused() != nil {
		return false
	}
	return silent >= p.c.IdleTick || p.failing.Load() || p.entries.due() <= p.c.Clock().UnixMilli()
}

// pending tells whether there is anything to propose.
func (p *proposer) pending(version uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.queue) > 0 || p.mu.target > version
}

// gather waits for the next beat if the last entry is not older, or until a whole entry is there. A command does
// not wait: nothing could share its entry.
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

// beat is the number of the beat in which an instant lies.
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
	clear(p.mu.queue[:n]) // the array must not keep what has gone
	p.mu.queue = p.mu.queue[n:]
	p.mu.queued -= size
	return batch, need
}

// entry sends the next entry, and before it the catalog changes it needs. It returns the catalog
// version proposed so far.
func (p *proposer) entry(ctx context.Context, version uint64) uint64 {
	batch, need := p.take()
	p.mu.Lock()
	if p.mu.lost {
		p.mu.lost, version = false, p.entries.catalog()
	}
	p.mu.Unlock()
	if need > version {
		changes, err := p.entries.changes(version, need, p.stamp.next)
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
	weight := int64(commandsAnEntry)
	if batch[0].command != nil {
		data, weight = batch[0].command(now), 1
	} else {
		data = p.entries.messages(need, now, parcelsOf(batch))
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

// send puts one entry on its way when there is room in flight.
func (p *proposer) send(ctx context.Context, batch []*proposal, data []byte, weight int64) {
	if err := p.room.Acquire(ctx, weight); err != nil {
		p.failAll(batch, ErrClosed)
		return
	}
	bytes := min(int64(len(data)), int64(p.c.FlightBytes)) // a larger one flies alone
	if err := p.flight.Acquire(ctx, bytes); err != nil {
		p.room.Release(weight)
		p.failAll(batch, ErrClosed)
		return
	}
	p.flights <- flight{future: p.entries.propose(data), batch: batch, bytes: bytes, weight: weight}
}

// collect is the goroutine that tells the waiters, in log order.
func (p *proposer) collect() {
	defer close(p.ended)
	for f := range p.flights {
		err := f.future.Error()
		p.flight.Release(f.bytes)
		p.room.Release(f.weight)
		p.failing.Store(err != nil)
		if err != nil {
			p.mu.Lock()
			p.mu.lost = true
			p.mu.Unlock()
			p.failAll(f.batch, proposalError(err))
			p.nudge()
			continue
		}
		tell(f)
	}
}

// applied is what the state machine returns for an entry.
type applied struct {
	outcomes []engine.Outcome
	result   any
	err      error
}

// tell hands each proposal of a flight its part of the outcomes.
func tell(f flight) {
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

// proposalError says what a failed proposal means to the sender.
func proposalError(err error) error {
	if errors.Is(err, raft.ErrRaftShutdown) {
		return ErrClosed
	}
	return notReady("the shard did not take the entry", err)
}

func (p *proposer) failAll(batch []*proposal, err error) {
	for _, q := range batch {
		q.fail(err)
	}
}

// shut refuses what is queued and lets the collector end after what is on its way.
func (p *proposer) shut() {
	p.mu.Lock()
	p.mu.closed = true
	queue := p.mu.queue
	p.mu.queue, p.mu.queued = nil, 0
	p.mu.Unlock()
	p.failAll(queue, ErrClosed)
	close(p.flights)
}
