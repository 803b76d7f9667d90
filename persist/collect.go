package persist

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// collect returns the space of deleted values to the file system once enough has been deleted.
// It does nothing while another collection runs.
//
// Badger rewrites a value log file only after compaction has found how much of the file is garbage.
// Pages are large and have few keys, so Badger alone would neither compact nor flush its memtable before
// many gigabytes of pages were deleted. So collect first flushes the memtable and compacts the levels.
func (db *DB) collect() error {
	if db.garbage.Load() < db.cfg.CollectAfter || !db.collecting.TryLock() {
		return nil
	}
	defer db.collecting.Unlock()
	if err := db.lowGuard().checkFree(uint64(2 * db.cfg.MemTableSize)); err != nil {
		return nil
	}
	db.garbage.Store(0)
	if err := db.flushMemtable(); err != nil {
		return fmt.Errorf("collect value log: %w", err)
	}
	if err := db.b.Flatten(1); err != nil {
		return fmt.Errorf("collect value log: compact: %w", err)
	}
	// Badger moves live values to a newer file and removes the old one without a sync in between;
	// a power cut would lose both. Badger delays the removal while an iterator is open.
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

// rewriteLogs rewrites value log files of which 40 % or more are garbage, while the disk has space for
// another file.
func (db *DB) rewriteLogs() error {
	for {
		if err := db.lowGuard().checkFree(valueLogFile); err != nil {
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

// kindNothing prefixes a key that is written only to be dropped.
const kindNothing = 0

// flushMemtable makes Badger write out its memtable. Badger has no call for it, but dropping a prefix
// that has a key begins with it.
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
