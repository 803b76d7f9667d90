package persist

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/musterdb/muster/internal/node/disk"
)

// Scan returns up to limit records of key before a position, newest first, including those still in
// memory. The zero Position means from the newest. Fewer than limit means there are no more.
func (h *History) Scan(ctx context.Context, key uint64, before disk.Position, limit int) (entries []disk.Entry, err error) {
	if before == (disk.Position{}) {
		before = disk.Position{Seq: ^uint64(0), N: ^uint32(0)}
	}
	if limit <= 0 {
		return nil, nil
	}
	found, err := h.locate(ctx, key, before, limit)
	if err != nil {
		return nil, fmt.Errorf("scan history: %w", err)
	}
	reader := blobReader{h: h}
	for _, at := range found {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("scan history: %w", err)
		}
		e, err := reader.entry(at)
		if err != nil {
			return nil, fmt.Errorf("scan history: %w", err)
		}
		if e.Key != key {
			return nil, fmt.Errorf("scan history: %w", &DamageError{Where: "history", Index: at.Seq, Reason: "the record has another key"})
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// locate returns up to limit positions, newest first. If a run is merged away while it is read, locate
// starts again with the run that now holds its locators.
func (h *History) locate(ctx context.Context, key uint64, before disk.Position, limit int) ([]disk.Position, error) {
	for {
		found, runs, err := h.locateBuffered(key, before, limit)
		if err != nil {
			return nil, err
		}
		// Newest runs first, so that runs which cannot add anything need not be read.
		slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(b.maxSeq, a.maxSeq) })
		for _, r := range runs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if r.minSeq > before.Seq || len(found) == limit && r.maxSeq < found[limit-1].Seq {
				continue
			}
			var more []disk.Position
			if more, err = h.find(r, key, before, limit); err != nil {
				break
			}
			found = append(found, more...)
			slices.SortFunc(found, func(a, b disk.Position) int {
				return compareLocators(locator{at: b}, locator{at: a})
			})
			found = found[:min(len(found), limit)]
		}
		if errors.Is(err, errNoValue) {
			if !h.isMergedAway(runs) {
				return nil, &DamageError{Where: "locator run", Reason: "a part is missing"}
			}
			continue
		}
		return found, err
	}
}

// isMergedAway reports whether any of runs is no longer one of the history's runs.
func (h *History) isMergedAway(runs []run) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range runs {
		if !slices.ContainsFunc(h.mu.runs, func(x run) bool { return x.id == r.id }) {
			return true
		}
	}
	return false
}

// locateBuffered searches the locators that are not in a run yet, and returns the current runs.
func (h *History) locateBuffered(key uint64, before disk.Position, limit int) ([]disk.Position, []run, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.closed {
		return nil, nil, ErrClosed
	}
	var found []disk.Position
	for i := len(h.mu.locators) - 1; i >= 0 && len(found) < limit; i-- {
		if l := h.mu.locators[i]; l.key == key && less(l.at, before) {
			found = append(found, l.at)
		}
	}
	return found, slices.Clone(h.mu.runs), nil
}

// blobReader reads records by position. It keeps the last blob, which often has the next record too.
type blobReader struct {
	h    *History
	blob blob
}

func (r *blobReader) entry(at disk.Position) (disk.Entry, error) {
	if r.blob.records == 0 || less(at, r.blob.first) || less(r.blob.last, at) {
		if err := r.load(at); err != nil {
			return disk.Entry{}, err
		}
	}
	var found *disk.Entry
	err := r.blob.each(func(e disk.Entry) bool {
		if e.Position == at {
			e.Data = bytes.Clone(e.Data)
			found = &e
		}
		return found == nil
	})
	if err != nil || found == nil {
		return disk.Entry{}, &DamageError{Where: "history", Index: at.Seq, Reason: "a located record is missing", Cause: err}
	}
	return *found, nil
}

// load sets r.blob to the blob that holds at: the buffered one, or the last that begins before at.
func (r *blobReader) load(at disk.Position) error {
	h := r.h
	h.mu.Lock()
	if b := &h.mu.blob; b.records > 0 && !less(at, b.first) {
		r.blob = blob{first: b.first, last: b.last, records: b.records, raw: bytes.Clone(b.raw)}
		h.mu.Unlock()
		return nil
	}
	h.mu.Unlock()
	var key []byte
	prefix := keyOf(kindBlob, h.cfg.Group)
	err := h.db.keys(prefix, h.blobKey(at), true, func(k []byte) (bool, error) {
		key = bytes.Clone(k)
		return false, nil
	})
	if err != nil {
		return err
	}
	if key == nil {
		return &DamageError{Where: "history", Index: at.Seq, Reason: "no blob holds it"}
	}
	r.blob, err = h.readBlob(key)
	return err
}

func (h *History) readBlob(key []byte) (blob, error) {
	b, err := h.db.get(key)
	if err != nil {
		return blob{}, err
	}
	out, err := decodeBlob(b)
	first := keyNumbers(key, h.cfg.Group)
	if err == nil && (out.first.Seq != first[0] || uint64(out.first.N) != first[1]) {
		err = errBlob
	}
	if err != nil {
		return blob{}, &DamageError{Where: "history blob", Index: first[0], Reason: "unreadable", Cause: err}
	}
	return out, nil
}

// All calls fn with every durable record, in the order of the log. The entry's data are valid only
// during the call.
func (h *History) All(ctx context.Context, fn func(disk.Entry) error) error {
	synced := h.Synced()
	return h.db.keys(keyOf(kindBlob, h.cfg.Group), nil, false, func(key []byte) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if keyNumbers(key, h.cfg.Group)[0] > synced {
			return false, nil
		}
		b, err := h.readBlob(key)
		if err != nil {
			return false, err
		}
		var failed error
		if err := b.each(func(e disk.Entry) bool { failed = fn(e); return failed == nil }); err != nil {
			return false, &DamageError{Where: "history blob", Index: b.first.Seq, Reason: err.Error()}
		}
		return failed == nil, failed
	})
}
