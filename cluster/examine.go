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

// Archive is a data directory at rest, as Examine and RepairDirectory read it.
type Archive interface {
	// Entries calls visit with every entry of a group's log, in order, verified. What visit is given is
	// good until it returns.
	Entries(ctx context.Context, group string, visit func(*raft.Log) error) error
	// Snapshots, History, PageWriter and PageReader are those of Storage.
	Snapshots(group string) (raft.SnapshotStore, error)
	History(group string) (disk.History, error)
	PageWriter(w io.Writer) disk.PageWriter
	PageReader(r io.Reader) disk.PageReader
	// CommitTogether makes written snapshots visible: all of them, or none.
	CommitTogether(sinks []raft.SnapshotSink) error
}

// Finding is something that Examine has found.
type Finding struct {
	Group string
	Text  string
	// Mend is how it can be mended; Entry names the entry to be skipped.
	Mend  Mend
	Entry string
}

// String says where it is and what.
func (f Finding) String() string {
	if f.Mend == Told {
		return f.Text
	}
	return f.Group + ": " + f.Text
}

// Mend is a way to mend what was found.
type Mend int

// The ways.
const (
	NoMend  Mend = iota // none: a copy of the directory has to be restored
	Rebuild             // the shard's state is made anew from its facts
	Skip                // the entry is skipped
	Told                // it is mended already, or needs no mending
)

// ExamineConfig says what is examined.
type ExamineConfig struct {
	Dir      string
	Archive  Archive
	Skip     []Repair          // entries to be skipped beside those that are
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

// Validate reports all faults at once.
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
// compares what is in memory then with what it is derived from. It changes nothing.
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

// examination is a look at a directory, shard by shard.
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
		x.find(r.Group, Told, "%s", r)
	}
	x.repairs = append(x.repairs, c.Skip...)
	return x, x.readCatalog(ctx)
}

func (x *examination) find(group string, mend Mend, format string, args ...any) {
	x.findings = append(x.findings, Finding{Group: group, Mend: mend, Text: fmt.Sprintf(format, args...)})
}

// readCatalog brings the catalog to the end of its log.
func (x *examination) readCatalog(ctx context.Context) error {
	x.Progress("state of catalog")
	r := newRegistry(parsePredicate, archived{x.Archive}, func(uint64) {})
	from, err := x.restore(catalogGroup, r.Restore)
	if err == nil {
		_, err = x.replay(ctx, catalogGroup, from, func(l *raft.Log) error {
			r.Apply(l) // what it refuses it refused when it came
			return nil
		})
	}
	x.catalog = r.state.Load()
	if err != nil {
		return x.unusable(ctx, catalogGroup, err)
	}
	return nil
}

// archived makes a Storage of an Archive, for what a registry needs of it.
type archived struct{ Archive }

func (archived) Found() (Found, error)                    { return Found{}, errors.ErrUnsupported }
func (archived) CheckStart(string, uint64) error          { return errors.ErrUnsupported }
func (archived) Log(string) (Log, error)                  { return nil, errors.ErrUnsupported }
func (archived) Space() (free int64, low bool, err error) { return 0, false, errors.ErrUnsupported }
func (archived) Err() error                               { return nil }
func (archived) Close() error                             { return nil }

// logEnd is where a group's snapshot or log ends.
type logEnd struct {
	index, term uint64
	servers     raft.Configuration
	serversAt   uint64
}

// restore gives the newest snapshot of a group that can be read to restore. Without any the group begins
// with its log.
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
		x.find(group, NoMend, "snapshot %s cannot be restored: %v", m.ID, err)
	}
	return end, nil
}

// replay gives the entries behind a snapshot to apply, those that are skipped left out, and returns where
// the last one is. An entry that cannot be applied ends the replay with a *PoisonError.
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

// applyGuarded turns a panic over an entry into a *PoisonError.
func applyGuarded(group string, l *raft.Log, apply func(*raft.Log) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PoisonError{Group: group, Index: l.Index, What: describeEntry(group, l.Data), Cause: p}
		}
	}()
	return apply(l)
}

// restedShard is a shard brought to the end of its log.
type restedShard struct {
	number  int
	group   string
	end     logEnd
	state   *engine.Shard
	history disk.History
	damaged bool             // and can be rebuilt
	turned  []engine.Message // taken when they came, though their profile had moved
}

// shard brings a shard to the end of its log and looks at it; where that cannot be done, a finding says so. The
// history is open until the caller closes it; behind, if it is given, is told of every entry of messages
// that was applied.
func (x *examination) shard(ctx context.Context, number int, behind func(*restedShard, historyTask) error) (*restedShard, error) {
	s := &restedShard{number: number, group: shardName(number)}
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
	s.end, err = x.replay(ctx, s.group, s.end, func(l *raft.Log) error { return s.apply(ctx, l, behind) })
	if err != nil {
		return s, x.unusable(ctx, s.group, err)
	}
	for s.state.Maintain(1 << 20) {
	}
	x.look(s)
	return s, nil
}

// unusable notes why a shard could not be brought to the end of its log.
func (x *examination) unusable(ctx context.Context, group string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if poison, ok := Poison(err); ok {
		x.findings = append(x.findings, Finding{Group: group, Mend: Skip, Entry: poison.Entry(), Text: poison.Error()})
		return nil
	}
	x.find(group, NoMend, "%v", err)
	return nil
}

// look compares a state with what it is derived from, and with the catalog.
func (x *examination) look(s *restedShard) {
	for _, fault := range s.state.Examine() {
		s.damaged = true
		x.find(s.group, Rebuild, "%s", fault)
	}
	if n := len(s.turned); n > 0 {
		x.find(s.group, Rebuild, "%s taken for an id whose profile had moved, and not among its owner's: %.60q%s",
			counted(n, "message"), literalID(s.turned[0].UserID, s.turned[0].AnonymousID), more(n))
	}
	if has, newest := s.state.Catalog().Version(), x.catalog.Version(); has > newest {
		x.find(s.group, NoMend, "it has catalog version %d, the catalog ends at %d", has, newest)
	}
}

func more(n int) string {
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

// apply applies an entry and looks what became of its messages.
func (s *restedShard) apply(ctx context.Context, l *raft.Log, behind func(*restedShard, historyTask) error) error {
	result, err := s.state.Apply(l.Index, l.Data)
	if err != nil {
		return fmt.Errorf("apply entry %d: %w", l.Index, err)
	}
	if result.Kind != engine.MessagesCommand {
		return nil
	}
	entry := append([]byte(nil), l.Data...)
	if slices.ContainsFunc(result.Outcomes, func(o engine.Outcome) bool { return o.Status == engine.Moved }) {
		if err := s.turn(ctx, l.Index, entry, result.Outcomes); err != nil {
			return err
		}
	}
	if behind != nil && result.Accepted > 0 {
		return behind(s, historyTask{seq: l.Index, entry: entry, outcomes: slices.Clone(result.Outcomes)})
	}
	return nil
}

// turn finds the messages that were taken here when they came, as the history shows, though the profile of
// their id is elsewhere.
func (s *restedShard) turn(ctx context.Context, seq uint64, entry []byte, outcomes []engine.Outcome) error {
	if seq > s.history.Synced() {
		return nil // it cannot be told, and more is lost than these where a history ends early
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
				s.turned = append(s.turned, m)
				break
			}
		}
	}
	return nil
}

// DescribeEntry says in words what an entry of a group's log is about; an error where the log does not have it.
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

// engineConfig is how a shard of the cluster is made: what it says decides outcomes.
func (m meta) engineConfig(number int) engine.Config {
	key := fnv.New64a()
	_, _ = key.Write([]byte(m.Cluster)) // never fails
	return engine.Config{Number: number, Key: key.Sum64(), Parse: parsePredicate, DedupCap: max(m.Dedup/m.Shards, 1)}
}

// shardName is that of a shard's group.
func shardName(number int) string { return fmt.Sprintf("shard-%03d", number) }
