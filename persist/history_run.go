package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sort"

	"github.com/musterdb/muster/internal/node/disk"
)

// locator is the position of one record of key.
type locator struct {
	key uint64
	at  disk.Position
}

func compareLocators(a, b locator) int {
	switch {
	case a.key < b.key || a.key == b.key && less(a.at, b.at):
		return -1
	case a == b:
		return 0
	default:
		return 1
	}
}

// run is a sorted list of locators, stored in parts. Its head is written after the parts.
type run struct {
	id             uint64
	minSeq, maxSeq uint64
	count          uint64
	parts          []runPart
	replaces       []uint64 // ids of the runs it was merged from
}

type runPart struct {
	first uint64 // key of its first locator
	count uint32
}

const (
	partLocators = 8192 // about 90 KB; a look-up decodes one part
	mergeWidth   = 4
	baseRun      = 4096
)

// level grows with the logarithm of a run's length. mergeWidth runs of one level are merged, so there
// are at most three of each level, and a look-up reads a logarithmic number of runs.
func (r run) level() int {
	level := 0
	for n := r.count; n > baseRun; n = (n + mergeWidth - 1) / mergeWidth {
		level++
	}
	return level
}

func encodeRunPart(locators []locator) []byte {
	base := locators[0].at.Seq
	for _, l := range locators {
		base = min(base, l.at.Seq)
	}
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, 12+12*len(locators)), uint32(len(locators)))
	b = le.AppendUint64(b, base)
	var key uint64
	for _, l := range locators {
		b = binary.AppendUvarint(b, l.key-key)
		b = binary.AppendUvarint(b, l.at.Seq-base)
		b = binary.AppendUvarint(b, uint64(l.at.N))
		key = l.key
	}
	return b
}

var errRun = errors.New("locator run is malformed")

func decodeRunPart(b []byte) ([]locator, error) {
	if len(b) < 12 {
		return nil, errRun
	}
	count, base := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[4:])
	b = b[12:]
	if uint64(count)*3 > uint64(len(b)) {
		return nil, errRun
	}
	locators := make([]locator, 0, count)
	var key uint64
	for range count {
		var fields [3]uint64
		for i := range fields {
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return nil, errRun
			}
			fields[i], b = v, b[n:]
		}
		key += fields[0]
		l := locator{key: key, at: disk.Position{Seq: base + fields[1], N: uint32(fields[2])}}
		if n := len(locators); n > 0 && compareLocators(locators[n-1], l) >= 0 || fields[2] > 1<<32-1 {
			return nil, errRun
		}
		locators = append(locators, l)
	}
	if len(b) != 0 {
		return nil, errRun
	}
	return locators, nil
}

func (r run) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(nil, r.minSeq)
	b = le.AppendUint64(b, r.maxSeq)
	b = le.AppendUint64(b, r.count)
	b = le.AppendUint32(b, uint32(len(r.parts)))
	b = le.AppendUint32(b, uint32(len(r.replaces)))
	for _, p := range r.parts {
		b = le.AppendUint64(b, p.first)
		b = le.AppendUint32(b, p.count)
	}
	for _, id := range r.replaces {
		b = le.AppendUint64(b, id)
	}
	return b
}

func decodeRun(id uint64, b []byte) (run, error) {
	le := binary.LittleEndian
	if len(b) < 32 {
		return run{}, errRun
	}
	r := run{id: id, minSeq: le.Uint64(b), maxSeq: le.Uint64(b[8:]), count: le.Uint64(b[16:])}
	parts, replaces := uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[28:]))
	b = b[32:]
	if uint64(len(b)) != 12*parts+8*replaces {
		return run{}, errRun
	}
	var count uint64
	for range parts {
		p := runPart{first: le.Uint64(b), count: le.Uint32(b[8:])}
		count += uint64(p.count)
		r.parts, b = append(r.parts, p), b[12:]
	}
	for range replaces {
		r.replaces, b = append(r.replaces, le.Uint64(b)), b[8:]
	}
	if count != r.count {
		return run{}, errRun
	}
	return r, nil
}

// runWriter writes a run's parts from locators that are added in sorted order.
type runWriter struct {
	h       *History
	r       run
	w       *writer
	pending []locator
}

func (h *History) newRunWriter(id uint64) *runWriter {
	return &runWriter{h: h, r: run{id: id, minSeq: ^uint64(0)}, w: h.db.newWriter()}
}

func (w *runWriter) add(l locator) error {
	w.pending = append(w.pending, l)
	w.r.minSeq, w.r.maxSeq = min(w.r.minSeq, l.at.Seq), max(w.r.maxSeq, l.at.Seq)
	w.r.count++
	if len(w.pending) < partLocators {
		return nil
	}
	return w.flushPart()
}

func (w *runWriter) flushPart() error {
	if len(w.pending) == 0 {
		return nil
	}
	key := keyOf(kindRunPart, w.h.cfg.Group, w.r.id, uint64(len(w.r.parts)))
	if err := w.w.put(key, encodeRunPart(w.pending)); err != nil {
		return err
	}
	w.r.parts = append(w.r.parts, runPart{first: w.pending[0].key, count: uint32(len(w.pending))})
	w.pending = w.pending[:0]
	return nil
}

// finish writes the remaining locators and then the head. If durable, the parts are on disk before the
// head is written, and the head before finish returns.
func (w *runWriter) finish(durable bool) (run, error) {
	defer w.w.cancel()
	if err := w.flushPart(); err != nil {
		return run{}, err
	}
	if err := w.w.flush(); err != nil {
		return run{}, err
	}
	if durable {
		if err := w.h.db.Sync(); err != nil {
			return run{}, err
		}
	}
	if err := w.h.db.write(keyOf(kindRun, w.h.cfg.Group, w.r.id), w.r.encode()); err != nil {
		return run{}, err
	}
	if durable {
		if err := w.h.db.Sync(); err != nil {
			return run{}, err
		}
	}
	return w.r, nil
}

// flushRunLocked writes the locators collected so far as a run.
func (h *History) flushRunLocked() error {
	if len(h.mu.locators) == 0 {
		return nil
	}
	// The blobs come first, or a crash could leave a locator without its record.
	if err := h.flushBlobLocked(); err != nil {
		return err
	}
	sorted := sortLocators(h.mu.locators)
	w := h.newRunWriter(h.mu.nextRun)
	for _, l := range sorted {
		if err := w.add(l); err != nil {
			w.w.cancel()
			return err
		}
	}
	r, err := w.finish(false)
	if err != nil {
		return err
	}
	h.mu.nextRun++
	h.mu.runs = append(h.mu.runs, r)
	h.mu.locators = h.mu.locators[:0]
	return nil
}

// sortLocators takes locators sorted by position and returns them sorted by key, then position. Keys are
// hashes: with about as many buckets as locators, chosen by the first bits of the key, almost nothing is
// left to sort.
func sortLocators(locators []locator) []locator {
	width := max(bits.Len(uint(len(locators)))-2, 1)
	ends := make([]uint32, 1<<width+1)
	for i := range locators {
		ends[locators[i].key>>(64-width)+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	sorted := make([]locator, len(locators))
	for i := range locators { // in order, so that the positions of one key stay sorted
		at := &ends[locators[i].key>>(64-width)]
		sorted[*at] = locators[i]
		*at++
	}
	from := uint32(0)
	for _, to := range ends[:1<<width] { // each bucket's start has become its end
		if to-from > 1 {
			slices.SortFunc(sorted[from:to], compareLocators)
		}
		from = to
	}
	return sorted
}

// recoverRuns reads the heads and removes runs beyond Synced, runs that have been replaced, and
// parts without a head.
func (h *History) recoverRuns() error {
	group := h.cfg.Group
	var ids []uint64
	err := h.db.keys(keyOf(kindRun, group), nil, false, func(key []byte) (bool, error) {
		ids = append(ids, keyNumbers(key, group)[0])
		return true, nil
	})
	if err != nil {
		return err
	}
	replaced := map[uint64]bool{}
	for _, id := range ids {
		r, err := h.readRun(id)
		if err != nil {
			return err
		}
		h.mu.nextRun = max(h.mu.nextRun, id+1)
		if r.maxSeq > h.mu.synced {
			continue
		}
		h.mu.runs = append(h.mu.runs, r)
		for _, old := range r.replaces {
			replaced[old] = true
		}
	}
	h.mu.runs = slices.DeleteFunc(h.mu.runs, func(r run) bool { return replaced[r.id] })
	live := map[uint64]bool{}
	for _, r := range h.mu.runs {
		live[r.id] = true
	}
	for _, kind := range []byte{kindRun, kindRunPart} {
		_, err := h.db.deletePrefix(keyOf(kind, group), func(key []byte) bool {
			id := keyNumbers(key, group)[0]
			h.mu.nextRun = max(h.mu.nextRun, id+1)
			return live[id]
		}, never)
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *History) readRun(id uint64) (run, error) {
	b, err := h.db.get(keyOf(kindRun, h.cfg.Group, id))
	if err != nil {
		return run{}, err
	}
	r, err := decodeRun(id, b)
	if err != nil {
		return run{}, &DamageError{Where: fmt.Sprintf("locator run %d", id), Reason: err.Error()}
	}
	return r, nil
}

// readPart returns part n of r, or errNoValue if the run has been merged away meanwhile.
func (h *History) readPart(r run, n int) ([]locator, error) {
	b, err := h.db.get(keyOf(kindRunPart, h.cfg.Group, r.id, uint64(n)))
	if err != nil {
		return nil, err
	}
	locators, err := decodeRunPart(b)
	if err == nil && (len(locators) != int(r.parts[n].count) || locators[0].key != r.parts[n].first) {
		err = errRun
	}
	if err != nil {
		return nil, &DamageError{Where: fmt.Sprintf("locator run %d", r.id), Reason: fmt.Sprintf("part %d", n), Cause: err}
	}
	return locators, nil
}

// find returns up to limit positions of key before a position, newest first.
func (h *History) find(r run, key uint64, before disk.Position, limit int) ([]disk.Position, error) {
	var found []disk.Position
	// Begin at the last part that can hold key and go backwards.
	n := sort.Search(len(r.parts), func(i int) bool { return r.parts[i].first > key }) - 1
	for ; n >= 0 && len(found) < limit; n-- {
		locators, err := h.readPart(r, n)
		if err != nil {
			return nil, err
		}
		i := sort.Search(len(locators), func(i int) bool {
			return compareLocators(locators[i], locator{key: key, at: before}) >= 0
		})
		for i--; i >= 0 && locators[i].key == key && len(found) < limit; i-- {
			found = append(found, locators[i].at)
		}
		if r.parts[n].first < key {
			break
		}
	}
	return found, nil
}
