package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
)

// fakeLog is a shardLog whose entries are applied when the test says so.
type fakeLog struct {
	next    int64 // what due returns
	mu      sync.Mutex
	entries [][]byte
	flying  []*fakeFuture
	hold    bool // entries wait for land
	version uint64
	stop    error
	fail    error
}

type fakeFuture struct {
	raft.IndexFuture
	done  chan struct{}
	err   error
	index uint64
	value any
}

func (f *fakeFuture) Error() error  { <-f.done; return f.err }
func (f *fakeFuture) Response() any { return f.value }
func (f *fakeFuture) Index() uint64 { return f.index }

// The entries of a fakeLog begin with their kind.
const (
	fakeMessages = 'm'
	fakeTick     = 't'
	fakeChange   = 'c'
	fakeCommand  = 'x'
)

func (l *fakeLog) propose(entry []byte) raft.ApplyFuture {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry)
	f := &fakeFuture{done: make(chan struct{}), err: l.fail, index: uint64(len(l.entries)), value: l.apply(entry)}
	if l.hold {
		l.flying = append(l.flying, f)
	} else {
		close(f.done)
	}
	return f
}

func (l *fakeLog) apply(entry []byte) applied {
	switch entry[0] {
	case fakeMessages:
		n := binary.BigEndian.Uint32(entry[9:])
		return applied{outcomes: slices.Repeat([]engine.Outcome{{Status: engine.Accepted}}, int(n))}
	case fakeChange:
		if l.fail == nil {
			l.version = binary.BigEndian.Uint64(entry[1:])
		}
	case fakeCommand:
		return applied{result: "done"}
	}
	return applied{}
}

// land applies the oldest n entries in flight.
func (l *fakeLog) land(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.flying[:n] {
		close(f.done)
	}
	l.flying = l.flying[n:]
}

func (l *fakeLog) count(kind byte) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e[0] == kind {
			n++
		}
	}
	return n
}

func (l *fakeLog) messages(version uint64, _ int64, parcels [][]engine.Message) []byte {
	msgs := slices.Concat(parcels...)
	entry := binary.BigEndian.AppendUint64([]byte{fakeMessages}, version)
	entry = binary.BigEndian.AppendUint32(entry, uint32(len(msgs)))
	for i := range msgs {
		entry = append(entry, msgs[i].MessageID...)
	}
	return entry
}

func (l *fakeLog) due() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

func (l *fakeLog) tick(int64) []byte { return []byte{fakeTick} }

func (l *fakeLog) changes(after, upTo uint64, _ func() int64) ([][]byte, error) {
	var all [][]byte
	for v := after + 1; v <= upTo; v++ {
		all = append(all, binary.BigEndian.AppendUint64([]byte{fakeChange}, v))
	}
	return all, nil
}

func (l *fakeLog) catalog() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.version
}

func (l *fakeLog) refused() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stop
}

// withProposer runs fn with a proposer inside a synctest bubble, and shuts the proposer down.
func withProposer(t *testing.T, c Config, log *fakeLog, fn func(t *testing.T, p *proposer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if c.TickEvery == 0 {
			c.TickEvery = -1
		}
		ctx, cancel := context.WithCancel(t.Context())
		p := newProposer(ctx, 0, c.withDefaults(), log, newStamper(time.Now))
		fn(t, p)
		cancel()
		synctest.Wait()
		log.land(len(log.flying))
		<-p.ended
	})
}

// pass lets time pass in the bubble.
func pass(d time.Duration) { <-time.After(d) }

// offer submits messages together as a proposal of size bytes, and returns it.
func offer(t *testing.T, p *proposer, size int, ids ...string) *proposal {
	t.Helper()
	if err := p.reserve(size); err != nil {
		t.Fatalf("reserve: %v", err)
	}
	msgs := make([]engine.Message, len(ids))
	for i, id := range ids {
		msgs[i].MessageID = id
	}
	q := newProposal(msgs, 0, size)
	p.submit(q)
	return q
}

func code(err error) string {
	var coded *node.Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return ""
}

func TestProposerPaces(t *testing.T) {
	log := &fakeLog{}
	withProposer(t, Config{}, log, func(t *testing.T, p *proposer) {
		start := time.Now()
		first := offer(t, p, 100, "a")
		if r := <-first.done; r.err != nil || len(r.outcomes) != 1 {
			t.Fatalf("first reply %+v", r)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("the first message after a silence waited %v", waited)
		}
		var rest []*proposal
		for _, id := range []string{"b", "c", "d"} {
			rest = append(rest, offer(t, p, 100, id))
		}
		for _, q := range rest {
			<-q.done
		}
		if waited := time.Since(start); waited != 10*time.Millisecond {
			t.Errorf("the next entry came after %v, want 10ms", waited)
		}
		if log.count(fakeMessages) != 2 || string(log.entries[1][13:]) != "bcd" {
			t.Errorf("entries %q, want a then b, c, d in one", log.entries)
		}
	})
}

func TestProposerSendsFullEntriesAtOnce(t *testing.T) {
	log := &fakeLog{}
	withProposer(t, Config{BatchBytes: 1000}, log, func(t *testing.T, p *proposer) {
		<-offer(t, p, 1, "a").done
		start := time.Now()
		b, c := offer(t, p, 600, "b"), offer(t, p, 600, "c")
		<-b.done
		if waited := time.Since(start); waited != 0 {
			t.Errorf("a full entry waited %v", waited)
		}
		<-c.done
		if got := log.count(fakeMessages); got != 3 {
			t.Errorf("%d entries, want 3: none larger than BatchBytes", got)
		}
	})
}

func TestProposerLimitsFlight(t *testing.T) {
	log := &fakeLog{hold: true}
	withProposer(t, Config{FlightEntries: 4}, log, func(t *testing.T, p *proposer) {
		var all []*proposal
		for i := range 10 {
			all = append(all, offer(t, p, 300<<10, string(rune('a'+i))))
			pass(20 * time.Millisecond)
		}
		if got := log.count(fakeMessages); got > 4 {
			t.Errorf("%d entries in flight, want at most 4", got)
		}
		for range 20 {
			synctest.Wait()
			log.land(len(log.flying))
			pass(20 * time.Millisecond)
		}
		for i, q := range all {
			if r := <-q.done; r.err != nil || r.seq != uint64(i+1) {
				t.Errorf("proposal %d: seq %d, err %v; want them in order", i, r.seq, r.err)
			}
		}
	})
}

func TestProposerRefusesOverload(t *testing.T) {
	log := &fakeLog{hold: true}
	withProposer(t, Config{QueueBytes: 1000, FlightEntries: 2}, log, func(t *testing.T, p *proposer) {
		if err := p.reserve(5000); err != nil {
			t.Fatalf("a large proposal for an empty queue: %v", err)
		}
		if err := p.reserve(1); code(err) != "overloaded" {
			t.Fatalf("with a reservation larger than the queue: %v, want overloaded", err)
		}
		p.unreserve(5000)
		for range 20 {
			if err := p.reserve(400); err != nil {
				var later *node.Error
				if code(err) != "overloaded" || !errors.As(err, &later) || later.Retry <= 0 {
					t.Errorf("refused with %v, want overloaded with a time to retry", err)
				}
				return
			}
			p.submit(newProposal([]engine.Message{{}}, 0, 400))
			synctest.Wait()
			pass(20 * time.Millisecond)
		}
		t.Error("20 proposals were accepted although none was applied")
	})
}

func TestProposerLeavesNoWaiter(t *testing.T) {
	log := &fakeLog{hold: true}
	withProposer(t, Config{FlightEntries: 2}, log, func(t *testing.T, p *proposer) {
		ctx, cancel := context.WithCancel(t.Context())
		var waiters sync.WaitGroup
		for range 8 {
			q := offer(t, p, 300<<10, "x")
			waiters.Go(func() {
				if _, err := p.await(ctx, q); !errors.Is(err, context.Canceled) {
					t.Errorf("await: %v, want canceled", err)
				}
			})
			pass(20 * time.Millisecond)
		}
		cancel()
		waiters.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.mu.queue) != 0 || p.mu.queued != 0 || p.mu.reserved != 0 {
			t.Errorf("left: %d proposals, %d bytes, %d reserved", len(p.mu.queue), p.mu.queued, p.mu.reserved)
		}
	})
}

func TestProposerPutsCatalogFirst(t *testing.T) {
	log := &fakeLog{}
	withProposer(t, Config{}, log, func(t *testing.T, p *proposer) {
		p.wantCatalog(2)
		synctest.Wait()
		q := newProposal([]engine.Message{{}}, 5, 10)
		if err := p.reserve(10); err != nil {
			t.Fatal(err)
		}
		p.submit(q)
		if r := <-q.done; r.err != nil {
			t.Fatal(r.err)
		}
		kinds := ""
		for _, e := range log.entries {
			kinds += string(e[0])
		}
		if kinds != "cccccm" {
			t.Errorf("entries %s, want five changes, then the messages", kinds)
		}
	})
}

func TestProposerRepeatsLostCatalogChange(t *testing.T) {
	log := &fakeLog{fail: raft.ErrLeadershipLost}
	withProposer(t, Config{}, log, func(t *testing.T, p *proposer) {
		send := func() reply {
			q := newProposal([]engine.Message{{}}, 1, 10)
			if err := p.reserve(10); err != nil {
				t.Fatal(err)
			}
			p.submit(q)
			return <-q.done
		}
		if r := send(); code(r.err) != "not_ready" || !errors.Is(r.err, raft.ErrLeadershipLost) {
			t.Fatalf("reply %v, want not_ready because of the lost leadership", r.err)
		}
		log.mu.Lock()
		log.fail = nil
		log.mu.Unlock()
		if r := send(); r.err != nil {
			t.Fatal(r.err)
		}
		if got := log.count(fakeChange); got != 2 || log.version != 1 {
			t.Errorf("the lost change was proposed %d times, want 2", got)
		}
	})
}

// TestProposerTicks: ticks are written when time has something to change, and now and then otherwise.
func TestProposerTicks(t *testing.T) {
	log := &fakeLog{}
	next := func(at int64, stop error) {
		log.mu.Lock()
		log.next, log.stop = at, stop
		log.mu.Unlock()
	}
	withProposer(t, Config{TickEvery: 250 * time.Millisecond, IdleTick: 10 * time.Second}, log, func(t *testing.T, p *proposer) {
		pass(time.Second + time.Millisecond)
		if got := log.count(fakeTick); got != 4 {
			t.Errorf("%d ticks in a second while something is due, want 4", got)
		}
		next(0, errors.New("full"))
		pass(time.Second)
		if got := log.count(fakeTick); got != 4 {
			t.Errorf("%d ticks, want none while nothing may be written", got-4)
		}
		next(time.Now().Add(5*time.Second).UnixMilli(), nil)
		pass(5 * time.Second)
		if got := log.count(fakeTick); got != 4 {
			t.Errorf("%d ticks before the due instant", got-4)
		}
		pass(250 * time.Millisecond)
		if got := log.count(fakeTick); got != 5 {
			t.Errorf("%d ticks at the check after the due instant, want 1", got-4)
		}
		next(math.MaxInt64, nil)
		pass(30*time.Second + time.Millisecond)
		if got := log.count(fakeTick); got != 8 {
			t.Errorf("%d ticks in 30 idle seconds, want 3", got-5)
		}
	})
}

func TestProposerRunsCommandsAlone(t *testing.T) {
	log := &fakeLog{}
	withProposer(t, Config{}, log, func(t *testing.T, p *proposer) {
		<-offer(t, p, 10, "a").done
		start := time.Now()
		r, err := p.do(t.Context(), 0, 10, func(int64) []byte { return []byte{fakeCommand} })
		if err != nil || r.result != "done" {
			t.Fatalf("command: %v, %v", r.result, err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("a command waited for %v, want 0", waited)
		}
	})
}

func TestProposerRefusesWhenClosed(t *testing.T) {
	log := &fakeLog{hold: true}
	withProposer(t, Config{FlightEntries: 2}, log, func(t *testing.T, p *proposer) {
		ctx, cancel := context.WithCancel(t.Context())
		other := newProposer(ctx, 1, p.c, log, p.stamp)
		var queued []*proposal
		for range 6 {
			queued = append(queued, offer(t, other, 300<<10, "x"))
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		log.land(len(log.flying))
		<-other.ended
		refused := 0
		for _, q := range queued {
			if r := <-q.done; errors.Is(r.err, ErrClosed) {
				refused++
			}
		}
		if refused == 0 {
			t.Error("everything was accepted although nothing could be applied")
		}
		if err := other.reserve(1); !errors.Is(err, ErrClosed) {
			t.Errorf("reserve after the end: %v, want ErrClosed", err)
		}
	})
}
