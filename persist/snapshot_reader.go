package persist

import (
	"errors"
	"fmt"
	"io"
)

// snapshotReader rebuilds a snapshot's stream, one page at a time.
type snapshotReader struct {
	store *Snapshots
	m     manifest

	list  []byte // entries of the current list not yet read
	lists uint64 // number of lists read
	pages uint64
	size  uint64
	ready []byte // next bytes of the stream
	after []byte // bytes of the stream after ready
	head  []byte // buffer for a frame's head
	data  []byte // buffer for a page
	ended bool
	err   error
	done  bool
}

func (r *snapshotReader) Read(b []byte) (int, error) {
	for len(r.ready) == 0 {
		if r.ready, r.after = r.after, nil; len(r.ready) > 0 {
			break
		}
		if r.err != nil {
			return 0, r.err
		}
		if err := r.next(); err != nil {
			r.err = err
			return 0, err
		}
	}
	n := copy(b, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// next makes the next frame ready.
func (r *snapshotReader) next() error {
	if r.done {
		return fmt.Errorf("read snapshot %s: %w", r.m.id, ErrClosed)
	}
	if r.ended {
		return io.EOF
	}
	for len(r.list) == 0 {
		if r.lists == r.m.lists {
			return r.end()
		}
		var err error
		if r.list, err = r.store.list(r.m, r.lists); err != nil {
			return fmt.Errorf("read snapshot %s: %w", r.m.id, err)
		}
		r.lists++
	}
	e, rest, err := nextListEntry(r.list)
	if err != nil {
		return r.damage(err.Error())
	}
	r.list = rest
	data, err := r.page(e)
	if err != nil {
		return err
	}
	r.head = appendPageHead(r.head[:0], e.kind, e.key, len(data), e.hash)
	r.ready, r.after = r.head, data
	r.pages++
	r.size += uint64(len(r.head) + len(data))
	return nil
}

// page reads and verifies a page, which is valid until the next call. A damaged page is recorded as suspect,
// since later snapshots would otherwise refer to it.
func (r *snapshotReader) page(e listEntry) ([]byte, error) {
	data, err := r.store.db.getTo(sized(r.data, e.dataLen), pageKey(r.store.group, e.hash))
	r.data = data
	if err == nil && len(data) == e.dataLen && hashPage(data) == e.hash {
		return data, nil
	}
	var d *DamageError
	if err != nil && !errors.Is(err, errNoValue) && !errors.As(err, &d) {
		return nil, fmt.Errorf("read snapshot %s: %w", r.m.id, err)
	}
	r.store.mu.Lock()
	r.store.mu.suspect[e.hash] = true
	r.store.mu.Unlock()
	return nil, &DamageError{Where: "snapshot " + r.m.id.String(), Index: r.m.id.index,
		Reason: fmt.Sprintf("page %d", r.pages), Cause: err}
}

func (r *snapshotReader) end() error {
	if r.pages != r.m.pages {
		return r.damage(fmt.Sprintf("its lists name %d pages, its manifest %d", r.pages, r.m.pages))
	}
	data := endData(r.pages, r.size)
	r.head = append(appendPageHead(r.head[:0], pageEnd, nil, len(data), hashPage(data)), data...)
	if size := int64(r.size) + int64(len(r.head)); size != r.m.size {
		return r.damage(fmt.Sprintf("it is %d bytes long, its manifest says %d", size, r.m.size))
	}
	r.ready, r.ended = r.head, true
	return nil
}

func (r *snapshotReader) damage(reason string) error {
	return &DamageError{Where: "snapshot " + r.m.id.String(), Index: r.m.id.index, Reason: reason}
}

// Close allows the snapshot to be deleted again.
func (r *snapshotReader) Close() error {
	if !r.done {
		r.done = true
		r.ready, r.after, r.head, r.data, r.list = nil, nil, nil, nil, nil
		r.store.unpin(r.m.id)
	}
	return nil
}
