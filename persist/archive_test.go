package persist

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// TestCommitTogether checks that snapshots of two groups become visible together, also when there are older
// ones, and that one incomplete stream keeps all of them invisible.
func TestCommitTogether(t *testing.T) {
	data := t.TempDir()
	db, err := OpenDB(DBConfig{Dir: DBDir(data), Ballast: -1, Floor: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	var stores []*Snapshots
	for _, group := range []string{"a", "b"} {
		s, err := NewSnapshots(db, group, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores = append(stores, s)
	}
	visible := func(want ...uint64) {
		t.Helper()
		for _, s := range stores {
			wantSnapshots(t, s, want...)
		}
	}
	visible()
	sinks := writeSnapshots(t, stores, 10, true)
	visible()
	if err := CommitTogether(sinks); err != nil {
		t.Fatal(err)
	}
	visible(10)
	if err := CommitTogether(writeSnapshots(t, stores, 20, false)); err == nil {
		t.Error("an incomplete stream was committed")
	}
	visible(10)
	if err := CommitTogether(writeSnapshots(t, stores, 20, true)); err != nil {
		t.Fatal(err)
	}
	visible(20, 10)
}

// writeSnapshots writes a snapshot to each store without committing it. If whole is false, the second
// stream has no end.
func writeSnapshots(t *testing.T, stores []*Snapshots, index uint64, whole bool) (sinks []raft.SnapshotSink) {
	t.Helper()
	for i, s := range stores {
		k, err := s.Create(1, index, 1, raft.Configuration{}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := NewPageWriter(k)
		for page := range 5 {
			if err := w.WritePage(1, []byte{byte(page)}, fmt.Appendf(nil, "page %d of %d at %d", page, i, index)); err != nil {
				t.Fatal(err)
			}
		}
		if whole || i == 0 {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		sinks = append(sinks, k)
	}
	return sinks
}

// wantSnapshots checks that a store lists snapshots at the given indexes.
func wantSnapshots(t *testing.T, s *Snapshots, want ...uint64) {
	t.Helper()
	metas, err := s.List()
	if err != nil || len(metas) != len(want) {
		t.Fatalf("%d snapshots, %v; want %v", len(metas), err, want)
	}
	for i, m := range metas {
		if m.Index != want[i] {
			t.Errorf("snapshot %d is at %d, want %d", i, m.Index, want[i])
		}
		if err := s.Verify(m.ID); err != nil {
			t.Error(err)
		}
	}
}

// TestArchiveChangesNothing reads a directory (its log entry by entry, its database through a shadow) and
// checks that every file is as it was.
func TestArchiveChangesNothing(t *testing.T) {
	data := t.TempDir()
	db, err := OpenDB(DBConfig{Dir: DBDir(data), Ballast: -1, Floor: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(LogConfig{Dir: LogDir(data, "g"), Floor: 1, SegmentSize: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	const entries = 500
	for i := uint64(1); i <= entries; i++ {
		if err := l.StoreLog(&raft.Log{Index: i, Term: 1, Data: fmt.Appendf(nil, "entry %0512d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := sumOf(t, data)
	a, err := OpenArchive(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenArchive(data); err == nil {
		t.Error("it was opened a second time")
	}
	next := uint64(1)
	err = ReadLog(t.Context(), LogDir(data, "g"), func(l *raft.Log) error {
		if want := fmt.Sprintf("entry %0512d", next); l.Index != next || string(l.Data) != want {
			t.Fatalf("entry %d is %d, %.20q", next, l.Index, l.Data)
		}
		next++
		return nil
	})
	if err != nil || next != entries+1 {
		t.Errorf("%d entries were read, %v", next-1, err)
	}
	if err := ReadLog(t.Context(), LogDir(data, "none"), func(*raft.Log) error { return context.Canceled }); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if after := sumOf(t, data); after != before {
		t.Error("reading changed the directory")
	}
}

// sumOf returns a hash of the names and contents of all files in a directory.
func sumOf(t *testing.T, dir string) (sum [32]byte) {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n", path, len(b))
		h.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}
