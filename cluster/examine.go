package cluster

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node/disk"
)

// Archive is a data directory that no node has open, as Examine and RepairDirectory read it.
type Archive interface {
	// Entries calls visit with every verified entry of a group's log, in order. The entry is valid until
	// visit returns.
	Entries(ctx context.Context, group string, visit func(*raft.Log) error) error
	// Snapshots, History, PageWriter and PageReader are those of Storage.
	Snapshots(group string) (raft.SnapshotStore, error)
	History(group string) (disk.History, error)
	PageWriter(w io.Writer) disk.PageWriter
	PageReader(r io.Reader) disk.PageReader
	// CommitTogether makes written snapshots visible: all of them or none.
	CommitTogether(sinks []raft.SnapshotSink) error
}

// Finding is a problem or a repair that Examine has found.
type Finding struct {
	Group string
	Text  string
	// Fix is how it can be repaired; Entry names the entry to skip, if Fix is Skip.
	Fix   Fix
	Entry string
}

// String returns the text, after the group unless nothing needs to be done.
func (f Finding) String() string {
	if f.Fix == Noted {
		return f.Text
	}
	return f.Group + ": " + f.Text
}

// Fix is a way to repair what was found.
type Fix int

// The ways to repair.
const (
	NoFix   Fix = iota // it cannot be repaired: a copy of the directory must be restored
	Rebuild            // rebuild the shard's state from its facts
	Skip               // skip the entry
	Noted              // nothing to do: it is repaired already
)

// ExamineConfig configures Examine and RepairDirectory.
type ExamineConfig struct {
	Dir      string
	Archive  Archive
	Skip     []Repair          // entries to skip, besides those that already are
	Progress func(what string) // may be nil
	Log      *slog.Logger      // default: discarded
}

func (c ExamineConfig) withDefaults() ExamineConfig {
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports everything that is wrong with c.
func (c ExamineConfig) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("examine config: Dir is missing"))
	}
	if c.Archive == nil {
		faults = append(faults, errors.New("examine config: Archive is missing"))
	}
	return errors.Join(faults...)
}

// Examine restores every shard of a data directory that no process is using, applies its log, and
// compares the resulting state with the facts it is derived from. It changes nothing.
func Examine(ctx context.Context, c ExamineConfig) ([]Finding, error) {
	x, err := newExamination(ctx, c)
	if err != nil {
		return nil, err
	}
	for i := range x.meta.Shards {
		s, err := x.shard(ctx, i, nil)
		if s != nil {
			err = errors.Join(err, s.history.Close())
		}
		if err != nil {
			return x.findings, err
		}
	}
	return x.findings, nil
}

// examination is one run of Examine or RepairDirectory over a directory, shard by shard.
type examination struct {
	ExamineConfig
	meta     meta
	repairs  []Repair
	catalog  *catalog.State
	findings []Finding
}

func newExamination(ctx context.Context, c ExamineConfig) (*examination, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	x := &examination{ExamineConfig: c.withDefaults()}
	var err error
	if x.meta, err = readMeta(c.Dir); err != nil {
		return nil, err
	}
	if x.repairs, err = LoadRepairs(c.Dir); err != nil {
		return nil, err
	}
	for _, r := range x.repairs {
		x.report(r.Group, Noted, "%s", r)
	}
	x.repairs = append(x.repairs, c.Skip...)
	return x, x.readCatalog(ctx)
}

func (x *examination) report(group string, fix Fix, format string, args ...any) {
	x.findings = append(x.findings, Finding{Group: group, Fix: fix, Text: fmt.Sprintf(format, args...)})
}

// readCatalog restores the catalog and applies its log.
func (x *examination) readCatalog(ctx context.Context) error {
	x.Progress("state of catalog")
	r := newRegistry(parsePredicate, archiveStorage{x.Archive}, func(uint64) {})
	from, err := x.restore(catalogGroup, r.Restore)
	if err == nil {
		_, err = x.replay(ctx, catalogGroup, from, func(l *raft.Log) error {
			r.Apply(l) // a change refused here was refused the first time too
			return nil
		})
	}
	x.catalog = r.state.Load()
	if err != nil {
		return x.reportUnusable(ctx, catalogGroup, err)
	}
	return nil
}

// archiveStorage makes an Archive a Storage, for what a registry uses of it.
type archiveStorage struct{ Archive }

func (archiveStorage) Found() (Found, error)           { return Found{}, errors.ErrUnsupported }
func (archiveStorage) CheckStart(string, uint64) error { return errors.ErrUnsupported }
func (archiveStorage) Log(string) (Log, error)         { return nil, errors.ErrUnsupported }
func (archiveStorage) Space() (free int64, low bool, err error) {
	return 0, false, errors.ErrUnsupported
}
func (archiveStorage) Err() error   { return nil }
func (archiveStorage) Close() error { return nil }

// logEnd is where a group's snapshot or log ends.
type logEnd struct {
	index, term uint64
	servers     raft.Configuration
	serversAt   uint64
}

// restore passes the newest readable snapshot of a group to restore, and returns where it ends. Without
// any snapshot it returns a zero logEnd: the group begins with its log.
func (x *examination) restore(group string, restore func(io.ReadCloser) error) (end logEnd, err error) {
	store, err := x.Archive.Snapshots(group)
	if err != nil {
		return end, fmt.Errorf("open snapshots of %s: %w", group, err)
	}
	metas, err := store.List()
	if err != nil {
		return end, fmt.Errorf("list snapshots of %s: %w", group, err)
	}
	for _, m := range metas {
		_, source, err := store.Open(m.ID)
		if err == nil {
			err = restore(source)
		}
		if err == nil {
			return logEnd{index: m.Index, term: m.Term, servers: m.Configuration, serversAt: m.ConfigurationIndex}, nil
		}
		x.report(group, NoFix, "snapshot %s cannot be restored: %v", m.ID, err)
	}
	return end, nil
}

// replay passes the entries after a snapshot to apply, except skipped ones, and returns the position of
// the last. An entry that cannot be applied ends the replay with a *PoisonError.
func (x *examination) replay(ctx context.Context, group string, end logEnd, apply func(*raft.Log) error) (logEnd, error) {
	skip := skips(x.repairs, group)
	err := x.Archive.Entries(ctx, group, func(l *raft.Log) error {
		if l.Index <= end.index {
			return ctx.Err()
		}
		if l.Index != end.index+1 {
			return fmt.Errorf("entries %d to %d are missing between the snapshot and the log", end.index+1, l.Index-1)
		}
		switch l.Type {
		case raft.LogCommand:
			if _, skipped := skip[l.Index]; !skipped {
				if err := applyGuarded(group, l, apply); err != nil {
					return err
				}
			}
		case raft.LogConfiguration:
			end.servers, end.serversAt = raft.DecodeConfiguration(l.Data), l.Index
		}
		end.index, end.term = l.Index, l.Term
		return ctx.Err()
	})
	return end, err
}

// applyGuarded turns a panic in apply into a *PoisonError.
func applyGuarded(group string, l *raft.Log, apply func(*raft.Log) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PoisonError{Group: group, Index: l.Index, What: describeEntry(group, l.Data), Cause: p}
		}
	}()
	return apply(l)
}

// replayedShard is a shard with its whole log applied.
type replayedShard struct {
	number   int
	group    string
	end      logEnd
	state    *engine.Shard
	history  disk.History
	damaged  bool             // and the shard can be rebuilt
	nowMoved []engine.Message // accepted when they came, though their profile had moved already
}

// shard restores a shard, applies its log and checks its state. If that fails, a finding says so. The
// history stays open until the caller closes it. onMessages, if not nil, is called for every applied
// entry of messages.
func (x *examination) shard(ctx context.Context, number int, onMessages func(*replayedShard, historyTask) error) (*replayedShard, error) {
	s := &replayedShard{number: number, group: shardName(number)}
	x.Progress("state of " + s.group)
	var err error
	if s.state, err = engine.New(x.meta.engineConfig(number)); err != nil {
		return nil, err
	}
	s.end, err = x.restore(s.group, func(source io.ReadCloser) error {
		state, err := engine.RestoreDamaged(x.meta.engineConfig(number), x.Archive.PageReader(source))
		if err == nil {
			s.state = state
		}
		return errors.Join(err, source.Close())
	})
	if err != nil {
		return nil, err
	}
	if s.history, err = x.Archive.History(s.group); err != nil {
		return nil, fmt.Errorf("open history of %s: %w", s.group, err)
	}
	s.end, err = x.replay(ctx, s.group, s.end, func(l *raft.Log) error { return s.apply(ctx, l, onMessages) })
	if err != nil {
		return s, x.reportUnusable(ctx, s.group, err)
	}
	for s.state.Maintain(1 << 20) {
	}
	x.checkState(s)
	return s, nil
}

// reportUnusable adds a finding that says why a group's log could not be applied.
func (x *examination) reportUnusable(ctx context.Context, group string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if poison, ok := Poison(err); ok {
		x.findings = append(x.findings, Finding{Group: group, Fix: Skip, Entry: poison.Entry(), Text: poison.Error()})
		return nil
	}
	x.report(group, NoFix, "%v", err)
	return nil
}

// checkState compares a state with the facts it is derived from, and with the catalog.
func (x *examination) checkState(s *replayedShard) {
	for _, fault := range s.state.Examine() {
		s.damaged = true
		x.report(s.group, Rebuild, "%s", fault)
	}
	if n := len(s.nowMoved); n > 0 {
		x.report(s.group, Rebuild, "%s accepted for an id whose profile had moved, and missing at its owner: %.60q%s",
			counted(n, "message"), literalID(s.nowMoved[0].UserID, s.nowMoved[0].AnonymousID), ellipsis(n))
	}
	if has, newest := s.state.Catalog().Version(), x.catalog.Version(); has > newest {
		x.report(s.group, NoFix, "it has catalog version %d, the catalog ends at %d", has, newest)
	}
}

func ellipsis(n int) string {
	if n > 1 {
		return ", …"
	}
	return ""
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// apply applies an entry and examines the outcomes of its messages.
func (s *replayedShard) apply(ctx context.Context, l *raft.Log, onMessages func(*replayedShard, historyTask) error) error {
	result, err := s.state.Apply(l.Index, l.Data)
	if err != nil {
		return fmt.Errorf("apply entry %d: %w", l.Index, err)
	}
	if result.Kind != engine.MessagesCommand {
		return nil
	}
	entry := append([]byte(nil), l.Data...)
	if slices.ContainsFunc(result.Outcomes, func(o engine.Outcome) bool { return o.Status == engine.Moved }) {
		if err := s.findNowMoved(ctx, l.Index, entry, result.Outcomes); err != nil {
			return err
		}
	}
	if onMessages != nil && result.Accepted > 0 {
		return onMessages(s, historyTask{seq: l.Index, entry: entry, outcomes: slices.Clone(result.Outcomes)})
	}
	return nil
}

// findNowMoved finds the messages that were accepted here when they came, as the history shows, though
// the profile of their id is elsewhere.
func (s *replayedShard) findNowMoved(ctx context.Context, seq uint64, entry []byte, outcomes []engine.Outcome) error {
	if seq > s.history.Synced() {
		return nil // unknown; a history that ends early has lost more than these
	}
	command, err := engine.DecodeCommand(entry)
	if err != nil {
		return fmt.Errorf("read entry %d: %w", seq, err)
	}
	for i, m := range command.Messages {
		if outcomes[i].Status != engine.Moved {
			continue
		}
		kept, err := s.history.Scan(ctx, historyKey(literalID(m.UserID, m.AnonymousID)), disk.Position{Seq: seq + 1}, maxTimeline)
		if err != nil {
			return fmt.Errorf("read history at entry %d: %w", seq, err)
		}
		for _, e := range kept {
			record, err := engine.DecodeCommand(e.Data)
			if err != nil || e.Seq != seq || len(record.Messages) != 1 {
				continue
			}
			if r := &record.Messages[0]; r.MessageID == m.MessageID && r.Source == m.Source && r.Line == m.Line {
				s.nowMoved = append(s.nowMoved, m)
				break
			}
		}
	}
	return nil
}

// DescribeEntry describes an entry of a group's log in words. It returns an error if the log does not
// have the entry.
func DescribeEntry(ctx context.Context, a Archive, group string, index uint64) (what string, err error) {
	var first, last uint64
	err = a.Entries(ctx, group, func(l *raft.Log) error {
		if first == 0 {
			first = l.Index
		}
		if last = l.Index; l.Index == index && l.Type == raft.LogCommand {
			what = describeEntry(group, l.Data)
		}
		return ctx.Err()
	})
	if err == nil && what == "" {
		err = fmt.Errorf("the log of %s has no command %d: it has entries %d to %d", group, index, first, last)
	}
	return what, err
}

// engineConfig returns the configuration of a shard's engine. It must not change: it decides outcomes.
func (m meta) engineConfig(number int) engine.Config {
	key := fnv.New64a()
	_, _ = key.Write([]byte(m.Cluster)) // never fails
	return engine.Config{Number: number, Key: key.Sum64(), Parse: parsePredicate, DedupCap: max(m.Dedup/m.Shards, 1)}
}

// shardName returns the name of a shard's group.
func shardName(number int) string { return fmt.Sprintf("shard-%03d", number) }
