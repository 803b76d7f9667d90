package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/bench/gen"
	"github.com/musterdb/muster/bench/naming"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
)

// filler turns a shop into log entries and applies them, with one goroutine per shard, as an import does:
// every message is identified by its source and line.
type filler struct {
	muster  *Muster
	catalog *catalog.State
	changes []catalog.Change
	inputs  []chan []row
	pending [][]row
	line    uint64
	rows    uint64 // total number of rows
	logged  time.Time
	id      []byte
}

// row is one message on its way to a shard; an event has a time, a profile has none.
type row struct {
	line    uint64
	profile gen.Profile
	event   gen.Event
}

// drawn is how many rows are drawn in advance to learn the names: far more than the rarest name needs.
const drawn = 20_000

func newFiller(m *Muster) *filler {
	return &filler{muster: m, catalog: catalog.New(nil), pending: make([][]row, len(m.shards))}
}

func (f *filler) fill(ctx context.Context, shop *gen.Shop) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := f.learn(shop); err != nil {
		return err
	}
	var shards sync.WaitGroup
	for range f.muster.shards {
		f.inputs = append(f.inputs, make(chan []row, 2))
	}
	for i := range f.inputs {
		shards.Go(func() {
			if err := f.shard(i); err != nil {
				cancel(fmt.Errorf("fill shard %d: %w", i, err))
				for range f.inputs[i] { // drain, so that the sender can continue
				}
			}
		})
	}
	err := f.distribute(ctx, shop)
	for _, input := range f.inputs {
		close(input)
	}
	shards.Wait()
	return errors.Join(context.Cause(ctx), err)
}

// learn defines the names in the first rows.
func (f *filler) learn(shop *gen.Shop) error {
	at := Now().UnixMilli()
	n := 0
	for p := range shop.Profiles() {
		in := p.Incoming("bench", 1, at)
		if err := f.define(&in); err != nil {
			return err
		}
		if n++; n == drawn {
			break
		}
	}
	n = 0
	for e := range shop.Events() {
		in := e.Incoming("bench", 1, at)
		if err := f.define(&in); err != nil {
			return err
		}
		if n++; n == drawn {
			break
		}
	}
	return nil
}

func (f *filler) define(in *engine.Incoming) error {
	_, missing, err := engine.Resolve(f.catalog, in)
	if err != nil || len(missing) == 0 {
		return err
	}
	change := catalog.Change{Version: f.catalog.Version() + 1, Kind: catalog.DefineNames, Names: missing}
	next, err := f.catalog.Apply(change)
	if err != nil {
		return fmt.Errorf("define names: %w", err)
	}
	f.catalog, f.changes = next, append(f.changes, change)
	return nil
}

// distribute sends every row to the shard of its profile.
func (f *filler) distribute(ctx context.Context, shop *gen.Shop) error {
	f.logged, f.rows = time.Now(), uint64(shop.Rows())
	for p := range shop.Profiles() {
		if !f.put(ctx, p.Number, row{profile: p}) {
			return nil
		}
	}
	for e := range shop.Events() {
		if !f.put(ctx, e.User, row{event: e}) {
			return nil
		}
	}
	for i, rows := range f.pending {
		f.inputs[i] <- rows
	}
	return nil
}

// put adds a row of a user. It returns false if filling should stop.
func (f *filler) put(ctx context.Context, user int, r row) bool {
	f.line++
	r.line = f.line
	if f.line%(1<<18) == 0 && time.Since(f.logged) >= progressEvery {
		f.logged = time.Now()
		f.muster.tell("Muster: %d %% of the rows", 100*f.line/f.rows)
	}
	f.id = naming.AppendPerson(f.id[:0], user)
	i := f.muster.place(xxh3.Hash(f.id))
	if f.pending[i] = append(f.pending[i], r); len(f.pending[i]) < f.muster.config.Batch {
		return true
	}
	select {
	case f.inputs[i] <- f.pending[i]:
	case <-ctx.Done():
		return false
	}
	f.pending[i] = make([]row, 0, f.muster.config.Batch)
	return true
}

// shard applies the rows of one shard, each entry at the time of its last event, and compacts the series.
func (f *filler) shard(i int) error {
	s := f.muster.shards[i]
	now := int64(0)
	seq := uint64(0)
	apply := func(entry []byte) (engine.Result, error) {
		seq++
		return s.Apply(seq, entry)
	}
	for _, change := range f.changes {
		if result, err := apply(engine.EncodeCatalog(now, change)); err != nil || result.Refused > 0 {
			return errors.Join(err, errors.New(result.Reason))
		}
	}
	var messages []engine.Message
	for rows := range f.inputs[i] {
		messages = messages[:0]
		for k := range rows {
			msg, err := f.message(&rows[k])
			if err != nil {
				return err
			}
			messages = append(messages, msg)
			now = max(now, rows[k].event.Time)
		}
		result, err := apply(engine.EncodeMessages(f.catalog.Version(), now, messages))
		if err != nil {
			return err
		}
		if result.Accepted != len(messages) {
			return fmt.Errorf("accepted %d of %d messages", result.Accepted, len(messages))
		}
		s.Maintain(2 * len(messages))
	}
	if _, err := apply(engine.EncodeTick(Now().UnixMilli())); err != nil {
		return err
	}
	for s.Maintain(1 << 20) {
	}
	return nil
}

func (f *filler) message(r *row) (engine.Message, error) {
	var in engine.Incoming
	if r.event.Time > 0 {
		in = r.event.Incoming("bench", r.line, r.event.Time)
	} else {
		in = r.profile.Incoming("bench", r.line, r.profile.SignedUpAt)
	}
	msg, missing, err := engine.Resolve(f.catalog, &in)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("name %q was not among the first %d rows", missing[0].Name, drawn)
	}
	return msg, err
}
