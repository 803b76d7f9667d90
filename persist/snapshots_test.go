package persist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
)

func smallDB(dir string) DBConfig {
	return DBConfig{Dir: dir, MemTableSize: minMemTable, Floor: 1, Ballast: -1}
}

func openTestDB(t testing.TB, cfg DBConfig) *DB {
	t.Helper()
	db, err := OpenDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// copyDB copies a database that is not being written to, as a kill -9 would leave it. Badger may still be
// flushing and compacting; if its manifest changes meanwhile, the copy is made again.
func copyDB(t testing.TB, dir string) string {
	t.Helper()
	for {
		before, err := os.ReadFile(filepath.Join(dir, badger.ManifestFilename))
		if err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		err = os.CopyFS(to, os.DirFS(dir))
		after, err2 := os.ReadFile(filepath.Join(dir, badger.ManifestFilename))
		if err2 != nil {
			t.Fatal(err2)
		}
		if bytes.Equal(before, after) && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			return to
		}
	}
}

func openTestSnapshots(t testing.TB, db *DB, keep int) *Snapshots {
	t.Helper()
	s, err := NewSnapshots(db, "shard-1", keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var testConfiguration = raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: "n1", Address: "a1"}}}

func createSink(t testing.TB, s *Snapshots, index uint64) raft.SnapshotSink {
	t.Helper()
	k, err := s.Create(1, index, 2, testConfiguration, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func takeSnapshot(t testing.TB, s *Snapshots, index uint64, pages []testPage) string {
	t.Helper()
	k := createSink(t, s, index)
	writePages(t, k, pages)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	s.working.Wait()
	return k.ID()
}

// randomPages makes n pages from r, some of them equal, some larger than the largest value.
func randomPages(r *rand.Rand, n int) []testPage {
	pages := make([]testPage, n)
	for i := range pages {
		data := make([]byte, r.IntN(20<<10))
		if r.IntN(10) == 0 {
			data = make([]byte, partSize+r.IntN(2*partSize))
		}
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		pages[i] = testPage{uint8(r.IntN(4)), fmt.Sprint("page ", i), data}
		if i > 0 && r.IntN(5) == 0 {
			pages[i].data = pages[i-1].data
		}
	}
	return pages
}

func wantSnapshot(t testing.TB, s *Snapshots, id string, pages []testPage) {
	t.Helper()
	meta, r, err := s.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if n, err := b.ReadFrom(r); err != nil || n != meta.Size {
		t.Fatalf("read %d bytes of %d: %v", n, meta.Size, err)
	}
	got, err := readPages(&b)
	if err != nil || !samePages(got, pages) {
		t.Fatalf("snapshot %s came back with %d pages for %d, %v", id, len(got), len(pages), err)
	}
}

func listIDs(t testing.TB, s *Snapshots) []string {
	t.Helper()
	metas, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, m := range metas {
		ids = append(ids, m.ID)
	}
	return ids
}

func countPages(t testing.TB, s *Snapshots) int {
	t.Helper()
	n := 0
	if err := s.db.keys(keyOf(kindPage, s.group), nil, false, func([]byte) (bool, error) { n++; return true, nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSnapshotRoundTripAcrossReopen(t *testing.T) {
	dir := t.TempDir()
	db := openTestDB(t, smallDB(dir))
	s := openTestSnapshots(t, db, 2)
	pages := randomPages(rand.New(rand.NewPCG(1, 1)), 60)
	id := takeSnapshot(t, s, 10, pages)
	wantSnapshot(t, s, id, pages)
	s.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTestSnapshots(t, openTestDB(t, smallDB(dir)), 2)
	metas, err := s.List()
	if err != nil || len(metas) != 1 {
		t.Fatalf("%d snapshots, %v", len(metas), err)
	}
	m := metas[0]
	if m.Index != 10 || m.Term != 2 || m.ConfigurationIndex != 1 || m.Version != 1 || m.Configuration.Servers[0].ID != "n1" {
		t.Fatalf("meta came back as %+v", m)
	}
	wantSnapshot(t, s, id, pages)
	if err := s.Verify(id); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotAcceptsStreamSplitAnywhere(t *testing.T) {
	s := openTestSnapshots(t, openTestDB(t, smallDB(t.TempDir())), 2)
	var b bytes.Buffer
	writePages(t, &b, somePages)
	for _, step := range []int{1, 7, 33, 1000} {
		k := createSink(t, s, uint64(step))
		for rest := b.Bytes(); len(rest) > 0; {
			n := min(step, len(rest))
			if _, err := k.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		wantSnapshot(t, s, k.ID(), somePages)
	}
}

// TestSnapshotKeepsWhatItNeeds takes snapshots that share pages, and counts pages after each.
func TestSnapshotKeepsWhatItNeeds(t *testing.T) {
	s := openTestSnapshots(t, openTestDB(t, smallDB(t.TempDir())), 2)
	page := func(n int) testPage { return testPage{1, fmt.Sprint(n), fmt.Appendf(nil, "content %d", n)} }
	var ids []string
	for i := range 5 {
		pages := []testPage{page(0), page(i + 1), page(i + 2)}
		ids = append(ids, takeSnapshot(t, s, uint64(10+i), pages))
		wantSnapshot(t, s, ids[i], pages)
	}
	if got, want := fmt.Sprint(listIDs(t, s)), fmt.Sprint([]string{ids[4], ids[3]}); got != want {
		t.Fatalf("snapshots %s, want %s", got, want)
	}
	if n := countPages(t, s); n != 4 { // 0, 4, 5, 6
		t.Fatalf("%d pages are kept, want 4", n)
	}
}

func TestSnapshotWritesOnlyWhatChanged(t *testing.T) {
	s := openTestSnapshots(t, openTestDB(t, smallDB(t.TempDir())), 2)
	pages := randomPages(rand.New(rand.NewPCG(2, 2)), 30)
	takeSnapshot(t, s, 1, pages)
	pages[3].data = []byte("new")
	k := createSink(t, s, 2).(*sink)
	k.w.unmeasured = 0
	writePages(t, k, pages)
	if k.w.unmeasured != 3 || k.fresh.pages != 1 || k.fresh.bytes != 3 {
		t.Fatalf("%d bytes of pages were written, want 3, in one page: %+v", k.w.unmeasured, k.fresh)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	wantSnapshot(t, s, k.ID(), pages)
}

// TestSnapshotKilledInTheMiddle stops before the manifest is written, as a kill would.
func TestSnapshotKilledInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	db := openTestDB(t, smallDB(dir))
	s := openTestSnapshots(t, db, 2)
	old := randomPages(rand.New(rand.NewPCG(3, 3)), 20)
	id := takeSnapshot(t, s, 5, old)
	before := countPages(t, s)

	k := createSink(t, s, 9).(*sink)
	writePages(t, k, randomPages(rand.New(rand.NewPCG(4, 4)), 20))
	if err := k.putList(); err != nil {
		t.Fatal(err)
	}
	if err := k.w.flush(); err != nil { // everything but the manifest
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	s = openTestSnapshots(t, openTestDB(t, smallDB(dir)), 2)
	if ids := listIDs(t, s); len(ids) != 1 || ids[0] != id {
		t.Fatalf("snapshots %v, want %s alone", ids, id)
	}
	wantSnapshot(t, s, id, old)
	if n := countPages(t, s); n <= before {
		t.Fatal("the killed snapshot left no pages, so the test has nothing to sweep")
	}
	createSink(t, s, 12).Cancel()
	if n := countPages(t, s); n != before {
		t.Fatalf("%d pages after the first sweep, want %d", n, before)
	}
	wantSnapshot(t, s, id, old)
}

func TestSnapshotCancelledOrCut(t *testing.T) {
	s := openTestSnapshots(t, openTestDB(t, smallDB(t.TempDir())), 2)
	k := createSink(t, s, 1)
	writePages(t, k, somePages)
	if err := k.Cancel(); err != nil {
		t.Fatal(err)
	}
	k = createSink(t, s, 2)
	if err := NewPageWriter(k).WritePage(1, nil, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("closing a cut stream: %v", err)
	}
	k = createSink(t, s, 3)
	if _, err := k.Write(bytes.Repeat([]byte("junk"), 100)); err == nil {
		t.Fatal("junk was accepted")
	}
	if err := k.Close(); err == nil {
		t.Fatal("Close of a failed sink returned no error")
	}
	if ids := listIDs(t, s); len(ids) != 0 {
		t.Fatalf("snapshots %v, want none", ids)
	}
}

// flipValue flips a byte in the middle of the n-th value with prefix.
func flipValue(t *testing.T, db *DB, prefix []byte, n int) {
	t.Helper()
	var key, value []byte
	err := db.b.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if n--; n < 0 {
				key = it.Item().KeyCopy(nil)
				var err error
				value, err = it.Item().ValueCopy(nil)
				return err
			}
		}
		return errors.New("too few values")
	})
	if err != nil {
		t.Fatal(err)
	}
	value[len(value)/2] ^= 1
	if err := db.b.Update(func(txn *badger.Txn) error { return txn.Set(key, value) }); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotDetectsFlippedPage(t *testing.T) {
	db := openTestDB(t, smallDB(t.TempDir()))
	s := openTestSnapshots(t, db, 2)
	pages := randomPages(rand.New(rand.NewPCG(5, 5)), 10)
	id := takeSnapshot(t, s, 1, pages)
	flipValue(t, db, keyOf(kindPage, s.group), 4)
	wantDamage(t, s.Verify(id), 1)
	// The next snapshot must not use the damaged page.
	id = takeSnapshot(t, s, 2, pages)
	wantSnapshot(t, s, id, pages)
}

func TestSnapshotLeavesOutDamagedManifest(t *testing.T) {
	for _, kind := range []byte{kindSnapshot, kindIndex} {
		dir := t.TempDir()
		db := openTestDB(t, smallDB(dir))
		s := openTestSnapshots(t, db, 2)
		pages := randomPages(rand.New(rand.NewPCG(6, 6)), 10)
		first := takeSnapshot(t, s, 1, pages)
		second := takeSnapshot(t, s, 2, append(pages, testPage{1, "x", []byte("x")}))
		flipValue(t, db, keyOf(kind, s.group), 1)
		if ids := listIDs(t, s); len(ids) != 1 || ids[0] != first {
			t.Fatalf("%c: snapshots %v, want %s alone", kind, ids, first)
		}
		wantDamage(t, s.Verify(second), 0)
		s.Close()
		db.Close()
		// After a restart new snapshots can be taken, and the damaged one is deleted eventually.
		s = openTestSnapshots(t, openTestDB(t, smallDB(dir)), 2)
		for index := uint64(3); index < 6; index++ {
			wantSnapshot(t, s, takeSnapshot(t, s, index, pages), pages)
		}
		wantSnapshot(t, s, listIDs(t, s)[1], pages)
	}
}

func TestSnapshotStaysWhileRead(t *testing.T) {
	s := openTestSnapshots(t, openTestDB(t, smallDB(t.TempDir())), 1)
	pages := randomPages(rand.New(rand.NewPCG(7, 7)), 10)
	first := takeSnapshot(t, s, 1, pages)
	_, r, err := s.Open(first)
	if err != nil {
		t.Fatal(err)
	}
	takeSnapshot(t, s, 2, []testPage{{1, "other", []byte("other")}})
	got, err := readPages(r)
	if err != nil || !samePages(got, pages) {
		t.Fatalf("reading during a newer snapshot: %v", err)
	}
	r.Close()
	takeSnapshot(t, s, 3, nil)
	if ids := listIDs(t, s); len(ids) != 1 {
		t.Fatalf("snapshots %v, want one", ids)
	}
	if _, _, err := s.Open(first); err == nil {
		t.Fatal("a deleted snapshot was opened")
	}
}

func TestDBSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	s := openTestSnapshots(t, openTestDB(t, smallDB(dir)), 2)
	pages := randomPages(rand.New(rand.NewPCG(8, 8)), 200)
	id := takeSnapshot(t, s, 1, pages)
	kill := copyDB(t, dir)
	wantSnapshot(t, openTestSnapshots(t, openTestDB(t, smallDB(kill)), 2), id, pages)
}

func TestDBOpensAfterKillBetweenCreateAndSize(t *testing.T) {
	dir := t.TempDir()
	db := openTestDB(t, smallDB(dir))
	s := openTestSnapshots(t, db, 2)
	id := takeSnapshot(t, s, 1, somePages)
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"000077.vlog", "00077.mem"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		db := openTestDB(t, smallDB(dir))
		wantSnapshot(t, openTestSnapshots(t, db, 2), id, somePages)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDBRefusesWhenDiskIsLow(t *testing.T) {
	free := uint64(1 << 40)
	cfg := smallDB(t.TempDir())
	cfg.Floor = 100 << 20
	cfg.Ballast = 1 << 20
	cfg.Stat = func(string) (DiskSpace, error) { return DiskSpace{Free: free, Total: 1 << 41}, nil }
	db := openTestDB(t, cfg)
	if !db.ballast.mu.held {
		t.Fatal("no ballast was created")
	}
	s := openTestSnapshots(t, db, 2)
	good := takeSnapshot(t, s, 1, somePages)
	k := createSink(t, s, 2)
	free = 90 << 20
	w := NewPageWriter(k)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = w.WritePage(1, nil, bytes.Repeat([]byte{byte(i)}, 100<<10))
	}
	if !errors.Is(err, ErrDiskFull) {
		t.Fatalf("got %v, want ErrDiskFull", err)
	}
	if err := k.Cancel(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(1, 2, 2, testConfiguration, 1, nil); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("got %v, want ErrDiskFull", err)
	}
	free = 10 << 20
	if sp, err := db.Space(); err != nil || !sp.Low || !sp.Full || db.ballast.mu.held {
		t.Fatalf("space %+v, ballast held %v, %v", sp, db.ballast.mu.held, err)
	}
	free = 1 << 40
	if sp, err := db.Space(); err != nil || sp.Low || sp.Full || !db.ballast.mu.held {
		t.Fatalf("space %+v, ballast held %v, %v", sp, db.ballast.mu.held, err)
	}
	wantSnapshot(t, s, good, somePages)
	takeSnapshot(t, s, 3, somePages)
}
