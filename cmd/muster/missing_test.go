package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/tree"
)

// dataCopies is a data directory with files of all kinds, in two states: an older copy, and as a kill leaves it.
type dataCopies struct {
	older, killed string
	want          string // describeNode of a node that has all files of killed
}

// manualConfig returns the configuration of a node that writes only what the test sends, and snapshots if wanted.
func manualConfig(dir string, snapshots bool) nodeConfig {
	c := testConfig(dir)
	c.Tune = func(cc *cluster.Config) {
		cc.TickEvery, cc.SnapshotBytes = -1, 1<<30
		if snapshots {
			cc.SnapshotBytes = 8 << 10
		}
	}
	return c
}

func newDataCopies(t *testing.T) dataCopies {
	t.Helper()
	dir := t.TempDir()
	w := dataCopies{older: filepath.Join(dir, "older"), killed: filepath.Join(dir, "killed")}
	c := manualConfig(filepath.Join(dir, "data"), true)
	c.Shards = 2
	n, err := openCluster(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	send(t, n, 0, "Bought")
	await(t, "every shard writes a snapshot", func() bool { return n.Status(t.Context()).Counters["snapshots"] >= 2 })
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	copyData(t, c.Dir, w.older)
	if n, err = openCluster(t.Context(), manualConfig(c.Dir, true)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.PutSegment(t.Context(), node.SegmentText{Name: "S", Predicate: `did "Refunded"`}, false, true); err != nil {
		t.Fatal(err)
	}
	send(t, n, 1, "Refunded")
	await(t, "every shard writes a snapshot", func() bool { return n.Status(t.Context()).Counters["snapshots"] >= 2 })
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err = openCluster(t.Context(), manualConfig(c.Dir, false)); err != nil {
		t.Fatal(err)
	}
	send(t, n, 2, "Returned")
	w.want = describeNode(t, n)
	copyData(t, c.Dir, w.killed)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// send ingests 200 messages from 40 users with the given event.
func send(t *testing.T, n *cluster.Node, round int, event string) {
	t.Helper()
	var msgs []engine.Incoming
	for i := range 200 {
		text := field("text", tree.Str(strings.Repeat(fmt.Sprint(round, i, " "), 30)))
		msgs = append(msgs, track(fmt.Sprint(event, i), fmt.Sprint("user-", i%40), event, field("amount", tree.NumInt(int64(i))), text))
	}
	ingest(t, n, engine.Accepted, msgs...)
}

// describeNode returns counts, sums, the size of a segment and the lengths of all timelines. Two nodes with
// different data have different descriptions.
func describeNode(t *testing.T, n *cluster.Node) string {
	t.Helper()
	var b strings.Builder
	for _, text := range []string{
		"count", `stats count of "Bought"`, `stats sum(amount) of "Refunded"`, `stats sum(amount) of "Returned"`,
		`count where in segment "S"`, `count where count of "Returned" = 5`,
	} {
		answer, err := n.Query(t.Context(), node.Ask{Text: text})
		if err != nil {
			fmt.Fprintln(&b, text, err)
			continue
		}
		fmt.Fprintln(&b, text, answer.Rows)
	}
	for i := range 40 {
		got, _, err := n.Timeline(t.Context(), fmt.Sprint("user-", i), "", 100)
		fmt.Fprintln(&b, i, len(got), err)
	}
	return b.String()
}

// copyData copies a directory as a kill would leave it. If the database was still compacting, its manifest has
// changed, and copyData copies again.
func copyData(t *testing.T, from, to string) {
	t.Helper()
	for {
		before, err := os.ReadFile(filepath.Join(from, "db/MANIFEST"))
		if err != nil {
			t.Fatal(err)
		}
		copied := os.CopyFS(to, os.DirFS(from))
		after, err := os.ReadFile(filepath.Join(from, "db/MANIFEST"))
		if err != nil {
			t.Fatal(err)
		}
		if copied == nil && bytes.Equal(before, after) {
			return
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
}

// checkAndOpen runs muster check on a directory and opens it. It fails the test unless either opening fails
// twice and check finds a problem, or the node has the wanted description. It returns the error of opening.
func checkAndOpen(t *testing.T, dir, want string) (refused error) {
	t.Helper()
	var out, errs bytes.Buffer
	a := app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	found := a.run(t.Context(), []string{"check", "--quiet", "--data", dir}) != exitDone
	first, err := openCluster(t.Context(), manualConfig(dir, false))
	if err == nil {
		got := describeNode(t, first)
		if err := first.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if got != want && !(found && strings.Contains(got, "damaged")) { // a damaged history may be reported when it is read
			t.Errorf("the node has (found by check: %t):\n%s, want\n%s", found, got, want)
		}
		return nil
	}
	if !found {
		t.Errorf("check finds no problem, but opening fails with %v", err)
	}
	if second, again := openCluster(t.Context(), manualConfig(dir, false)); again == nil {
		t.Errorf("opening fails with %v, but succeeds the second time (close: %v)", err, second.Close())
	}
	t.Logf("open: %v", err)
	t.Logf("check: %s%s", out.String(), errs.String())
	return err
}

// without returns a copy of the killed directory without some parts.
func (w dataCopies) without(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	copyData(t, w.killed, dir)
	for _, part := range parts {
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// optionalParts are the parts that contain no data.
var optionalParts = []string{"muster.lock", "db.high-water", "db/LOCK", "db/KEYREGISTRY", "db/DISCARD", "db/ballast"}

// TestMissingPartIsNoticed removes each file and each directory of a data directory in turn.
func TestMissingPartIsNoticed(t *testing.T) {
	w := newDataCopies(t)
	t.Run("nothing", func(t *testing.T) {
		if err := checkAndOpen(t, w.without(t), w.want); err != nil {
			t.Errorf("a complete directory: %v", err)
		}
	})
	err := filepath.WalkDir(w.killed, func(path string, _ fs.DirEntry, err error) error {
		part, _ := filepath.Rel(w.killed, path)
		if err != nil || part == "." {
			return err
		}
		t.Run(strings.ReplaceAll(part, "/", "-"), func(t *testing.T) {
			err := checkAndOpen(t, w.without(t, part), w.want)
			for _, name := range optionalParts {
				if part == name && err != nil {
					t.Errorf("%s is not needed: %v", part, err)
				}
			}
			if strings.HasPrefix(part, "raft") && err == nil {
				t.Errorf("the node starts without %s", part)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMissingPartsAreNoticed removes several parts together, and replaces them with those of an older copy or of
// another cluster.
func TestMissingPartsAreNoticed(t *testing.T) {
	w, other := newDataCopies(t), newDataCopies(t)
	for _, parts := range [][]string{
		{"raft/shard-000", "raft/shard-001"}, {"raft/catalog", "raft/shard-000", "raft/shard-001"}, {"raft", "db"}, {"raft", "cluster.meta"},
		{"db", "db.high-water"}, {"raft/shard-000", "db"}, {"raft/catalog", "db", "db.high-water"}, {"raft", "db", "db.high-water"},
		{"cluster.meta", "db", "db.high-water"}, {"cluster.meta", "raft", "db.high-water"},
	} {
		t.Run("without "+strings.ReplaceAll(strings.Join(parts, " "), "/", "-"), func(t *testing.T) {
			if checkAndOpen(t, w.without(t, parts...), w.want) == nil {
				t.Error("the node starts")
			}
		})
	}
	for _, from := range []struct{ what, dir string }{{"older", w.older}, {"another cluster's", other.killed}} {
		for _, parts := range [][]string{
			{"raft/shard-000"}, {"raft/catalog"}, {"raft"}, {"db"}, {"db", "db.high-water"}, {"raft", "cluster.meta"},
		} {
			t.Run(from.what+" "+strings.ReplaceAll(strings.Join(parts, " "), "/", "-"), func(t *testing.T) {
				dir := w.without(t, parts...)
				for _, part := range parts {
					if err := replace(from.dir, dir, part); err != nil {
						t.Fatal(err)
					}
				}
				rebuilt := from.dir == w.older && len(parts) == 2 && parts[0] == "db" // the logs have everything since the older copy of the database
				if checkAndOpen(t, dir, w.want) == nil && !rebuilt {
					t.Error("the node starts")
				}
			})
		}
	}
	t.Run("swapped shards", func(t *testing.T) {
		dir := w.without(t)
		a, b, c := filepath.Join(dir, "raft/shard-000"), filepath.Join(dir, "raft/shard-001"), filepath.Join(dir, "c")
		if err := errors.Join(os.Rename(a, c), os.Rename(b, a), os.Rename(c, b)); err != nil {
			t.Fatal(err)
		}
		if checkAndOpen(t, dir, w.want) == nil {
			t.Error("the node starts")
		}
	})
}

// TestMissingPartIsNamed checks that the error names the missing part and says what to do.
func TestMissingPartIsNamed(t *testing.T) {
	w := newDataCopies(t)
	for part, name := range map[string]string{"cluster.meta": "cluster.meta is missing", "db": "db is missing", "raft/shard-001": "missing: raft/shard-001"} {
		err := checkAndOpen(t, w.without(t, part), w.want)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "restore the whole data directory from one copy") {
			t.Errorf("without %s: %v", part, err)
		}
	}
}

// replace copies a file or directory from one data directory to another that does not have it.
func replace(from, to, part string) error {
	info, err := os.Stat(filepath.Join(from, part))
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(filepath.Join(to, part), os.DirFS(filepath.Join(from, part)))
	}
	data, err := os.ReadFile(filepath.Join(from, part))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, part), data, 0o644)
}

// removeParts removes the list of parts and the high-water mark of the database, which earlier versions did not
// write.
func removeParts(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "cluster.meta")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var old string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "part ") && !strings.HasPrefix(line, "sum ") {
			old += line
		}
	}
	old += fmt.Sprintf("sum %08x\n", crc32.ChecksumIEEE([]byte(old)))
	if err := errors.Join(os.WriteFile(path, []byte(old), 0o644), os.Remove(filepath.Join(dir, "db.high-water"))); err != nil {
		t.Fatal(err)
	}
}

// TestOldDirectoryGetsItsParts opens a directory whose cluster.meta does not list its parts. The node adds the
// list, unless a part is missing.
func TestOldDirectoryGetsItsParts(t *testing.T) {
	w := newDataCopies(t)
	dir := w.without(t)
	removeParts(t, dir)
	if err := checkAndOpen(t, dir, w.want); err != nil {
		t.Fatalf("an old directory: %v", err)
	}
	parts, err := cluster.CheckMeta(dir)
	if err != nil || len(parts) != 4 || parts["raft/shard-001"] == 0 || parts["db"] == 0 {
		t.Errorf("its parts are %v (%v), want three logs and the database", parts, err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "raft/shard-001")); err != nil {
		t.Fatal(err)
	}
	if checkAndOpen(t, dir, w.want) == nil {
		t.Error("the node starts without a shard that is listed")
	}
	for _, part := range []string{"raft/shard-000", "raft/catalog", "raft", "db"} {
		t.Run("without "+strings.ReplaceAll(part, "/", "-"), func(t *testing.T) {
			dir := w.without(t)
			removeParts(t, dir)
			if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
				t.Fatal(err)
			}
			if checkAndOpen(t, dir, w.want) == nil && part != "db" { // here the logs still have all entries, so the database can be rebuilt
				t.Errorf("without %s, the node starts", part)
			}
		})
	}
}

// TestShardAheadOfItsCatalog replaces the catalog with an older copy. The shard then has a name whose number the
// catalog would assign again.
func TestShardAheadOfItsCatalog(t *testing.T) {
	c := manualConfig(filepath.Join(t.TempDir(), "data"), false)
	c.Shards = 1
	n, err := openCluster(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ingest(t, n, engine.Accepted, track("a", "u", "One"))
	before := filepath.Join(t.TempDir(), "before")
	copyData(t, c.Dir, before)
	ingest(t, n, engine.Accepted, track("b", "u", "Two"))
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(c.Dir, "raft/catalog")), replace(before, c.Dir, "raft/catalog")); err != nil {
		t.Fatal(err)
	}
	n, err = openCluster(t.Context(), c)
	if err == nil {
		t.Fatalf("the node starts: %v", n.Close())
	}
	if !strings.Contains(err.Error(), "raft/shard-000 has catalog version") || !strings.Contains(err.Error(), "restore the whole data directory") {
		t.Errorf("open: %v, want that the shard is ahead of its catalog", err)
	}
}

// stepStorage stops a start after a number of steps. A step creates a log or writes entries.
type stepStorage struct {
	cluster.Storage
	left atomic.Int32
	stop context.CancelFunc
}

func (s *stepStorage) step() error {
	if s.left.Add(-1) >= 0 {
		return nil
	}
	s.stop()
	return errors.New("stopped")
}

func (s *stepStorage) Log(group string) (cluster.Log, error) {
	if err := s.step(); err != nil {
		return nil, err
	}
	log, err := s.Storage.Log(group)
	return &stepLog{log, s}, err
}

type stepLog struct {
	cluster.Log
	storage *stepStorage
}

func (l *stepLog) StoreLogs(logs []*raft.Log) error {
	if err := l.storage.step(); err != nil {
		return err
	}
	return l.Log.StoreLogs(logs)
}

func (l *stepLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// TestInterruptedFirstStart stops a first start after each of its steps. The next start must complete it.
func TestInterruptedFirstStart(t *testing.T) {
	whole := false
	for steps := 0; !whole; steps++ {
		c := manualConfig(filepath.Join(t.TempDir(), "data"), false)
		c.Shards = 2
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		storage := &stepStorage{stop: stop}
		storage.left.Store(int32(steps))
		c.Tune = func(cc *cluster.Config) { storage.Storage, cc.Storage, cc.TickEvery = cc.Storage, storage, -1 }
		n, err := openCluster(ctx, c)
		if whole = err == nil; whole {
			err = n.Close()
			t.Logf("a first start has %d steps; closed: %v", steps, err)
		}
		if n, err = openCluster(t.Context(), manualConfig(c.Dir, false)); err != nil {
			t.Fatalf("open after a first start that was stopped after %d steps: %v", steps, err)
		}
		ingest(t, n, engine.Accepted, track("a", "u", "E"))
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}
