package persist

import (
	"fmt"

	"github.com/musterdb/muster/internal/node/disk"
)

// Table stores small values under names, such as definitions and the progress of background work.
// Its methods may be called from any goroutine.
type Table struct {
	db   *DB
	name string
}

var _ disk.Table = (*Table)(nil)

const maxTableKey = 1 << 10

// NewTable opens a table.
func NewTable(db *DB, name string) (*Table, error) {
	if name == "" || len(name) > maxGroupName {
		return nil, fmt.Errorf("open table: name of %d bytes", len(name))
	}
	return &Table{db: db, name: name}, nil
}

func (t *Table) key(key string) []byte { return append(keyOf(kindTable, t.name), key...) }

// All calls fn with every value in ascending order of key.
func (t *Table) All(fn func(key string, value []byte) error) error {
	prefix := t.key("")
	var keys []string
	err := t.db.keys(prefix, nil, false, func(key []byte) (bool, error) {
		keys = append(keys, string(key[len(prefix):]))
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("read table %s: %w", t.name, err)
	}
	for _, key := range keys {
		value, err := t.db.get(t.key(key))
		if err != nil {
			return fmt.Errorf("read %q of table %s: %w", key, t.name, err)
		}
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

// Put writes values, and removes the keys whose value is nil. They are durable when it returns, but not
// atomically: after a crash during Put some may be written.
func (t *Table) Put(values map[string][]byte) error {
	w := t.db.newWriter()
	defer w.cancel()
	for key, value := range values {
		var err error
		switch {
		case key == "" || len(key) > maxTableKey || len(value) > partSize:
			err = fmt.Errorf("key of %d bytes, value of %d: %w", len(key), len(value), ErrTooLarge)
		case value == nil:
			err = w.delete(t.key(key), 1)
		default:
			err = w.put(t.key(key), value)
		}
		if err != nil {
			return fmt.Errorf("write table %s: %w", t.name, err)
		}
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("write table %s: %w", t.name, err)
	}
	return t.db.Sync()
}
