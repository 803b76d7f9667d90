package exec

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool evaluates the statements of a process. Its slots limit how many goroutines work at the same time:
// more of them would make no statement faster and would keep writers from the processor. The caller of a
// statement has a slot and works in it; the pool's own helpers join while slots are free.
type Pool struct {
	slots  chan struct{}
	jobs   chan *job // received by idle helpers
	closed chan struct{}
	ended  sync.WaitGroup
	once   sync.Once

	mu struct {
		sync.Mutex
		free []*buffers
	}
}

// NewPool returns a pool with this many slots; 0 means GOMAXPROCS. It must be closed.
func NewPool(slots int) *Pool {
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	p := &Pool{slots: make(chan struct{}, slots), jobs: make(chan *job), closed: make(chan struct{})}
	for range slots - 1 {
		p.ended.Go(p.help)
	}
	return p
}

// Close stops the helpers. A statement that they help with continues without them.
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

// Leave returns the slot.
func (p *Pool) Leave() { <-p.slots }

// job is one round of work that the caller and the helpers that joined share.
type job struct {
	pool    *Pool
	work    func(caller bool) // returns when no work is left to start
	stop    func()            // makes work return soon
	helpers sync.WaitGroup
	panic   atomic.Pointer[any] // of a helper
}

// run works until everything is done. It re-panics with the panic of a helper.
func (j *job) run() {
	defer func() {
		if p := j.panic.Load(); p != nil {
			panic(*p)
		}
	}()
	defer j.helpers.Wait() // also when work panics: helpers read what the caller will release
	finished := false
	defer func() {
		if !finished {
			j.stop()
		}
	}()
	j.work(true)
	finished = true
}

// call wakes a helper if one is idle and has a slot free. It reports whether it did.
func (j *job) call() bool {
	select {
	case j.pool.slots <- struct{}{}:
	default:
		return false
	}
	j.helpers.Add(1)
	select {
	case j.pool.jobs <- j:
		return true
	default:
		j.helpers.Done()
		<-j.pool.slots
		return false
	}
}

// help is the loop of a helper.
func (p *Pool) help() {
	for {
		select {
		case j := <-p.jobs:
			j.join()
		case <-p.closed:
			return
		}
	}
}

// join works until no work is left. It leaves the slot before it reports the end, so that the caller's
// next statement finds the slot free.
func (j *job) join() {
	defer j.helpers.Done()
	defer j.pool.Leave()
	defer func() {
		if p := recover(); p != nil {
			j.panic.Store(&p)
			j.stop()
		}
	}()
	j.work(false)
}

// getBuffers returns buffers for a statement, reused if possible.
func (p *Pool) getBuffers() *buffers {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.mu.free); n > 0 {
		k := p.mu.free[n-1]
		p.mu.free = p.mu.free[:n-1]
		return k
	}
	return newBuffers()
}

// putBuffers keeps buffers for the next statement.
func (p *Pool) putBuffers(k *buffers) {
	k.src.Source = nil
	k.visitors.reset()
	k.scratch.Reclaim()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.free) < cap(p.slots) {
		p.mu.free = append(p.mu.free, k)
	}
}
