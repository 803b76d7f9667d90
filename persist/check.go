package persist

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/internal/node/disk"
)

// The layout of a data directory.

// LogDir returns the directory of a group's log.
func LogDir(data, group string) string { return filepath.Join(data, "raft", group) }

// DBDir returns the directory of the database.
func DBDir(data string) string { return filepath.Join(data, "db") }

// Problem is one finding of Check.
type Problem struct {
	Where string
	Err   error
}

func (p Problem) String() string { return p.Where + ": " + p.Err.Error() }

// Check verifies a data directory that no process is using: every entry of every log, every page of
// every snapshot, every record of the history and its locators. It also checks that no part is missing or
// from another copy: parts names the logs and the database by their paths, with their ids (0 if unknown).
// It changes nothing. To read the database it lets Badger recover a shadow of it (links and copies, a few
// hundred MB) next to it, which is removed afterwards. progress, if not nil, is called with what is being
// read.
//
// Call Check in a separate process: Badger may end the process when it meets damaged files.
func Check(ctx context.Context, data string, parts map[string]uint64, progress func(what string)) ([]Problem, error) {
	if progress == nil {
		progress = func(string) {}
	}
	c := &checker{ctx: ctx, data: data, progress: progress, parts: parts, reaches: map[string]*reach{}}
	if err := c.logs(data); err != nil {
		return c.problems, err
	}
	if err := c.database(DBDir(data)); err != nil {
		return c.problems, err
	}
	if err := errors.Join(c.missing(data), c.gaps()); err != nil {
		return c.problems, err
	}
	return c.problems, ctx.Err()
}

type checker struct {
	ctx      context.Context
	data     string
	progress func(string)
	parts    map[string]uint64
	reaches  map[string]*reach // of the intact logs, by group
	used     bool              // the database is not empty
	problems []Problem
}

// found records damage as a problem and returns any other error, which means that the check itself failed.
func (c *checker) found(where string, err error) error {
	var damage *DamageError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &damage):
		c.problems = append(c.problems, Problem{Where: where, Err: err})
		return nil
	default:
		return fmt.Errorf("check %s: %w", where, err)
	}
}

func (c *checker) logs(data string) error {
	dirs, err := os.ReadDir(filepath.Join(data, "raft"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("check logs: %w", err)
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		where := "log " + d.Name()
		c.progress(where)
		id, r, err := checkLog(c.ctx, LogDir(data, d.Name()))
		if err == nil {
			r.noHistory = true // until the history is found
			c.reaches[d.Name()] = &r
			err = c.belongs("raft/"+d.Name(), id)
		}
		if err := c.found(where, err); err != nil {
			return err
		}
	}
	return nil
}

// missing finds logs whose directory is missing.
func (c *checker) missing(data string) error {
	there, err := Logs(data)
	if err != nil {
		return fmt.Errorf("check logs: %w", err)
	}
	used := c.used
	for _, last := range there {
		used = used || last > 0
	}
	for _, part := range slices.Sorted(maps.Keys(c.parts)) {
		group, isLog := strings.CutPrefix(part, "raft/")
		if _, ok := there[group]; !isLog || ok || c.parts[part] == 0 && !used {
			continue // a log with an unknown id may never have been created
		}
		c.problems = append(c.problems, Problem{Where: "log " + group, Err: &DamageError{Where: part, Reason: "missing"}})
	}
	return nil
}

// belongs compares the id of a part with the expected one.
func (c *checker) belongs(part string, id uint64) error {
	if want := c.parts[part]; want != 0 && want != id {
		return &DamageError{Where: part, Reason: fmt.Sprintf("it belongs to another data directory: its id is %016x, cluster.meta says %016x", id, want)}
	}
	return nil
}

func (c *checker) database(dir string) error {
	mark, err := readDBMark(dir)
	if err == nil {
		err = checkManifest(dir, mark)
	}
	if err != nil {
		return c.found("database", err)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if c.parts["db"] != 0 {
			return c.found("database", &DamageError{Where: "db", Reason: "missing"})
		}
		return nil
	}
	c.progress("database")
	archive, err := OpenArchive(c.data)
	if err != nil {
		return c.found("database", err)
	}
	defer archive.Close()
	db := archive.DB()
	id, count, err := db.checkSyncs(mark, dbMarkPath(dir))
	if count == 0 {
		id = mark.id // if the database was never synced, only the mark has it
	}
	if err == nil {
		err = c.belongs("db", id)
	}
	if err := c.found("database", err); err != nil {
		return err
	}
	groups, err := db.Groups()
	sort.Strings(groups)
	if err != nil {
		return c.found("database", err)
	}
	c.used = len(groups) > 0
	for _, group := range groups {
		if err := errors.Join(c.snapshots(db, group), c.history(db, group), c.changes(db, group)); err != nil {
			return err
		}
	}
	return nil
}

// gaps finds parts of a group that do not reach each other. An unreadable database has been reported already.
func (c *checker) gaps() error {
	for _, p := range c.problems {
		if p.Where == "database" {
			return nil
		}
	}
	for _, group := range slices.Sorted(maps.Keys(c.reaches)) {
		if err := c.found("log "+group, c.reaches[group].check()); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) snapshots(db *DB, group string) error {
	s, err := NewSnapshots(db, group, 1)
	if err != nil {
		return err
	}
	ids, err := s.ids()
	if err != nil {
		return c.found("snapshots of "+group, err)
	}
	for _, id := range ids {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		where := fmt.Sprintf("snapshot %s of %s", id, group)
		c.progress(where)
		err := s.Verify(id.String())
		if r := c.reaches[group]; r != nil && err == nil {
			r.snapshot = max(r.snapshot, id.index)
		}
		if err := c.found(where, err); err != nil {
			return err
		}
	}
	return nil
}

// changes reads every block of changes, and the tables, which are groups of their own.
func (c *checker) changes(db *DB, group string) error {
	where := "changes of " + group
	c.progress(where)
	log, table := &Changes{db, group}, &Table{db, group}
	err := log.Blocks(func(seq uint64, n, _ int) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		_, err := log.Read(seq, n)
		return err
	})
	if err := c.found(where, err); err != nil {
		return err
	}
	_, err = log.State()
	if err := c.found(where, err); err != nil {
		return err
	}
	return c.found("table "+group, table.All(func(string, []byte) error { return nil }))
}

// history reads all blobs and all runs and compares their record positions by a sum that does not depend
// on the order.
func (c *checker) history(db *DB, group string) error {
	where := "history of " + group
	c.progress(where)
	h, err := NewHistory(db, HistoryConfig{Group: group})
	if err != nil {
		return c.found(where, err)
	}
	if r := c.reaches[group]; r != nil && h.Synced() > 0 {
		r.history, r.noHistory = h.Synced(), false
	}
	var inBlobs, inRuns locatorSum
	problems := len(c.problems)
	err = h.All(c.ctx, func(e disk.Entry) error {
		inBlobs.add(locator{key: e.Key, at: e.Position})
		return nil
	})
	if err := c.found(where, err); err != nil {
		return err
	}
	for _, r := range h.mu.runs {
		cursor := runCursor{h: h, r: r}
		var before locator
		for n := uint64(0); ; n++ {
			if err := c.ctx.Err(); err != nil {
				return err
			}
			more, err := cursor.next()
			if err != nil || !more {
				if err := c.found(where, err); err != nil {
					return err
				}
				break
			}
			if n > 0 && compareLocators(before, cursor.head) >= 0 {
				c.problems = append(c.problems, Problem{Where: where, Err: &DamageError{Where: fmt.Sprintf("locator run %d", r.id), Reason: "out of order"}})
				break
			}
			before = cursor.head
			inRuns.add(before)
		}
	}
	if len(c.problems) == problems && inBlobs != inRuns {
		c.problems = append(c.problems, Problem{Where: where, Err: &DamageError{Where: "locator runs",
			Reason: fmt.Sprintf("%d locators do not match %d records", inRuns.n, inBlobs.n)}})
	}
	return nil
}

// locatorSum compares two sets of locators regardless of order.
type locatorSum struct{ n, hash uint64 }

func (s *locatorSum) add(l locator) {
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], l.key)
	binary.LittleEndian.PutUint64(b[8:], l.at.Seq)
	binary.LittleEndian.PutUint32(b[16:], l.at.N)
	s.n++
	s.hash += xxh3.Hash(b[:])
}
