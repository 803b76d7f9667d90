package exec

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is where the statements of a process are evaluated. Its slots bound how many goroutines work at
// once: more of them would make no statement faster, and would keep the writers from the processor. Whoever
// asks has a slot and works in it; the pool's own helpers join as long as slots are free.
type Pool struct {
	slots  chan struct{}
	crews  chan *crew // received by idle helpers
	closed chan struct{}
	ended  sync.WaitGroup
	once   sync.Once

	mu struct {
		sync.Mutex
		kits []*kit
	}
}

// NewPool returns a pool of some slots, GOMAXPROCS for 0. It must be closed.
func NewPool(slots int) *Pool {
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	p := &Pool{slots: make(chan struct{}, slots), crews: make(chan *crew), closed: make(chan struct{})}
	for range slots - 1 {
		p.ended.Go(p.help)
	}
	return p
}

// Close ends the helpers, in the middle of what they help with: it goes on without them.
func (p *Pool) Close() {
	p.once.Do(func() { close(p.closed) })
	p.ended.Wait()
}

func (p *Pool) isClosed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// Enter waits for a slot.
func (p *Pool) Enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave gives the slot back.
func (p *Pool) Leave() { <-p.slots }

// crew is those who work at one thing: who asked for it, and the helpers that joined.
type crew struct {
	pool    *Pool
	work    func(asker bool) // returns when there is nothing left to begin
	stop    func()           // makes work return soon
	helpers sync.WaitGroup
	panic   atomic.Pointer[any] // of a helper
}

// run works until all is done. A panic of a helper goes on in the caller.
func (c *crew) run() {
	defer func() {
		if p := c.panic.Load(); p != nil {
			panic(*p)
		}
	}()
	defer c.helpers.Wait() // also when work panics: helpers read what the caller will release
	finished := false
	defer func() {
		if !finished {
			c.stop()
		}
	}()
	c.work(true)
	finished = true
}

// call wakes a helper if one is idle and there is a slot for it.
func (c *crew) call() bool {
	select {
	case c.pool.slots <- struct{}{}:
	default:
		return false
	}
	c.helpers.Add(1)
	select {
	case c.pool.crews <- c:
		return true
	default:
		c.helpers.Done()
		<-c.pool.slots
		return false
	}
}

// help is the life of a helper.
func (p *Pool) help() {
	for {
		select {
		case c := <-p.crews:
			c.join()
		case <-p.closed:
			return
		}
	}
}

// join works until there is nothing left. The slot is free before the asker hears of it: who asks one
// thing after the other finds it so.
func (c *crew) join() {
	defer c.helpers.Done()
	defer c.pool.Leave()
	defer func() {
		if p := recover(); p != nil {
			c.panic.Store(&p)
			c.stop()
		}
	}()
	c.work(false)
}

// lend returns a kit, of a statement before if there is one.
func (p *Pool) lend() *kit {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.mu.kits); n > 0 {
		k := p.mu.kits[n-1]
		p.mu.kits = p.mu.kits[:n-1]
		return k
	}
	return newKit()
}

// back keeps a kit for the next statement.
func (p *Pool) back(k *kit) {
	k.src.Source = nil
	k.visitors.reset()
	k.stock.Reclaim()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.kits) < cap(p.slots) {
		p.mu.kits = append(p.mu.kits, k)
	}
}
