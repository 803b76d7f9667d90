package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/query/tree"
)

// ErrNoRepair means that a directory is damaged in a way that RepairDirectory cannot repair.
var ErrNoRepair = errors.New("it cannot be repaired: keep the directory as it is and restore a copy")

// RepairDirectory repairs what Examine finds, and describes in words what it has done. Damaged shards
// are rebuilt as of the end of their logs and written as snapshots, which become visible together in one
// step: a crash leaves the directory as it was or repaired. The logs stay as they are, and so do the
// older snapshots until the node has taken two more. Entries of c.Skip are skipped from then on.
func RepairDirectory(ctx context.Context, c ExamineConfig, now time.Time) (done []string, err error) {
	x, err := newExamination(ctx, c)
	if err != nil {
		return nil, err
	}
	r := &repair{examination: x, now: now}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	for _, f := range x.findings {
		if f.Fix != Rebuild && f.Fix != Noted {
			return nil, fmt.Errorf("%s: %w", f, ErrNoRepair)
		}
	}
	if err := r.rebuild(); err != nil {
		return nil, err
	}
	if err := r.commit(ctx); err != nil {
		return nil, err
	}
	return r.done, nil
}

// repair is one run of RepairDirectory, with all shards in memory.
type repair struct {
	*examination
	now            time.Time
	shards         []*replayedShard
	historyWriters []*historyWriter
	stop           context.CancelFunc // ends the historyWriters' goroutines
	changed        map[int]bool       // shards to write
	notes          []Repair
	done           []string
}

// open restores all shards, applies their logs, and completes their histories: after a snapshot is
// written, the log before it is not read again.
func (r *repair) open(ctx context.Context) error {
	r.changed = map[int]bool{}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	for i := range r.meta.Shards {
		s, err := r.shard(ctx, i, func(s *replayedShard, task historyTask) error {
			if len(r.historyWriters) == i {
				r.historyWriters = append(r.historyWriters, r.newHistoryWriter(running, s))
			}
			return r.historyWriters[i].put(ctx, task)
		})
		if s != nil && len(r.historyWriters) == i {
			r.historyWriters = append(r.historyWriters, r.newHistoryWriter(running, s))
		}
		if err != nil {
			return err
		}
		r.shards = append(r.shards, s)
	}
	return nil
}

func (r *repair) newHistoryWriter(ctx context.Context, s *replayedShard) *historyWriter {
	return newHistoryWriter(ctx, s.history, nil, Config{}.withDefaults().HistoryBytes, r.Log)
}

func (r *repair) close() error {
	if r.stop != nil {
		r.stop()
	}
	var errs []error
	for _, h := range r.historyWriters {
		errs = append(errs, h.close())
	}
	return errors.Join(errs...)
}

// rebuild rebuilds damaged shards, and gives every fact to the profile that it belongs to.
func (r *repair) rebuild() error {
	var strays []engine.Stray
	for i, s := range r.shards {
		if !s.damaged {
			continue
		}
		r.Progress("rebuilding " + s.group)
		rebuilt, err := s.state.Rebuild(r.latest)
		if err != nil {
			return err
		}
		s.state = rebuilt.Shard
		strays = append(strays, rebuilt.Strays...)
		what := fmt.Sprintf("%s in dictionaries, %s, %s made for an id that had moved", counted(rebuilt.Duplicates, "duplicate"),
			counted(rebuilt.Joined, "profile")+" had been in two halves", counted(len(rebuilt.Strays), "profile"))
		if len(rebuilt.Lost) > 0 {
			what += "; lost: " + strings.Join(rebuilt.Lost, ", ")
		}
		r.change(i, what)
	}
	for _, stray := range strays {
		owner := r.owner(stray.Owner)
		stray.Owner = owner
		r.shards[place(owner.ID, len(r.shards))].state.Absorb(stray, r.latest)
		r.change(place(owner.ID, len(r.shards)), "facts of others' ids")
	}
	for i, s := range r.shards {
		for _, m := range s.nowMoved {
			if err := r.deliver(i, m); err != nil {
				return err
			}
		}
	}
	for i := range r.changed {
		if faults := r.shards[i].state.Examine(); len(faults) > 0 {
			return fmt.Errorf("%s is still damaged (%s): %w", r.shards[i].group, faults[0], ErrNoRepair)
		}
	}
	return nil
}

// change records that a shard must be written, and why, if this is its first change.
func (r *repair) change(i int, what string) {
	if r.changed[i] {
		return
	}
	r.changed[i] = true
	s := r.shards[i]
	r.notes = append(r.notes, Repair{Kind: RebuiltShard, Group: s.group, Index: s.end.index, At: r.now.UnixMilli(), What: what})
	r.done = append(r.done, fmt.Sprintf("%s: rebuilt at entry %d: %s", s.group, s.end.index, what))
}

// owner returns the id that owns the profile of an id now.
func (r *repair) owner(id identity.Ref) identity.Ref {
	for range maxMoves {
		home := r.shards[place(id.ID, len(r.shards))].state.Home(id)
		if home.State != identity.Moving && home.State != identity.Moved {
			break
		}
		id = home.To
	}
	return id
}

// deliver applies a message that shard i accepted to the profile that the message belongs to. If that
// profile has the message already, it is a duplicate.
func (r *repair) deliver(i int, m engine.Message) error {
	id := identity.Anon(m.AnonymousID)
	if m.UserID != "" {
		id = identity.User(m.UserID)
	}
	if m.To != "" {
		id = identity.User(m.To)
	}
	m.To = r.owner(id).ID
	home := place(m.To, len(r.shards))
	state := r.shards[home].state
	result, err := state.Deliver(engine.EncodeMessages(state.Catalog().Version(), state.Time(), []engine.Message{m}))
	if err != nil {
		return err
	}
	if o := result.Outcomes[0]; o.Status != engine.Accepted && o.Status != engine.Duplicate {
		return fmt.Errorf("give a message of %q to its owner: %s: %w", id.ID, o.Reason, ErrNoRepair)
	}
	r.change(home, counted(len(r.shards[i].nowMoved), "message")+" of others' ids")
	r.change(i, counted(len(r.shards[i].nowMoved), "message")+" given to their owners")
	return nil
}

// latest returns the value that the messages of some ids gave an attribute last. It reads the histories
// of the shard that the first id is placed in, which has the profile, and of the shard of the last id.
func (r *repair) latest(ids []identity.Ref, attribute uint32) (v tree.Value, ok bool) {
	own := place(ids[0].ID, len(r.shards))
	var at int64
	for n, id := range ids {
		shards := []int{own}
		if other := place(id.ID, len(r.shards)); n == len(ids)-1 && other != own {
			shards = append(shards, other)
		}
		for _, shard := range shards {
			value, received, found := r.lastSet(shard, id.ID, attribute)
			if found && (!ok || received > at) {
				v, at, ok = value, received, true
			}
		}
	}
	return v, ok
}

// lastSet returns the value from the newest message of an id, in a shard's history, that sets an
// attribute.
func (r *repair) lastSet(shard int, id string, attribute uint32) (v tree.Value, received int64, ok bool) {
	for before, more := (disk.Position{}), true; more; {
		entries, err := r.shards[shard].history.Scan(context.Background(), historyKey(id), before, maxTimeline)
		if err != nil {
			r.Log.Warn("cannot read the history", "group", r.shards[shard].group, "err", err)
			return v, 0, false
		}
		for _, e := range entries {
			before = e.Position
			record, err := engine.DecodeCommand(e.Data)
			if err != nil || len(record.Messages) != 1 {
				continue
			}
			m := &record.Messages[0]
			if m.Kind.HasEvent() || literalID(m.UserID, m.AnonymousID) != id {
				continue
			}
			if i := slices.IndexFunc(m.Fields, func(f engine.Field) bool { return f.ID == attribute }); i >= 0 {
				return m.Fields[i].Value, m.ReceivedAt, true
			}
		}
		more = len(entries) == maxTimeline
	}
	return v, 0, false
}

// commit makes the repair durable. The note is written first: on its own it only makes followers of
// changes start over.
func (r *repair) commit(ctx context.Context) error {
	for _, skipped := range r.Skip {
		r.notes = append(r.notes, skipped)
		r.done = append(r.done, skipped.String())
	}
	if len(r.notes) == 0 {
		return nil
	}
	if err := saveRepairs(r.Dir, r.notes); err != nil {
		return err
	}
	var sinks []raft.SnapshotSink
	for i, s := range r.shards {
		if !r.changed[i] {
			continue
		}
		r.Progress("writing snapshot of " + s.group)
		if err := r.historyWriters[i].sync(ctx, s.end.index); err != nil {
			return fmt.Errorf("sync history of %s: %w", s.group, err)
		}
		sink, err := r.snapshot(s)
		if err != nil {
			return fmt.Errorf("write snapshot of %s: %w", s.group, err)
		}
		sinks = append(sinks, sink)
	}
	return r.Archive.CommitTogether(sinks)
}

// snapshot writes the state of a shard as a snapshot that is not visible yet.
func (r *repair) snapshot(s *replayedShard) (raft.SnapshotSink, error) {
	store, err := r.Archive.Snapshots(s.group)
	if err != nil {
		return nil, err
	}
	sink, err := store.Create(raft.SnapshotVersionMax, s.end.index, s.end.term, s.end.servers, s.end.serversAt, nil)
	if err != nil {
		return nil, err
	}
	view := s.state.Image()
	defer view.Release()
	pages := r.Archive.PageWriter(sink)
	if err := errors.Join(view.WriteSnapshot(pages), pages.Close()); err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	return sink, nil
}
