package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// twoSnapshots is a store with snapshots at entries 20 and 10.
type twoSnapshots struct{ raft.SnapshotStore }

func (twoSnapshots) List() ([]*raft.SnapshotMeta, error) {
	return []*raft.SnapshotMeta{{ID: "20", Index: 20}, {ID: "10", Index: 10}}, nil
}

func (twoSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	return nil, io.NopCloser(strings.NewReader(id)), nil
}

// failingRestore is a state machine that fails to restore some snapshots.
type failingRestore struct {
	raft.FSM
	bad  string
	took []string
}

func (p *failingRestore) Restore(snapshot io.ReadCloser) error {
	id, err := io.ReadAll(snapshot)
	if err == nil && strings.Contains(p.bad, string(id)) {
		return errors.New("page 3")
	}
	p.took = append(p.took, string(id))
	return err
}

// startsAt is a storage whose logs begin at an entry.
type startsAt struct {
	Storage
	first uint64
}

func (r startsAt) CheckStart(_ string, snapshot uint64) error {
	if r.first > snapshot+1 {
		return fmt.Errorf("entries from %d are missing", snapshot+1)
	}
	return nil
}

// TestDamagedSnapshotsAreIgnored: raft begins from the newest snapshot that can be restored, if the log
// reaches back to it. If the log does not, or if no snapshot can be restored, the group does not start.
func TestDamagedSnapshotsAreIgnored(t *testing.T) {
	for _, c := range []struct {
		bad    string
		first  uint64
		want   string // id of the newest snapshot that raft sees
		reason string
	}{
		{"", 21, "20", ""},
		{"20", 11, "10", ""},
		{"20", 12, "", "snapshot 20 cannot be restored: page 3; entries from 11 are missing"},
		{"20 10", 1, "", "snapshot 20 cannot be restored: page 3; snapshot 10 cannot be restored: page 3"},
	} {
		g := &group{name: "shard-000", snapshots: &usableSnapshots{SnapshotStore: twoSnapshots{}}}
		fsm := &failingRestore{bad: c.bad}
		err := g.restore(Config{Storage: startsAt{first: c.first}, Log: slog.New(slog.DiscardHandler)}, fsm)
		if got := fmt.Sprint(err); err != nil && got != c.reason || err == nil && c.reason != "" {
			t.Errorf("%q is damaged, log from %d: %s, want %s", c.bad, c.first, got, c.reason)
		}
		if metas, _ := g.snapshots.List(); err == nil && (metas[0].ID != c.want || !slices.Equal(fsm.took, []string{c.want})) {
			t.Errorf("%q is damaged: raft begins from %s, restored are %v", c.bad, metas[0].ID, fsm.took)
		}
	}
}
