package persist

import (
	"errors"
	"fmt"
	"io"
)

// sink splits a stream into pages and stores each page under its hash. It keeps at most one page and one
// list in memory.
type sink struct {
	store *Snapshots
	w     *writer
	m     manifest

	pending []byte                        // the beginning of an incomplete frame
	list    []byte                        // entries not yet stored
	size    uint64                        // of whole frames
	fresh   struct{ pages, bytes uint64 } // newly written
	ended   bool
	done    bool
	err     error // sticky
}

// ID returns the id of the snapshot for List and Open, once it is committed.
func (k *sink) ID() string { return k.m.id.String() }

// Write accepts the next bytes of the stream, split anywhere.
func (k *sink) Write(b []byte) (int, error) {
	if k.done {
		return 0, fmt.Errorf("write snapshot %s: %w", k.m.id, ErrClosed)
	}
	if k.err != nil {
		return 0, k.err
	}
	n := len(b)
	for len(b) > 0 {
		var err error
		if b, err = k.take(b); err != nil {
			k.err = fmt.Errorf("write snapshot %s: %w", k.m.id, err)
			return 0, k.err
		}
	}
	return n, nil
}

// take moves bytes from b to the pending frame, at most as many as the frame is known to need, and stores
// the frame when it is complete. It returns the rest of b.
func (k *sink) take(b []byte) ([]byte, error) {
	if k.ended {
		return nil, errors.New("bytes after the end of the stream")
	}
	want := pageHeader
	if len(k.pending) >= pageHeader {
		f, err := decodePageHead(k.pending)
		if err != nil {
			return nil, err
		}
		want = f.size()
	}
	n := min(len(b), want-len(k.pending))
	k.pending = append(k.pending, b[:n]...)
	b = b[n:]
	if len(k.pending) < want {
		return b, nil
	}
	f, err := decodePageHead(k.pending)
	if err != nil || f.size() > len(k.pending) {
		return b, err
	}
	err = k.frame(f)
	k.pending = sized(k.pending, 0)
	return b, err
}

// frame stores the pending frame's page, unless it exists already, and adds it to the list.
func (k *sink) frame(f pageFrame) error {
	key, data := k.pending[pageHeader:pageHeader+f.keyLen], k.pending[pageHeader+f.keyLen:]
	if err := errors.Join(f.checkKey(k.pending, key), f.checkData(data)); err != nil {
		return &DamageError{Where: "snapshot stream", Index: k.m.id.index, Reason: fmt.Sprintf("page %d", k.m.pages), Cause: err}
	}
	if f.kind == pageEnd {
		if string(data) != string(endData(k.m.pages, k.size)) {
			return &DamageError{Where: "snapshot stream", Index: k.m.id.index, Reason: "pages are missing before its end"}
		}
		k.ended = true
		k.m.size = int64(k.size) + int64(f.size())
		return nil
	}
	written, err := k.store.putPage(k.w, f.hash, data)
	if err != nil {
		return err
	}
	if written {
		k.fresh.pages++
		k.fresh.bytes += uint64(len(data))
	}
	k.list = appendListEntry(k.list, listEntry{kind: f.kind, key: key, dataLen: f.dataLen, hash: f.hash})
	k.m.pages++
	k.size += uint64(f.size())
	if len(k.list) >= listSize {
		return k.putList()
	}
	return nil
}

func (k *sink) putList() error {
	if len(k.list) == 0 {
		return nil
	}
	err := k.w.put(k.m.id.key(kindIndex, k.store.group, k.m.lists), k.list)
	k.m.lists++
	k.list = k.list[:0]
	return err
}

func pageKey(group string, h pageHash) []byte {
	return append(keyOf(kindPage, group), h[:]...)
}

// putPage writes a page, unless it exists.
func (s *Snapshots) putPage(w *writer, h pageHash, data []byte) (written bool, err error) {
	key := pageKey(s.group, h)
	there, err := s.db.has(key)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	suspect := s.mu.suspect[h]
	delete(s.mu.suspect, h)
	s.mu.Unlock()
	if there && !suspect && !s.rewriteAll {
		return false, nil
	}
	return true, w.put(key, data)
}

// Close makes the snapshot durable and visible, and then deletes older ones. A stream without its end frame
// leaves no snapshot.
func (k *sink) Close() error {
	if k.done {
		return nil
	}
	err := k.err
	if err == nil && !k.ended {
		err = fmt.Errorf("close snapshot %s: the stream has no end frame: %w", k.m.id, io.ErrUnexpectedEOF)
	}
	if err == nil {
		err = k.commit()
	}
	k.finish()
	if err == nil {
		k.store.db.cfg.Logger.Info("snapshot written", "group", k.store.group, "pages", k.m.pages, "bytes", k.m.size,
			"new_pages", k.fresh.pages, "new_bytes", k.fresh.bytes)
		k.store.retire()
	}
	return err
}

// commit writes the remaining data, makes it durable, and only then writes the manifest.
func (k *sink) commit() error {
	db := k.store.db
	if err := k.putList(); err != nil {
		return fmt.Errorf("close snapshot %s: %w", k.m.id, err)
	}
	if err := errors.Join(k.w.flush(), db.Sync()); err != nil {
		return fmt.Errorf("close snapshot %s: %w", k.m.id, err)
	}
	last := db.newWriter()
	defer last.cancel()
	if err := last.put(k.m.id.key(kindSnapshot, k.store.group), k.m.encode()); err != nil {
		return fmt.Errorf("close snapshot %s: %w", k.m.id, err)
	}
	if err := errors.Join(last.flush(), db.Sync()); err != nil {
		return fmt.Errorf("close snapshot %s: %w", k.m.id, err)
	}
	return nil
}

// Cancel abandons the snapshot. Its pages are swept after the next snapshot.
func (k *sink) Cancel() error {
	if !k.done {
		k.finish()
	}
	return nil
}

func (k *sink) finish() {
	k.done = true
	k.w.cancel()
	k.pending, k.list = nil, nil
	k.store.sweep.RUnlock()
}
