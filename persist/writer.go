package persist

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// writer collects puts and deletes. They reach Badger in order but not atomically, and the disk with
// DB.Sync. A value that makes others visible, such as a manifest, must be written after a flush and a Sync.
type writer struct {
	db         *DB
	txn        *badger.Txn
	pending    int    // bytes in txn
	unmeasured uint64 // bytes written since the free space was last measured
}

// spaceStep is how many bytes may be written between two measurements of the free space.
const spaceStep = 1 << 20

func (db *DB) newWriter() *writer {
	return &writer{db: db, txn: db.b.NewTransaction(true), unmeasured: spaceStep}
}

// change runs fn, a Set or Delete, in the current transaction, or in a new one if that is full.
func (w *writer) change(n int, fn func(*badger.Txn) error) error {
	err := fn(w.txn)
	if errors.Is(err, badger.ErrTxnTooBig) {
		if err := w.flush(); err != nil {
			return err
		}
		err = fn(w.txn)
	}
	if err != nil {
		return err
	}
	if w.pending += n; w.pending >= spaceStep {
		return w.flush()
	}
	return nil
}

// put writes a value, in several parts if necessary. data may be reused afterwards.
func (w *writer) put(key, data []byte) error {
	if len(data) > maxValue {
		return fmt.Errorf("write %s of %d bytes: %w", describeKey(key), len(data), ErrTooLarge)
	}
	parts := max(1, (len(data)+partSize-1)/partSize)
	w.unmeasured += uint64(len(data))
	if w.unmeasured >= spaceStep {
		// Twice: once for the value log, once more for compaction and flushes.
		if err := w.db.guard.checkFree(2*uint64(len(data)) + spaceStep); err != nil {
			return fmt.Errorf("write %s: %w", describeKey(key), err)
		}
		w.unmeasured = 0
	}
	for part := range parts {
		piece := data[part*partSize : min(len(data), (part+1)*partSize)]
		value := encodeValue(key, part, parts, piece)
		err := w.change(len(value), func(txn *badger.Txn) error { return txn.Set(partKey(key, part), value) })
		if err != nil {
			return fmt.Errorf("write %s: %w", describeKey(key), err)
		}
	}
	return nil
}

// delete removes a value that has the given number of parts. It works below the floor, since deleting frees
// space, but not down to the last block.
func (w *writer) delete(key []byte, parts int) error {
	for part := range parts {
		if err := w.deletePart(partKey(key, part)); err != nil {
			return fmt.Errorf("delete %s: %w", describeKey(key), err)
		}
	}
	return nil
}

func (w *writer) deletePart(key []byte) error {
	if w.unmeasured += 128; w.unmeasured >= spaceStep {
		if err := w.db.lowGuard().checkFree(spaceStep); err != nil {
			return err
		}
		w.unmeasured = 0
	}
	return w.change(128, func(txn *badger.Txn) error { return txn.Delete(key) })
}

// flush commits what was collected. The writer can be used again afterwards.
func (w *writer) flush() error {
	w.db.gate.RLock()
	err := w.txn.Commit()
	w.db.gate.RUnlock()
	w.txn, w.pending = w.db.b.NewTransaction(true), 0
	if err != nil {
		return fmt.Errorf("write database: %w", err)
	}
	return nil
}

// cancel drops what was not flushed. It may be called after flush; the writer cannot be used afterwards.
func (w *writer) cancel() { w.txn.Discard() }

// deletePrefix removes all values whose key begins with prefix and for which keep returns false. It stops
// early, without an error, when stop returns true.
func (db *DB) deletePrefix(prefix []byte, keep func(key []byte) bool, stop func() bool) (deleted int, err error) {
	w := db.newWriter()
	defer w.cancel()
	err = db.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.ValidForPrefix(prefix) && !stop(); it.Next() {
			k := it.Item().KeyCopy(nil) // the transaction keeps it
			if keep(k[:len(k)-partSuffix]) {
				continue
			}
			size := it.Item().EstimatedSize()
			if err := w.deletePart(k); err != nil {
				return fmt.Errorf("delete: %w", err)
			}
			db.garbage.Add(size)
			deleted++
		}
		return nil
	})
	return deleted, errors.Join(err, w.flush())
}
