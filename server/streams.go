package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/musterdb/muster/api/codes"
)

// streams are the answers that do not end by themselves.
type streams struct {
	slots  chan struct{}
	ctx    context.Context // ends when the server stops
	cancel context.CancelFunc
	open   sync.WaitGroup
}

func newStreams(most int) *streams {
	s := &streams{slots: make(chan struct{}, most)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// admit takes a slot for a stream.
func (s *streams) admit(handle handler) (handler, func(), error) {
	if s.ctx.Err() != nil {
		return nil, nil, busy(codes.NotReady, "the node is stopping", time.Second)
	}
	select {
	case s.slots <- struct{}{}:
		s.open.Add(1)
		return handle, func() { s.open.Done(); <-s.slots }, nil
	default:
		return nil, nil, busy(codes.Overloaded, "too many concurrent streams", 5*time.Second)
	}
}

// context returns a context that ends with the request or the server. If the server stops before a
// request is answered, fail says so.
func (s *streams) context(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

func (s *streams) end() { s.cancel() }

// wait waits until all streams have ended.
func (s *streams) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { s.open.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end streams: %w", ctx.Err())
	}
}

// streamFault ends a stream with a close code.
type streamFault struct {
	code   int
	reason string
}

func (f *streamFault) Error() string { return f.reason }

// asFault returns the fault that ends a stream because of err; nil if there is none.
func asFault(err error) *streamFault {
	var fault *streamFault
	switch {
	case errors.As(err, &fault):
		return fault
	case errors.Is(err, errSilent):
		return &streamFault{closeSlow, "silent"}
	}
	return nil
}
