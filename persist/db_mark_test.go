package persist

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// killedDB returns a copy of a database that was opened twice and killed the second time, so that it has
// files of every kind, and a copy of it from after the first time.
func killedDB(t *testing.T) (dir, older string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "db")
	put := func(value string) {
		db, err := OpenDB(smallDB(dir))
		if err != nil {
			t.Fatal(err)
		}
		table, err := NewTable(db, "t")
		if err != nil {
			t.Fatal(err)
		}
		if err := table.Put(map[string][]byte{value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
		if older == "" {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			older = copyDir(t, dir)
			return
		}
		t.Cleanup(func() { db.Close() })
	}
	put("one")
	put("two")
	killed := filepath.Join(t.TempDir(), "db")
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dbMarkPath(killed), readFile(t, dbMarkPath(dir)))
	return killed, older
}

// TestDatabaseNoticesMissingFiles removes each file of a killed database, or puts an older copy in its
// place. Either the start and check both notice it, or nothing is lost.
func TestDatabaseNoticesMissingFiles(t *testing.T) {
	names, err := os.ReadDir(first(killedDB(t)))
	if err != nil {
		t.Fatal(err)
	}
	losses := map[string]func(dir, older string) error{
		"all":  func(dir, _ string) error { return os.RemoveAll(dir) },
		"mark": func(dir, _ string) error { return os.Remove(dbMarkPath(dir)) },
		"an older copy": func(dir, older string) error {
			return errors.Join(os.RemoveAll(dir), os.Rename(older, dir))
		},
		"another one": func(dir, _ string) error {
			other, _ := killedDB(t)
			return errors.Join(os.RemoveAll(dir), os.Rename(other, dir))
		},
	}
	for _, name := range names {
		losses[name.Name()] = func(dir, _ string) error { return os.Remove(filepath.Join(dir, name.Name())) }
	}
	for what, lose := range losses {
		t.Run(what, func(t *testing.T) {
			dir, older := killedDB(t)
			if err := lose(dir, older); err != nil {
				t.Fatal(err)
			}
			_, err := os.Stat(dir)
			was := err == nil
			checked := &checker{ctx: t.Context(), data: filepath.Dir(dir), progress: func(string) {}}
			if err := checked.database(dir); err != nil {
				t.Fatal(err)
			}
			db, err := OpenDB(smallDB(dir))
			if err != nil {
				wantDamage(t, err, 0)
				if len(checked.problems) == 0 {
					t.Errorf("check finds nothing, the start says %v", err)
				}
				if _, err := os.Stat(dir); was != (err == nil) {
					t.Errorf("the directory was there: %t; after a start that was refused: %v", was, err)
				}
				return
			}
			defer db.Close()
			if len(checked.problems) > 0 {
				t.Errorf("check finds %v", checked.problems)
			}
			table, err := NewTable(db, "t")
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			if err := table.All(func(string, []byte) error { found++; return nil }); err != nil || found != 2 {
				t.Errorf("%d values (%v), want 2", found, err)
			}
		})
	}
}

func first(a, _ string) string { return a }

// TestDatabaseGetsItsMark opens a database from before there were marks.
func TestDatabaseGetsItsMark(t *testing.T) {
	dir, _ := killedDB(t)
	db := openTestDB(t, smallDB(dir))
	w := db.newWriter()
	if err := errors.Join(w.delete(syncsKey, 1), w.flush(), db.b.Sync(), db.Close(), os.Remove(dbMarkPath(dir))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		db = openTestDB(t, smallDB(dir))
		if err := errors.Join(db.Sync(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	db = openTestDB(t, smallDB(dir))
	b, err := db.get(syncsKey)
	if err != nil || binary.LittleEndian.Uint64(b) != db.ID() || binary.LittleEndian.Uint64(b[8:]) != 2 {
		t.Errorf("inside: %x (%v), want id %d and 2 syncs", b, err, db.ID())
	}
	if err := os.Remove(filepath.Join(dir, badger.ManifestFilename)); err != nil {
		t.Fatal(err)
	}
}
