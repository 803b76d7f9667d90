package cluster

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine"
)

// fragile is a state machine that panics on one index and records the others.
type fragile struct {
	raft.FSM
	bad     uint64
	applied []uint64
}

func (f *fragile) Apply(l *raft.Log) any {
	if l.Index == f.bad {
		panic("broken")
	}
	f.applied = append(f.applied, l.Index)
	return applied{}
}

func (f *fragile) Snapshot() (raft.FSMSnapshot, error) { return nil, nil }

// TestGuard applies an entry that panics: the error names it, later entries are refused, and no snapshot
// is taken. With the entry skipped all others are applied.
func TestGuard(t *testing.T) {
	entry := engine.EncodeMessages(1, 1_700_000_000_000, []engine.Message{{Kind: engine.Track, UserID: "u1"}, {Kind: engine.Track, AnonymousID: "a"}})
	run := func(skip map[uint64]Repair) (f *fragile, g *guard, reported []error) {
		f = &fragile{bad: 3}
		g = &guard{group: "shard-002", fsm: f, skip: skip, log: slog.New(slog.DiscardHandler), fail: func(err error) { reported = append(reported, err) }}
		for index := uint64(1); index <= 5; index++ {
			a := g.Apply(&raft.Log{Index: index, Data: entry}).(applied)
			if refused := a.err != nil; refused != (index == 3 || index > 3 && skip == nil) {
				t.Errorf("entry %d: %v", index, a.err)
			}
		}
		return f, g, reported
	}
	f, g, reported := run(nil)
	if !slices.Equal(f.applied, []uint64{1, 2}) || len(reported) != 1 {
		t.Fatalf("applied %v, reported %v", f.applied, reported)
	}
	poison, ok := Poison(reported[0])
	want := `entry 3 of shard-002 cannot be applied (messages: 2 messages of "u1", "a", of 2023-11-14T22:13:20Z): broken`
	if !ok || poison.Error() != want || poison.Entry() != "shard-002/3" || g.failed() == nil {
		t.Errorf("reported %v, entry %s; want %s", poison, poison.Entry(), want)
	}
	if _, err := g.Snapshot(); err == nil {
		t.Error("a snapshot of the broken state was taken")
	}
	f, g, reported = run(map[uint64]Repair{3: {}})
	if !slices.Equal(f.applied, []uint64{1, 2, 4, 5}) || len(reported) > 0 || g.failed() != nil {
		t.Errorf("with the entry skipped: applied %v, reported %v", f.applied, reported)
	}
}

// TestRepairsFile writes repairs, reads them back, adds to them, and checks that a changed file is
// refused.
func TestRepairsFile(t *testing.T) {
	dir := t.TempDir()
	if got, err := LoadRepairs(dir); got != nil || err != nil {
		t.Fatalf("without a file: %v, %v", got, err)
	}
	one := Repair{Kind: SkippedEntry, Group: "shard-001", Index: 17, At: 5, What: "messages: of \"a\nsum 1\""}
	two := Repair{Kind: RebuiltShard, Group: "catalog", Index: 3, At: 6, What: "x"}
	for range 2 {
		if err := saveRepairs(dir, []Repair{one, two}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := LoadRepairs(dir)
	if err != nil || !slices.Equal(got, []Repair{two, one}) {
		t.Fatalf("read back: %v, %v", got, err)
	}
	if found := skips(got, "shard-001"); len(found) != 1 || found[17] != one || skips(got, "catalog") != nil {
		t.Errorf("skipped: %v", found)
	}
	if rebuiltSum(got, "catalog") == 0 || rebuiltSum(got, "catalog")%2 != 0 || rebuiltSum(got, "shard-001") != 0 {
		t.Error("rebuiltSum is wrong: want an even number for a rebuilt group only")
	}
	path := filepath.Join(dir, repairsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range text {
		changed := slices.Clone(text)
		changed[at] ^= 1
		if _, err := parseRepairs(string(changed)); err == nil {
			t.Errorf("a change of byte %d is not noticed", at)
		}
	}
	if _, err := parseRepairs(strings.TrimSuffix(string(text), "\n")); err == nil {
		t.Error("a truncated file is accepted")
	}
	for _, bad := range []string{"", "shard-000", "shard-000/", "/3", "shard-000/x", "shard-000/0"} {
		if _, _, err := ParseEntry(bad); err == nil {
			t.Errorf("%q is accepted as the name of an entry", bad)
		}
	}
}
