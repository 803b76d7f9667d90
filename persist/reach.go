package persist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// reach is the range that each part of a group covers: its log, and what was made from the log. If one part
// is lost, or restored from another copy, there is a gap between the parts that raft does not see.
type reach struct {
	first, last uint64 // of the log; 0: the log is empty
	floor       uint64 // entries below were removed on purpose; 0: there were never any entries
	snapshot    uint64 // index of the snapshot to restore; 0: none
	history     uint64 // seq up to which the history is durable
	noHistory   bool   // the group has no history
}

// check returns a *DamageError if there is a gap between the parts.
func (r reach) check() error {
	damage := func(index uint64, format string, args ...any) error {
		return &DamageError{Where: "log", Index: index, Reason: fmt.Sprintf(format, args...)}
	}
	end := r.last
	if end == 0 && r.floor > 0 {
		end = r.floor - 1
	}
	switch {
	case r.first > r.snapshot+1:
		return damage(r.snapshot+1, "entries between the newest readable snapshot (%d) and the log (from %d) are missing", r.snapshot, r.first)
	case r.first == 0 && r.floor > r.snapshot+1:
		return damage(r.snapshot+1, "the log was cut below %d, the newest readable snapshot is at %d", r.floor, r.snapshot)
	case r.last < r.snapshot && (r.last > 0 || r.floor == 0):
		return damage(end+1, "it ends at %d, a snapshot was taken at %d: the log has lost its end, or is an older copy", end, r.snapshot)
	case r.noHistory:
		return nil
	case r.history > max(end, r.snapshot):
		return damage(end+1, "it ends at %d, the history at %d: the log has lost its end, or is an older copy", end, r.history)
	case r.first > r.history+1:
		return &DamageError{Where: "history", Index: r.history + 1,
			Reason: fmt.Sprintf("it ends at %d, the log begins at %d: the database is an older copy", r.history, r.first)}
	}
	return nil
}

// CheckStart returns a *DamageError if there is a gap between a snapshot (its index, 0 for none), the log and
// the history (nil if the group has none). Raft does not check this, and panics on the first missing entry.
// Call it after Verify and before NewRaft, with the snapshot that will be restored. If that one turns out to
// be damaged, call it again with the older one.
func CheckStart(l *Log, snapshot uint64, h *History) error {
	r := reach{noHistory: h == nil, floor: l.floor(), snapshot: snapshot}
	var err error
	if r.first, err = l.FirstIndex(); err != nil {
		return fmt.Errorf("check start: %w", err)
	}
	if r.last, err = l.LastIndex(); err != nil {
		return fmt.Errorf("check start: %w", err)
	}
	if h != nil {
		r.history = h.Synced()
	}
	return r.check()
}

// floor returns the index below which entries were removed on purpose.
func (l *Log) floor() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.mark.state.floor
}

// Logs returns the logs in a data directory, each with the last index that its mark promises: 0 if there
// never was an entry, 1 if the mark is missing or unreadable. Empty directories are left out. Nothing is
// opened; OpenLog reports what is unreadable.
func Logs(data string) (map[string]uint64, error) {
	dirs, err := os.ReadDir(filepath.Join(data, "raft"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	logs := map[string]uint64{}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		mark, err := readMark(filepath.Join(LogDir(data, d.Name()), markName))
		switch {
		case err == nil:
			logs[d.Name()] = mark.last
		case !errors.Is(err, fs.ErrNotExist) || !empty(LogDir(data, d.Name())):
			logs[d.Name()] = 1
		}
	}
	return logs, nil
}

func empty(dir string) bool {
	files, err := os.ReadDir(dir)
	return err == nil && len(files) == 0
}

// Groups returns the names of the groups and tables that have values in the database, in no order.
func (db *DB) Groups() ([]string, error) {
	seen := map[string]bool{}
	var groups []string
	err := db.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		for it.Rewind(); it.Valid(); {
			key := it.Item().Key()
			prefix := strings.Clone(string(key[:2+int(key[1])]))
			if name := prefix[2:]; prefix[0] != kindSyncs && !seen[name] {
				seen[name] = true
				groups = append(groups, name)
			}
			it.Seek(append([]byte(prefix), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)) // after the last key of this kind and group
			if it.Valid() && strings.HasPrefix(string(it.Item().Key()), prefix) {
				it.Next()
			}
		}
		return nil
	})
	return groups, err
}
