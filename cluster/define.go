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

// definer is the only one to write to the catalog's log: one change at a time, each made from the
// state it changes. Names asked for while a change is on its way share the next one, so that a storm
// of unknown names costs a few entries and not one each.
type definer struct {
	registry *registry
	propose  func(ctx context.Context, change []byte) (applied, error)
	lag      func() uint64 // versions the slowest shard is behind
	refused  func(catalog.ChangeKind) error
	asks     chan *definition
	done     chan struct{}
}

// definition asks for names, or for whatever change build makes out of the newest state.
type definition struct {
	names []catalog.Name
	build func(*catalog.State) (catalog.Change, error)
	done  chan defined // capacity 1
}

// defined is a catalog that has what was asked for, apart from refused names.
type defined struct {
	state *catalog.State
	err   error
}

// maxLag is how far the catalog may run ahead of the slowest shard.
const maxLag = keptChanges / 2

// definitionsAtOnce bounds the names that share one change: an entry stays below a megabyte.
const definitionsAtOnce = 4096

func newDefiner(ctx context.Context, d *definer) *definer {
	d.asks = make(chan *definition, 64)
	d.done = make(chan struct{})
	go d.run(ctx)
	return d
}

// names defines what the catalog lacks of names and returns a state that has them, or has refused
// them for good (then it still lacks them).
func (d *definer) names(ctx context.Context, names []catalog.Name) (*catalog.State, error) {
	return d.ask(ctx, &definition{names: names, done: make(chan defined, 1)})
}

// change makes the change that build returns and returns the state after it. A change of kind 0
// means there is nothing to do.
func (d *definer) change(ctx context.Context, build func(*catalog.State) (catalog.Change, error)) (*catalog.State, error) {
	return d.ask(ctx, &definition{build: build, done: make(chan defined, 1)})
}

func (d *definer) ask(ctx context.Context, q *definition) (*catalog.State, error) {
	select {
	case d.asks <- q:
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
		case q := <-d.asks:
			for q != nil {
				q = d.serve(ctx, q)
			}
		case <-ctx.Done():
			return
		}
	}
}

// serve answers q and those that can share its change. It returns one that cannot, to be next.
func (d *definer) serve(ctx context.Context, q *definition) (next *definition) {
	if q.build != nil {
		state, err := d.make(ctx, q.build)
		q.done <- defined{state, err}
		return nil
	}
	asked := []*definition{q}
	names := q.names
	for next == nil && len(names) < definitionsAtOnce {
		select {
		case other := <-d.asks:
			if other.build != nil {
				next = other
				continue
			}
			asked = append(asked, other)
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
	for _, a := range asked {
		a.done <- defined{state, err}
	}
	return next
}

// make proposes one change.
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
	for d.lag() > maxLag { // a shard's log is stuck; it goes on or the node ends
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

// catalogError gives the refusals of the catalog a code.
func catalogError(err error) error {
	for _, c := range []struct {
		is   error
		code string
	}{
		{catalog.ErrTooMany, codes.TooManyNames}, {catalog.ErrName, codes.Refused}, {catalog.ErrReserved, codes.Refused},
		{catalog.ErrZone, codes.Refused}, {catalog.ErrPredicate, codes.Refused}, {catalog.ErrNotFound, codes.NotFound},
	} {
		if errors.Is(err, c.is) {
			cause := errors.Unwrap(err) // without the version of the change: nobody outside knows it
			if cause == nil {
				cause = err
			}
			return &node.Error{Code: c.code, Text: "it is refused", Cause: cause}
		}
	}
	return err
}
