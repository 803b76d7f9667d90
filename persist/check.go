package persist

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/zeebo/xxh3"
)

// The layout of a data directory.

// LogDir is where the log of a group lies.
func LogDir(data, group string) string { return filepath.Join(data, "raft", group) }

// DBDir is where the database lies.
func DBDir(data string) string { return filepath.Join(data, "db") }

// Problem is something that Check has found.
type Problem struct {
	Where string
	Err   error
}

func (p Problem) String() string { return p.Where + ": " + p.Err.Error() }

// Check verifies a data directory that no process is using: every entry of every log, every page of
// every snapshot, every record of the history and its locators. It changes nothing; to look into the
// database it lets Badger recover a shadow of it (links and copies, a few hundred MB) beside it, which
// is removed afterwards. progress, if not nil, is told what is being read.
//
// Check belongs into a process of its own: Badger may end it when it meets damaged files.
func Check(ctx context.Context, data string, progress func(what string)) ([]Problem, error) {
	if progress == nil {
		progress = func(string) {}
	}
	c := &checker{ctx: ctx, data: data, progress: progress}
	if err := c.logs(data); err != nil {
		return c.problems, err
	}
	if err := c.database(DBDir(data)); err != nil {
		return c.problems, err
	}
	return c.problems, ctx.Err()
}

type checker struct {
	ctx      context.Context
	data     string
	progress func(string)
	problems []Problem
}

// found keeps damage as a problem and returns any other error: that means the check itself failed.
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
		if err := c.found(where, checkLog(c.ctx, LogDir(data, d.Name()))); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) database(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c.progress("database")
	archive, err := OpenArchive(c.data)
	if err != nil {
		return c.found("database", err)
	}
	defer archive.Close()
	db := archive.DB()
	groups, err := db.groups()
	if err != nil {
		return c.found("database", err)
	}
	for _, group := range groups {
		if err := errors.Join(c.snapshots(db, group), c.history(db, group), c.changes(db, group)); err != nil {
			return err
		}
	}
	return nil
}

// groups returns the names of all groups that have values.
func (db *DB) groups() ([]string, error) {
	seen := map[string]bool{}
	err := db.keys(nil, nil, false, func(key []byte) (bool, error) {
		seen[string(key[2:2+int(key[1])])] = true
		return true, nil
	})
	var groups []string
	for g := range seen {
		groups = append(groups, g)
	}
	sort.Strings(groups)
	return groups, err
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
		if err := c.found(where, s.Verify(id.String())); err != nil {
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

// history reads all blobs and all runs and compares what they say of where records lie, by a sum
// that does not depend on the order.
func (c *checker) history(db *DB, group string) error {
	where := "history of " + group
	c.progress(where)
	h, err := NewHistory(db, HistoryConfig{Group: group})
	if err != nil {
		return c.found(where, err)
	}
	var inBlobs, inRuns locatorSum
	problems := len(c.problems)
	err = h.All(c.ctx, func(e Entry) error {
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

// locatorSum tells two sets of locators apart, in whatever order they come.
type locatorSum struct{ n, hash uint64 }

func (s *locatorSum) add(l locator) {
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], l.key)
	binary.LittleEndian.PutUint64(b[8:], l.at.Seq)
	binary.LittleEndian.PutUint32(b[16:], l.at.N)
	s.n++
	s.hash += xxh3.Hash(b[:])
}
