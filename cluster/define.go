package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
)

// definer is the only writer of the catalog's log. It makes one change at a time, each from the state
// that the change is applied to. Names requested while a change is in flight share the next change, so
// that many unknown names cost few entries.
type definer struct {
	registry *registry
	propose  func(ctx context.Context, change []byte) (applied, error)
	lag      func() uint64 // how many versions the slowest shard lags
	refused  func(catalog.ChangeKind) error
	requests chan *definition
	done     chan struct{}
}

// definition is a request to define names, or to make the change that build returns for the newest
// state.
type definition struct {
	names []catalog.Name
	build func(*catalog.State) (catalog.Change, error)
	done  chan defined // capacity 1
}

// defined is the reply: a catalog that has what was requested, except names it refused.
type defined struct {
	state *catalog.State
	err   error
}

// maxLag is how many versions the catalog may be ahead of the slowest shard.
const maxLag = keptChanges / 2

// maxNamesPerChange limits the names of one change, which keeps its entry below a megabyte.
const maxNamesPerChange = 4096

func newDefiner(ctx context.Context, d *definer) *definer {
	d.requests = make(chan *definition, 64)
	d.done = make(chan struct{})
	go d.run(ctx)
	return d
}

// names defines those of names that the catalog lacks and returns a state that has them. Names that the
// catalog refuses for good are missing from it.
func (d *definer) names(ctx context.Context, names []catalog.Name) (*catalog.State, error) {
	return d.request(ctx, &definition{names: names, done: make(chan defined, 1)})
}

// change proposes the change that build returns, and returns the state after it. A change of kind 0
// means that there is nothing to do.
func (d *definer) change(ctx context.Context, build func(*catalog.State) (catalog.Change, error)) (*catalog.State, error) {
	return d.request(ctx, &definition{build: build, done: make(chan defined, 1)})
}

func (d *definer) request(ctx context.Context, q *definition) (*catalog.State, error) {
	select {
	case d.requests <- q:
	case <-d.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case r := <-q.done:
		return r.state, r.err
	case <-d.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *definer) run(ctx context.Context) {
	defer close(d.done)
	for {
		select {
		case q := <-d.requests:
			for q != nil {
				q = d.serve(ctx, q)
			}
		case <-ctx.Done():
			return
		}
	}
}

// serve answers q and the queued requests that can share its change. It returns the first request that
// cannot, which must be served next.
func (d *definer) serve(ctx context.Context, q *definition) (next *definition) {
	if q.build != nil {
		state, err := d.make(ctx, q.build)
		q.done <- defined{state, err}
		return nil
	}
	sharing := []*definition{q}
	names := q.names
	for next == nil && len(names) < maxNamesPerChange {
		select {
		case other := <-d.requests:
			if other.build != nil {
				next = other
				continue
			}
			sharing = append(sharing, other)
			names = append(names[:len(names):len(names)], other.names...)
			continue
		default:
		}
		break
	}
	state, err := d.make(ctx, func(s *catalog.State) (catalog.Change, error) {
		change, _ := s.Admit(catalog.Change{Kind: catalog.DefineNames, Names: names})
		if len(change.Names) == 0 {
			return catalog.Change{}, nil
		}
		return change, nil
	})
	for _, a := range sharing {
		a.done <- defined{state, err}
	}
	return next
}

// make proposes the change that build returns.
func (d *definer) make(ctx context.Context, build func(*catalog.State) (catalog.Change, error)) (*catalog.State, error) {
	state := d.registry.state.Load()
	change, err := build(state)
	if err != nil {
		return nil, err
	}
	if change.Kind == 0 {
		return state, nil
	}
	if err := d.refused(change.Kind); err != nil {
		return nil, err
	}
	for d.lag() > maxLag { // a shard's log is stuck: it recovers, or the node ends
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return nil, ErrClosed
		}
	}
	change.Version = state.Version() + 1
	a, err := d.propose(ctx, change.Encode())
	if err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, catalogError(a.err)
	}
	next, ok := a.result.(*catalog.State)
	if !ok {
		return nil, fmt.Errorf("define catalog version %d: no state came back", change.Version)
	}
	return next, nil
}

// catalogError gives a refusal of the catalog its code.
func catalogError(err error) error {
	for _, c := range []struct {
		is   error
		code string
	}{
		{catalog.ErrTooMany, codes.TooManyNames}, {catalog.ErrName, codes.Refused}, {catalog.ErrReserved, codes.Refused},
		{catalog.ErrZone, codes.Refused}, {catalog.ErrPredicate, codes.Refused}, {catalog.ErrNotFound, codes.NotFound},
	} {
		if errors.Is(err, c.is) {
			cause := errors.Unwrap(err) // without the version of the change, which means nothing to the caller
			if cause == nil {
				cause = err
			}
			return &node.Error{Code: c.code, Text: "refused", Cause: cause}
		}
	}
	return err
}
