package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/identity"
)

// shard is this node's replica of one shard: a thin layer between raft and the engine. raft calls Apply,
// Snapshot and Restore from one goroutine; readers take views from any.
type shard struct {
	number        int
	config        engine.Config
	storage       Storage
	ctx           context.Context // ends when the node gives up waiting for its history
	state         atomic.Pointer[engine.Shard]
	historyWriter *historyWriter
	sink          Changes // receives changes of membership; may be nil
	group         *group
	proposer      *proposer
	registry      *registry
	watch         *watch
	gate          *Gate
	bytes         atomic.Int64  // applied since the last snapshot
	since         atomic.Int64  // replicated time of the restored snapshot, else of the first entry; Unix ms
	events        chan struct{} // capacity 1: an applied entry may concern the merge driver
	idle          chan struct{} // capacity 1: an applied entry may have left work for maintenance
}

var (
	_ raft.FSM = (*shard)(nil)
	_ shardLog = (*shard)(nil)
)

func newShard(ctx context.Context, number int, ec engine.Config) (*shard, error) {
	s := &shard{number: number, config: ec, ctx: ctx, events: make(chan struct{}, 1), idle: make(chan struct{}, 1)}
	state, err := engine.New(ec)
	if err != nil {
		return nil, fmt.Errorf("make shard %d: %w", number, err)
	}
	s.state.Store(state)
	return s, nil
}

// name returns the name of the shard's group.
func (s *shard) name() string { return shardName(s.number) }

// turnBytes is the length from which on an entry is applied in a turn of the gate. Shorter ones, such as
// ticks, are applied without.
const turnBytes = 256

// Apply implements raft.FSM. It applies an entry and passes the result on.
func (s *shard) Apply(l *raft.Log) any {
	state := s.state.Load()
	before := state.Catalog()
	result, err := s.apply(state, l)
	s.bytes.Add(int64(len(l.Data)))
	if err != nil {
		return applied{err: fmt.Errorf("apply entry %d of shard %d: %w", l.Index, s.number, err)}
	}
	s.since.CompareAndSwap(0, result.Now)
	if s.sink != nil {
		if result.Kind == engine.CatalogCommand && result.Refused == 0 {
			s.markSegments(before, result.Now, l.Data)
		}
		s.sink.Append(s.number, l.Index, result.Changes)
	}
	a := applied{outcomes: slices.Clone(result.Outcomes)}
	switch result.Kind {
	case engine.MessagesCommand:
		if result.Accepted > 0 {
			// An error means that the node is closing: the log has the entry and will replay it.
			_ = s.historyWriter.put(s.ctx, historyTask{seq: l.Index, entry: l.Data, outcomes: a.outcomes})
		}
	case engine.IdentityCommand:
		a.result = result.Identity
	case engine.CatalogCommand, engine.ListCommand, engine.RefreshCommand:
		if result.Refused > 0 { // a catalog version may come twice, when the first try seemed to be lost
			a.err = fmt.Errorf("apply entry %d of shard %d: %s", l.Index, s.number, result.Reason)
		}
	case engine.TickCommand:
		return a
	}
	signal(s.idle)
	if result.Merges {
		signal(s.events)
	}
	return a
}

// apply applies an entry in a turn of the gate, which ends also after a panic.
func (s *shard) apply(state *engine.Shard, l *raft.Log) (engine.Result, error) {
	if len(l.Data) >= turnBytes {
		defer s.gate.Turn(s.ctx)()
	}
	return state.Apply(l.Index, l.Data)
}

// markSegments reports to the sink which segment begins or ceases to exist with a change of the catalog.
func (s *shard) markSegments(before *catalog.State, now int64, entry []byte) {
	command, err := engine.DecodeCommand(entry)
	if err != nil {
		return // cannot happen: the entry was applied
	}
	switch change := command.Change; change.Kind {
	case catalog.PutSegment:
		if _, had := before.SegmentText(change.Segment.Name); !had {
			s.sink.Mark(s.number, now, change.Segment.Name, true)
		}
	case catalog.DropSegment:
		s.sink.Mark(s.number, now, change.Name, false)
	}
}

// signal wakes the receiver of c, unless a signal is pending.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Snapshot implements raft.FSM. An image of the state is the whole snapshot.
func (s *shard) Snapshot() (raft.FSMSnapshot, error) {
	return &shardImage{shard: s, view: s.state.Load().Image(), bytes: s.bytes.Load()}, nil
}

// Restore implements raft.FSM.
func (s *shard) Restore(snapshot io.ReadCloser) error {
	state, err := engine.Restore(s.config, s.storage.PageReader(snapshot))
	if err != nil {
		return errors.Join(fmt.Errorf("restore shard %d: %w", s.number, err), snapshot.Close())
	}
	s.state.Store(state)
	s.since.Store(state.Time())
	if s.sink != nil {
		s.sink.Restored(s.number, state.Seq(), state.Time())
	}
	return snapshot.Close()
}

// shardImage is a snapshot that is being written.
type shardImage struct {
	shard *shard
	view  *engine.Image
	bytes int64
}

// Persist implements raft.FSMSnapshot. History and changes up to the snapshot are synced first, since
// the log, from which they could be restored, is cut after a snapshot.
func (i *shardImage) Persist(sink raft.SnapshotSink) error {
	err := i.shard.historyWriter.sync(i.shard.ctx, i.view.Seq())
	if err == nil && i.shard.sink != nil {
		err = i.shard.sink.Sync(i.shard.number, i.view.Seq())
	}
	if err == nil {
		pages := i.shard.storage.PageWriter(sink)
		if err = i.view.WriteSnapshot(pages); err == nil {
			err = pages.Close()
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write snapshot of shard %d: %w", i.shard.number, err), sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return err
	}
	i.shard.bytes.Add(-i.bytes)
	return nil
}

// Release implements raft.FSMSnapshot.
func (i *shardImage) Release() { i.view.Release() }

func (s *shard) propose(entry []byte) raft.ApplyFuture { return s.group.raft.Apply(entry, 0) }

func (s *shard) messages(version uint64, now int64, parcels [][]engine.Message) []byte {
	defer s.gate.Turn(s.ctx)()
	return engine.EncodeParcels(version, now, parcels)
}

func (s *shard) due() int64 { return s.state.Load().Due() }

func (s *shard) tick(now int64) []byte { return engine.EncodeTick(now) }

func (s *shard) changes(after, upTo uint64, now func() int64) ([][]byte, error) {
	changes, err := s.registry.since(after, upTo)
	if err != nil {
		return nil, err
	}
	coded := make([][]byte, len(changes))
	for i, change := range changes {
		coded[i] = engine.EncodeCatalog(now(), change)
	}
	return coded, nil
}

// leads reports whether this node leads the shard's group and its log accepts entries: a leader whose
// every entry fails steps down, and is elected again immediately.
func (s *shard) leads() bool { return s.group.leads() && !s.proposer.failing.Load() }

func (s *shard) catalog() uint64 { return s.state.Load().Catalog().Version() }

func (s *shard) refused() error { return s.watch.writable() }

// identityStep proposes one step of a merge to this shard, and returns the seq of its entry.
func (s *shard) identityStep(ctx context.Context, step identity.Command) (identity.Reply, uint64, error) {
	size := 256 + len(step.Data)
	r, err := s.proposer.do(ctx, 0, size, func(now int64) []byte { return engine.EncodeIdentity(now, step) })
	if err != nil {
		return identity.Reply{}, 0, err
	}
	answer, _ := r.result.(identity.Reply)
	return answer, r.seq, nil
}

// home returns where an id is, as far as this shard knows.
func (s *shard) home(id identity.Ref) identity.Home { return s.state.Load().Home(id) }
