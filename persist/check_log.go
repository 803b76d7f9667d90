package persist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/types"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// checkLog does the checks of OpenLog and Verify on the log in dir without changing it. It returns the
// log's id and how far it reaches.
func checkLog(ctx context.Context, dir string) (id uint64, r reach, err error) {
	return readLog(ctx, dir, nil)
}

// ReadLog calls visit with every entry of the log in dir, in order, and verifies it like Log.Verify. It
// changes nothing. If there is no log there are no entries. The entry is valid until visit returns.
func ReadLog(ctx context.Context, dir string, visit func(*raft.Log) error) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, _, err := readLog(ctx, dir, visit)
	return err
}

func readLog(ctx context.Context, dir string, visit func(*raft.Log) error) (id uint64, r reach, err error) {
	mark, err := readMark(filepath.Join(dir, markName))
	if errors.Is(err, errNoMark) || errors.Is(err, fs.ErrNotExist) {
		return 0, r, &DamageError{Where: "high-water mark", Reason: "missing or unreadable", Cause: err}
	}
	if err != nil {
		return 0, r, err
	}
	id, r.floor = mark.id, mark.floor
	state, found, err := readMeta(dir)
	if err != nil {
		return id, r, err
	}
	if !found {
		if mark.floor > 0 {
			err = &DamageError{Where: "log", Index: mark.floor, Reason: metadb.FileName + " is missing"}
		}
		return id, r, err
	}
	tail, last, err := inspectTail(dir, mark.id, state)
	if err != nil {
		return id, r, err
	}
	if err := mark.check(state, tail.claim, last); err != nil {
		return id, r, err
	}
	if r.last = last; last > 0 {
		r.first = state.Segments[0].MinIndex
	}
	v := chainVerifier{id: mark.id, mark: mark, each: visit}
	return id, r, v.segments(ctx, dir, state)
}

// readMeta reads raft-wal's metadata and the stable store from a bbolt file opened for reading. bbolt
// panics or faults on some damaged files; that becomes an error, so that the check can continue.
func readMeta(dir string) (state types.PersistentState, found bool, err error) {
	damage := func(cause error) error {
		return &DamageError{Where: metadb.FileName, Reason: "unreadable", Cause: cause}
	}
	path := filepath.Join(dir, metadb.FileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return state, false, nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damage(fmt.Errorf("%v", p))
		}
	}()
	db, err := bbolt.Open(path, 0o644, &bbolt.Options{ReadOnly: true, Timeout: 2 * time.Second})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return state, false, fmt.Errorf("read %s: another process has it open", path)
	}
	if err != nil {
		return state, false, damage(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		meta, stable := tx.Bucket([]byte(metadb.MetaBucket)), tx.Bucket([]byte(metadb.StableBucket))
		if meta == nil || stable == nil {
			return damage(errors.New("bucket missing"))
		}
		if b := meta.Get([]byte(metadb.MetaKey)); b != nil {
			if err := json.Unmarshal(b, &state); err != nil {
				return damage(err)
			}
			found = true
		}
		err := stable.ForEach(func(k, v []byte) error {
			_, err := decodeStable(k, v)
			return err
		})
		if err != nil {
			return err
		}
		// A free list that names pages in use, or beyond the end, would only be noticed by a later write, and
		// end the process then.
		for inconsistent := range tx.Check() {
			err = errors.Join(err, inconsistent)
		}
		if err != nil {
			return damage(err)
		}
		return nil
	})
	return state, found, err
}
