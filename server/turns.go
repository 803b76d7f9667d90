package server

import "context"

// turns lets so many goroutines decode at once as there are processors. All others wait here and not in
// the scheduler's queues, where whoever asks the node something would stand behind all of them.
type turns struct {
	taken chan struct{}
	end   func()
}

func newTurns(n int) *turns {
	t := &turns{taken: make(chan struct{}, max(n, 0))}
	t.end = func() { <-t.taken }
	return t
}

func (t *turns) take(ctx context.Context) (end func()) {
	select {
	case t.taken <- struct{}{}:
		return t.end
	case <-ctx.Done():
		return func() {}
	}
}

// turnMessages is how many messages are decoded in one turn: a fraction of a millisecond.
const turnMessages = 128
