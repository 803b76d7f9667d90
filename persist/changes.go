package persist

import (
	"errors"
	"fmt"
)

// Changes stores the blocks of a group's change log. Each is stored under the position where it begins: an
// entry's seq and a number within the entry. The contents of a block are up to the caller.
//
// One goroutine writes, drops and commits; any may read.
type Changes struct {
	db    *DB
	group string
}

// NewChanges opens the change log of a group.
func NewChanges(db *DB, group string) (*Changes, error) {
	if group == "" || len(group) > maxGroupName {
		return nil, fmt.Errorf("open changes: group name of %d bytes", len(group))
	}
	return &Changes{db: db, group: group}, nil
}

func (c *Changes) prefix() []byte { return keyOf(kindChange, c.group) }

// Blocks calls fn with the position of each block, in ascending order, and its size on disk in bytes.
func (c *Changes) Blocks(fn func(seq uint64, n, size int) error) error {
	return c.db.keysAndSizes(c.prefix(), func(key []byte, size int) error {
		at := keyNumbers(key, c.group)
		return fn(at[0], int(at[1]), size)
	})
}

// Read returns the block at a position, or an empty one if there is none.
func (c *Changes) Read(seq uint64, n int) ([]byte, error) {
	packed, err := c.db.get(keyOf(kindChange, c.group, seq, uint64(n)))
	if errors.Is(err, errNoValue) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read changes at %d: %w", seq, err)
	}
	block, err := c.db.codec.dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, &DamageError{Where: "changes of " + c.group, Index: seq, Reason: "cannot be decompressed", Cause: err}
	}
	return block, nil
}

// Write adds a block, or replaces the one at its position. It is durable after Commit. With ErrDiskFull
// nothing was written.
func (c *Changes) Write(seq uint64, n int, block []byte) error {
	packed := c.db.codec.enc.EncodeAll(block, make([]byte, 0, len(block)/2))
	if err := c.db.write(keyOf(kindChange, c.group, seq, uint64(n)), packed); err != nil {
		return fmt.Errorf("write changes at %d: %w", seq, err)
	}
	return nil
}

// Drop removes every block that begins before a position.
func (c *Changes) Drop(seq uint64, n int) error {
	return c.remove(func(at []uint64) bool { return at[0] < seq || at[0] == seq && at[1] < uint64(n) })
}

// Cut removes every block that begins after entry seq.
func (c *Changes) Cut(seq uint64) error {
	return c.remove(func(at []uint64) bool { return at[0] > seq })
}

func (c *Changes) remove(gone func(at []uint64) bool) error {
	_, err := c.db.deletePrefix(c.prefix(), func(key []byte) bool { return !gone(keyNumbers(key, c.group)) }, never)
	if err != nil {
		return fmt.Errorf("remove changes of %s: %w", c.group, err)
	}
	return nil
}

// State returns the state last passed to Commit, nil if there is none.
func (c *Changes) State() ([]byte, error) {
	state, err := c.db.get(keyOf(kindChangeState, c.group))
	if errors.Is(err, errNoValue) {
		return nil, nil
	}
	return state, err
}

// Commit makes everything written durable, and then state. The order matters: state may only become durable
// after the blocks that it describes.
func (c *Changes) Commit(state []byte) error {
	if err := c.db.Sync(); err != nil {
		return err
	}
	if err := c.db.write(keyOf(kindChangeState, c.group), state); err != nil {
		return fmt.Errorf("commit changes of %s: %w", c.group, err)
	}
	return c.db.Sync()
}
