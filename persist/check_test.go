package persist

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterdb/muster/internal/node/disk"
)

// makeData fills a data directory with two groups and closes everything.
func makeData(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	db := openTestDB(t, smallDB(DBDir(data)))
	for _, group := range []string{"shard-1", "shard-2"} {
		l := openVerified(t, smallLog(LogDir(data, group)))
		for i := uint64(1); i < 8; i++ {
			appendTo(t, l, batch(i, 1, 900))
		}
		appendTo(t, l, batch(8, 1, make([]int, 92)...)) // as far as the history
		l.Close()
		s, err := NewSnapshots(db, group, 2)
		if err != nil {
			t.Fatal(err)
		}
		for i := uint64(1); i < 3; i++ {
			takeSnapshot(t, s, i, randomPages(rand.New(rand.NewPCG(i, 1)), 10))
		}
		s.Close()
		h, err := NewHistory(db, HistoryConfig{Group: group, BlobSize: 500, RunLength: 20})
		if err != nil {
			t.Fatal(err)
		}
		for seq := uint64(1); seq < 100; seq++ {
			if err := h.Append(seq, []disk.Record{{Key: seq % 7, Data: fmt.Append(nil, "record ", seq)}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

func checkData(t *testing.T, data string) []Problem {
	t.Helper()
	problems, err := Check(context.Background(), data, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(data, "check-*"))
	if err != nil || len(left) > 0 {
		t.Fatalf("the shadow %v is left, %v", left, err)
	}
	return problems
}

func TestCheckPassesIntactData(t *testing.T) {
	data := makeData(t)
	if problems := checkData(t, data); len(problems) > 0 {
		t.Fatal(problems)
	}
	// The same after a kill.
	db := openTestDB(t, smallDB(DBDir(data)))
	h := openTestHistory(t, db, HistoryConfig{})
	if err := errors.Join(h.Append(99, []disk.Record{{Key: 1, Data: []byte("x")}}), h.Sync(99)); err != nil {
		t.Fatal(err)
	}
	killed := t.TempDir()
	if err := os.CopyFS(filepath.Join(killed, "raft"), os.DirFS(filepath.Join(data, "raft"))); err != nil {
		t.Fatal(err)
	}
	h.working.Wait()
	if err := os.Rename(copyDB(t, DBDir(data)), DBDir(killed)); err != nil {
		t.Fatal(err)
	}
	if problems := checkData(t, killed); len(problems) > 0 {
		t.Fatal(problems)
	}
	if _, err := Check(context.Background(), data, nil, nil); err == nil {
		t.Fatal("a database in use was checked")
	}
}

func TestCheckFindsDamage(t *testing.T) {
	data := makeData(t)
	segments, err := filepath.Glob(filepath.Join(LogDir(data, "shard-2"), "*.wal"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	b := readFile(t, segments[0])
	b[300] ^= 1
	writeFile(t, segments[0], b)
	db := openTestDB(t, smallDB(DBDir(data)))
	flipValue(t, db, keyOf(kindPage, "shard-1"), 3)
	flipValue(t, db, keyOf(kindBlob, "shard-1"), 1)
	flipValue(t, db, keyOf(kindRunPart, "shard-2"), 0)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	problems := checkData(t, data)
	for _, want := range []string{"log shard-2", "of shard-1", "history of shard-1", "history of shard-2"} {
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.Where, want)
		}
		if !found {
			t.Errorf("nothing about %s in %v", want, problems)
		}
	}
}

func TestCheckFindsLostLocator(t *testing.T) {
	data := makeData(t)
	db := openTestDB(t, smallDB(DBDir(data)))
	key := keyOf(kindRun, "shard-1")
	var run []byte
	if err := db.keys(key, nil, false, func(k []byte) (bool, error) { run = append([]byte(nil), k...); return false, nil }); err != nil {
		t.Fatal(err)
	}
	w := db.newWriter()
	if err := errors.Join(w.delete(run, 1), w.flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
	problems := checkData(t, data)
	if len(problems) != 1 || problems[0].Where != "history of shard-1" {
		t.Fatalf("%v, want the history of shard-1", problems)
	}
}
