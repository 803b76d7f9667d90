package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// group is one raft group of this node.
type group struct {
	name      string
	raft      *raft.Raft
	log       Log
	guard     *guard
	transport *raft.InmemTransport
	snapshots *usableSnapshots
	known     bool // whether it had entries or a snapshot when it was opened
}

// prepareGroup opens a group's log and snapshots. It verifies the log, since raft panics on entries that
// it cannot read. REQUIRES: the group's history, if it has one, is open.
func prepareGroup(ctx context.Context, c Config, name string) (*group, error) {
	log, err := c.Storage.Log(name)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	g := &group{name: name, log: log}
	if err := g.prepare(ctx, c); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (g *group) prepare(ctx context.Context, c Config) (err error) {
	if err := g.log.Verify(ctx); err != nil {
		return fmt.Errorf("verify log of %s: %w", g.name, err)
	}
	store, err := c.Storage.Snapshots(g.name)
	if err != nil {
		return fmt.Errorf("open snapshots of %s: %w", g.name, err)
	}
	g.snapshots = &usableSnapshots{SnapshotStore: store}
	kept, err := g.snapshots.List()
	if err != nil {
		return fmt.Errorf("list snapshots of %s: %w", g.name, err)
	}
	newest := uint64(0)
	if len(kept) > 0 {
		newest = kept[0].Index
	}
	if err := c.Storage.CheckStart(g.name, newest); err != nil {
		return fmt.Errorf("check log and history of %s: %w; %s", g.name, err, restoreHint)
	}
	last, err := g.log.LastIndex()
	if err != nil {
		return fmt.Errorf("read the last index of %s: %w", g.name, err)
	}
	g.known = last > 0 || len(kept) > 0
	return nil
}

// start restores the state machine and waits until this node leads the group.
func (g *group) start(ctx context.Context, c Config, node string, fsm raft.FSM) (err error) {
	g.guard = &guard{group: g.name, fsm: fsm, skip: skips(c.repairs, g.name), log: c.Log, fail: c.Failed}
	var addr raft.ServerAddress
	addr, g.transport = raft.NewInmemTransport(raft.ServerAddress(g.name))
	rc := raftConfig(c, node, g.name)
	if !g.known {
		if err := g.bootstrap(raft.Server{ID: rc.LocalID, Address: addr}); err != nil {
			return fmt.Errorf("bootstrap %s: %w", g.name, err)
		}
	}
	if err := g.restore(c, g.guard); err != nil {
		return fmt.Errorf("start %s: %w; run muster check to see what is damaged and how to repair it", g.name, err)
	}
	if g.raft, err = raft.NewRaft(rc, g.guard, g.log, g.log, g.snapshots, g.transport); err != nil {
		return fmt.Errorf("start raft of %s: %w", g.name, err)
	}
	return g.awaitReady(ctx)
}

// restore restores the newest snapshot that can be restored. Raft would do that too, but it does not
// check that the log reaches back to an older snapshot, and panics if it does not.
func (g *group) restore(c Config, fsm raft.FSM) error {
	kept, err := g.snapshots.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	var damaged error
	for _, meta := range kept {
		if err := g.restoreOne(meta.ID, fsm); err != nil {
			err = fmt.Errorf("snapshot %s cannot be restored: %w", meta.ID, err)
			c.Log.Error("damaged snapshot ignored", "group", g.name, "err", err)
			g.snapshots.exclude(meta.ID)
			if damaged != nil {
				err = fmt.Errorf("%w; %w", damaged, err)
			}
			damaged = err
			continue
		}
		if damaged == nil {
			return nil
		}
		if err := c.Storage.CheckStart(g.name, meta.Index); err != nil { // it is older than the one that was checked
			return fmt.Errorf("%w; %w", damaged, err)
		}
		return nil
	}
	return damaged
}

func (g *group) restoreOne(id string, fsm raft.FSM) error {
	_, source, err := g.snapshots.Open(id)
	if err != nil {
		return err
	}
	return fsm.Restore(source)
}

// usableSnapshots is a store of snapshots without those that could not be restored. Raft takes the end
// of the newest snapshot in the list for the position at which it begins.
type usableSnapshots struct {
	raft.SnapshotStore
	mu struct {
		sync.Mutex
		damaged map[string]bool
	}
}

func (u *usableSnapshots) exclude(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mu.damaged == nil {
		u.mu.damaged = map[string]bool{}
	}
	u.mu.damaged[id] = true
}

// List implements raft.SnapshotStore.
func (u *usableSnapshots) List() ([]*raft.SnapshotMeta, error) {
	metas, err := u.SnapshotStore.List()
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.DeleteFunc(metas, func(m *raft.SnapshotMeta) bool { return u.mu.damaged[m.ID] }), err
}

// bootstrap writes the first entry, which names this node as the only member. raft.BootstrapCluster sets
// the term before that entry, and takes a group with a term for bootstrapped: a node killed in between
// would never have a leader.
func (g *group) bootstrap(alone raft.Server) error {
	key := []byte("CurrentTerm") // raft's key for it
	term, err := g.log.GetUint64(key)
	if err == nil && term == 0 {
		term = 1
		err = g.log.SetUint64(key, term)
	}
	if err != nil {
		return err
	}
	configuration := raft.Configuration{Servers: []raft.Server{alone}}
	return g.log.StoreLog(&raft.Log{Index: 1, Term: term, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(configuration)})
}

// raftConfig returns the configuration of a group whose only voter is this node. Only the snapshotter
// requests snapshots, by log bytes and age, which raft does not know.
func raftConfig(c Config, node, name string) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(node)
	rc.HeartbeatTimeout = c.ElectionTimeout
	rc.ElectionTimeout = c.ElectionTimeout
	rc.LeaderLeaseTimeout = c.ElectionTimeout
	rc.CommitTimeout = 100 * time.Millisecond
	rc.MaxAppendEntries = 16
	rc.BatchApplyCh = true // waiting entries are stored together
	rc.TrailingLogs = c.TrailingLogs
	rc.SnapshotInterval = 365 * 24 * time.Hour
	rc.SnapshotThreshold = math.MaxUint64
	rc.NoLegacyTelemetry = true
	rc.NoSnapshotRestoreOnStart = true // group.restore has done it
	rc.Logger = hclog.FromStandardLogger(
		slog.NewLogLogger(c.Log.With("group", name).Handler(), slog.LevelWarn),
		&hclog.LoggerOptions{Name: "raft", Level: hclog.Error},
	)
	return rc
}

// awaitReady waits until this node leads the group and has applied everything that is committed.
func (g *group) awaitReady(ctx context.Context) error {
	for {
		select {
		case leads := <-g.raft.LeaderCh():
			if !leads {
				continue
			}
			if err := wait(ctx, g.raft.Barrier(0)); err != nil {
				return fmt.Errorf("catch up %s: %w", g.name, err)
			}
			return g.guard.failed()
		case <-ctx.Done():
			return fmt.Errorf("await leader of %s: %w", g.name, ctx.Err())
		}
	}
}

// wait waits for a future or for ctx. Its goroutine ends with the future, at the latest when the group
// is closed.
func wait(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leads reports whether this node leads the group.
func (g *group) leads() bool { return g.raft.State() == raft.Leader }

// snapshot writes a snapshot and cuts the log up to it.
func (g *group) snapshot(ctx context.Context) error {
	err := wait(ctx, g.raft.Snapshot())
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// close ends raft and closes the log. Entries in flight may or may not survive. REQUIRES: no caller
// waits for one.
func (g *group) close() error {
	var err error
	if g.raft != nil {
		err = g.raft.Shutdown().Error()
	}
	if g.transport != nil {
		err = errors.Join(err, g.transport.Close())
	}
	if err != nil {
		err = fmt.Errorf("close %s: %w", g.name, err)
	}
	return errors.Join(err, g.log.Close())
}
