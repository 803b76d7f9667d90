package persist

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/internal/node/disk"
)

// sumFSM counts the commands it has applied and keeps the last; its snapshot is a few pages.
type sumFSM struct {
	count   uint64
	applied atomic.Uint64 // count, for other goroutines: raft's AppliedIndex is ahead of the state machine
	history *History
	last    []byte
}

func (f *sumFSM) Apply(l *raft.Log) any {
	f.count++
	f.applied.Store(f.count)
	f.last = bytes.Clone(l.Data)
	return f.history.Append(l.Index, []disk.Record{{Key: 1, Data: l.Data}})
}

func (f *sumFSM) Snapshot() (raft.FSMSnapshot, error) {
	return sumSnapshot{count: f.count, last: bytes.Clone(f.last), history: f.history}, nil
}

func (f *sumFSM) Restore(r io.ReadCloser) error {
	defer r.Close()
	pages := NewPageReader(r)
	for {
		kind, _, data, err := pages.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case kind == 1:
			f.count = binary.LittleEndian.Uint64(data)
			f.applied.Store(f.count)
		case kind == 2:
			f.last = bytes.Clone(data)
		}
	}
}

type sumSnapshot struct {
	count   uint64
	last    []byte
	history *History
}

func (s sumSnapshot) Persist(sink raft.SnapshotSink) error {
	p := NewPageWriter(sink)
	err := errors.Join(
		s.history.Sync(0),
		p.WritePage(1, []byte("count"), binary.LittleEndian.AppendUint64(nil, s.count)),
		p.WritePage(2, []byte("last"), s.last),
		p.WritePage(3, []byte("same"), bytes.Repeat([]byte("same"), 50_000)),
		p.Close(),
	)
	if err != nil {
		return err
	}
	return sink.Close()
}

func (sumSnapshot) Release() {}

// raftNode is a raft node on this package's stores.
type raftNode struct {
	db    *DB
	log   *Log
	snaps *Snapshots
	hist  *History
	fsm   *sumFSM
	raft  *raft.Raft
	trans *raft.InmemTransport
}

func raftConfig(id string) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(id)
	c.HeartbeatTimeout, c.ElectionTimeout = 400*time.Millisecond, 400*time.Millisecond // under the race detector the other node may be slow
	c.LeaderLeaseTimeout, c.CommitTimeout = 200*time.Millisecond, 5*time.Millisecond
	c.TrailingLogs = 10
	c.SnapshotThreshold = 1 << 30 // only when asked
	c.Logger = hclog.NewNullLogger()
	return c
}

func startRaft(t *testing.T, data, id string) *raftNode {
	t.Helper()
	n := &raftNode{db: openTestDB(t, smallDB(DBDir(data)))}
	n.log = openVerified(t, LogConfig{Dir: LogDir(data, "shard-1"), SegmentSize: 32 << 10, Floor: 1})
	n.snaps = openTestSnapshots(t, n.db, 2)
	n.hist = openTestHistory(t, n.db, HistoryConfig{})
	if err := CheckStart(n.log, newest(t, n.snaps), nil); err != nil {
		t.Fatal(err)
	}
	n.fsm = &sumFSM{history: n.hist}
	_, n.trans = raft.NewInmemTransport(raft.ServerAddress(id))
	cache, err := raft.NewLogCache(64, n.log)
	if err != nil {
		t.Fatal(err)
	}
	if n.raft, err = raft.NewRaft(raftConfig(id), n.fsm, cache, n.log, n.snaps, n.trans); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *raftNode) stop(t *testing.T) {
	t.Helper()
	if err := n.raft.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.log.Close(), n.snaps.Close(), n.hist.Close(), n.db.Close()); err != nil {
		t.Fatal(err)
	}
}

// waitFor polls a condition until it holds, for at most 15 s.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}

// TestRaftOnOurStores writes, takes a snapshot, restarts and sends a snapshot to a second node.
func TestRaftOnOurStores(t *testing.T) {
	data := t.TempDir()
	one := startRaft(t, filepath.Join(data, "1"), "n1")
	err := one.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "n1"}}}).Error()
	if err != nil {
		t.Fatal(err)
	}
	leads := func(n *raftNode) func() bool { return func() bool { return n.raft.State() == raft.Leader } }
	waitFor(t, "a leader", leads(one))
	write := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := one.raft.Apply(fmt.Appendf(nil, "command %d %0200d", i, i), time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(0, 300)
	if err := one.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if first, _ := one.log.FirstIndex(); first < 200 {
		t.Fatalf("the log still begins at %d after a snapshot", first)
	}
	write(300, 350)
	one.stop(t)

	one = startRaft(t, filepath.Join(data, "1"), "n1")
	waitFor(t, "a leader after the restart", leads(one))
	if err := one.raft.Barrier(time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	if one.fsm.count != 350 {
		t.Fatalf("%d commands after the restart, want 350", one.fsm.count)
	}
	if n := len(scanAll(t, one.hist, 1, 1000)); n != 350 {
		t.Fatalf("%d records of history after the restart, want 350", n)
	}

	two := startRaft(t, filepath.Join(data, "2"), "n2")
	one.trans.Connect("n2", two.trans)
	two.trans.Connect("n1", one.trans)
	if err := one.raft.AddVoter("n2", "n2", 0, time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	write(350, 360)
	waitFor(t, "the second node", func() bool { return two.fsm.applied.Load() == 360 })
	one.stop(t)
	two.stop(t)
	if two.fsm.count != 360 || !bytes.Equal(two.fsm.last, one.fsm.last) {
		t.Fatalf("the second node has applied %d commands, want 360", two.fsm.count)
	}
	two = startRaft(t, filepath.Join(data, "2"), "n2")
	if metas, err := two.snaps.List(); err != nil || len(metas) != 1 {
		t.Fatalf("the second node has %d snapshots, %v; want the one it was sent", len(metas), err)
	}
	if two.fsm.count < 300 {
		t.Fatalf("the second node restored %d commands, want at least 300", two.fsm.count)
	}
	two.stop(t)
	if problems := checkData(t, filepath.Join(data, "2")); len(problems) > 0 {
		t.Fatal(problems)
	}
}

// newest returns the index of the newest intact snapshot.
func newest(t *testing.T, s *Snapshots) uint64 {
	t.Helper()
	metas, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	if len(metas) == 0 {
		return 0
	}
	return metas[0].Index
}

// TestCheckStartFindsGap loses the snapshots of a truncated log.
func TestCheckStartFindsGap(t *testing.T) {
	l := openVerified(t, smallLog(t.TempDir()))
	db := openTestDB(t, smallDB(t.TempDir()))
	s := openTestSnapshots(t, db, 2)
	appendTo(t, l, batch(1, 1, 10, 10, 10, 10, 10))
	if err := CheckStart(l, newest(t, s), nil); err != nil {
		t.Fatal(err)
	}
	takeSnapshot(t, s, 3, somePages)
	if err := l.DeleteRange(1, 3); err != nil {
		t.Fatal(err)
	}
	if err := CheckStart(l, newest(t, s), nil); err != nil {
		t.Fatal(err)
	}
	flipValue(t, db, keyOf(kindSnapshot, s.group), 0)
	wantDamage(t, CheckStart(l, newest(t, s), nil), 1)
	if err := l.DeleteRange(4, 5); err != nil {
		t.Fatal(err)
	}
	wantDamage(t, CheckStart(l, newest(t, s), nil), 1)
}
