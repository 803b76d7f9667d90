package persist

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
)

// Verify reads the whole log and returns a *DamageError unless every entry is there, intact and chained to
// its predecessor, and matches the high-water mark. The log can be used once Verify has returned nil. It
// costs one sequential read.
func (l *Log) Verify(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return ErrClosed
	}
	if l.mu.verified {
		return nil
	}
	v := chainVerifier{id: l.ident, mark: l.mu.mark.state, sizes: &l.sizes}
	if err := v.segments(ctx, l.cfg.Dir, l.opened); err != nil {
		return fmt.Errorf("verify log %s: %w", l.cfg.Dir, err)
	}
	l.mu.chain = v.chain
	l.mu.verified = true
	if l.mu.last > l.mu.mark.state.last {
		// Entries that recovery found after the mark count as stored from now on, so they are acknowledged.
		return l.mu.mark.advance(l.mu.last, v.chain)
	}
	return nil
}

// chainVerifier checks the chain of a log's entries in order.
type chainVerifier struct {
	id    uint64
	mark  markState
	sizes *logSizes             // may be nil
	each  func(*raft.Log) error // called with every entry; may be nil

	next  uint64 // index expected, 0 before the first entry
	chain chainHash
}

// segments visits all entries of all segments.
func (v *chainVerifier) segments(ctx context.Context, dir string, state types.PersistentState) error {
	for i, info := range state.Segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := scanSegment(dir, v.id, info, v.visit)
		if errors.Is(err, fs.ErrNotExist) {
			if i == len(state.Segments)-1 && info.SealTime.IsZero() {
				continue // the file of an empty tail is created on first use
			}
			return &DamageError{Where: "log", Index: info.MinIndex, Reason: "segment file is missing", Cause: err}
		}
		if err != nil {
			return err
		}
	}
	if m := v.mark; m.last > 0 && m.last >= m.floor && v.next <= m.last {
		return &DamageError{Where: "log", Index: max(v.next, m.floor), Reason: "acknowledged entries are missing"}
	}
	return nil
}

func (v *chainVerifier) visit(index uint64, b []byte) error {
	damage := func(reason string, cause error) error {
		return &DamageError{Where: "log", Index: index, Reason: reason, Cause: cause}
	}
	e, err := decodeEntry(v.id, b)
	switch {
	case err != nil:
		return damage("unreadable entry", err)
	case e.log.Index != index:
		return damage(fmt.Sprintf("found entry %d instead", e.log.Index), nil)
	case v.next == 0 && index > v.mark.floor:
		return damage(fmt.Sprintf("entries from %d on are missing", v.mark.floor), nil)
	case v.next != 0 && index != v.next:
		return damage(fmt.Sprintf("entry %d is missing", v.next), nil)
	case v.next != 0 && e.prev != v.chain:
		return damage("it was not written after the entry before it", nil)
	}
	v.chain = hashEntry(b)
	v.next = index + 1
	if index == v.mark.last && index >= v.mark.floor && v.chain != v.mark.chain {
		return damage("it is not the entry that was acknowledged", nil)
	}
	if v.sizes != nil {
		v.sizes.add(index, len(b))
	}
	if v.each != nil {
		return v.each(&e.log)
	}
	return nil
}
