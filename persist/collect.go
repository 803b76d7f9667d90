package persist

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// collect gives the space of deleted values back to the file system, once enough has been deleted.
// It does nothing while another collection runs.
//
// Badger rewrites a value log file when compaction has told it how much of the file is garbage.
// Pages are large and their keys few, so that left alone it would not compact, nor even flush its
// memtable, for many gigabytes of deleted pages. So the memtable is flushed and the levels compacted
// here first.
func (db *DB) collect() error {
	if db.garbage.Load() < db.cfg.CollectAfter || !db.collecting.TryLock() {
		return nil
	}
	defer db.collecting.Unlock()
	if err := db.lowGuard().room(uint64(2 * db.cfg.MemTableSize)); err != nil {
		return nil
	}
	db.garbage.Store(0)
	if err := db.flushMemtable(); err != nil {
		return fmt.Errorf("collect value log: %w", err)
	}
	if err := db.b.Flatten(1); err != nil {
		return fmt.Errorf("collect value log: compact: %w", err)
	}
	// Badger moves what is alive to a newer file and removes the old one without a sync in between;
	// a power cut would take both. While an iterator is open it puts the removal off.
	txn := db.b.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	err := db.rewriteLogs()
	if errSync := db.Sync(); errSync != nil {
		// The old files stay until the process ends: the iterator is not closed.
		return errors.Join(err, errSync)
	}
	it.Close()
	return err
}

// rewriteLogs rewrites value log files of which 40 % or more are garbage, as long as the disk has
// room for another file.
func (db *DB) rewriteLogs() error {
	for {
		if err := db.lowGuard().room(valueLogFile); err != nil {
			return nil
		}
		err := db.b.RunValueLogGC(0.4)
		switch {
		case err == nil:
		case errors.Is(err, badger.ErrNoRewrite), errors.Is(err, badger.ErrRejected), errors.Is(err, badger.ErrDBClosed):
			return nil
		default:
			return fmt.Errorf("collect value log: %w", err)
		}
	}
}

// kindNothing prefixes a key that exists only to be dropped.
const kindNothing = 0

// flushMemtable makes Badger write its memtable out. It has no call for that, but dropping a prefix
// under which there is something begins with it.
func (db *DB) flushMemtable() error {
	db.gate.Lock()
	defer db.gate.Unlock()
	key := []byte{kindNothing}
	if err := db.b.Update(func(txn *badger.Txn) error { return txn.Set(key, nil) }); err != nil {
		return err
	}
	if err := db.b.DropPrefix(key); err != nil {
		return fmt.Errorf("flush memtable: %w", err)
	}
	return nil
}
