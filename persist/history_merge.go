package persist

import (
	"container/heap"
	"errors"
	"slices"
)

// startMergeLocked starts merging in the background if there is something to merge.
func (h *History) startMergeLocked() {
	if h.mu.merging || h.mu.closed || pickMerge(h.mu.runs, h.mu.synced) == nil {
		return
	}
	h.mu.merging = true
	h.working.Go(h.mergeRuns)
}

// pickMerge returns mergeWidth runs of the lowest level that has that many. Runs beyond synced are left
// out, so that a merged run never has to be split after a crash.
func pickMerge(runs []run, synced uint64) []run {
	levels := map[int][]run{}
	lowest := -1
	for _, r := range runs {
		if r.maxSeq > synced {
			continue
		}
		level := r.level()
		levels[level] = append(levels[level], r)
		if len(levels[level]) >= mergeWidth && (lowest < 0 || level < lowest) {
			lowest = level
		}
	}
	if lowest < 0 {
		return nil
	}
	return levels[lowest][:mergeWidth]
}

// mergeRuns merges until there is nothing left to merge.
func (h *History) mergeRuns() {
	for {
		h.mu.Lock()
		sources := pickMerge(h.mu.runs, h.mu.synced)
		if sources == nil || h.mu.closed {
			h.mu.merging = false
			h.mu.Unlock()
			return
		}
		id := h.mu.nextRun
		h.mu.nextRun++
		h.mu.Unlock()
		if err := h.mergeInto(id, sources); err != nil {
			// The sources are unchanged; the next Sync tries again, under another id.
			if !errors.Is(err, ErrClosed) {
				h.db.cfg.Logger.Warn("locator runs not merged", "group", h.cfg.Group, "err", err)
			}
			h.mu.Lock()
			h.mu.merging = false
			h.mu.Unlock()
			return
		}
	}
}

// mergeInto merges sources into run id. Its durable head names the runs it replaces, so that a crash
// before they are deleted does not duplicate locators.
func (h *History) mergeInto(id uint64, sources []run) error {
	w := h.newRunWriter(id)
	var cursors runHeap
	for _, r := range sources {
		w.r.replaces = append(w.r.replaces, r.id)
		c := &runCursor{h: h, r: r}
		if more, err := c.next(); err != nil {
			w.w.cancel()
			return err
		} else if more {
			cursors = append(cursors, c)
		}
	}
	heap.Init(&cursors)
	for len(cursors) > 0 {
		if err := w.add(cursors[0].head); err != nil {
			w.w.cancel()
			return err
		}
		more, err := cursors[0].next()
		if err != nil {
			w.w.cancel()
			return err
		}
		if more {
			heap.Fix(&cursors, 0)
		} else {
			heap.Pop(&cursors)
		}
	}
	merged, err := w.finish(true)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.mu.runs = slices.DeleteFunc(h.mu.runs, func(r run) bool { return slices.Contains(merged.replaces, r.id) })
	h.mu.runs = append(h.mu.runs, merged)
	h.mu.Unlock()
	return h.deleteRuns(sources)
}

// deleteRuns deletes heads before parts: a head without parts would be damage.
func (h *History) deleteRuns(runs []run) error {
	w := h.db.newWriter()
	defer w.cancel()
	for _, r := range runs {
		if err := w.delete(keyOf(kindRun, h.cfg.Group, r.id), len(r.encode())/partSize+1); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	parts := h.db.newWriter()
	defer parts.cancel()
	for _, r := range runs {
		for n := range r.parts {
			if err := parts.delete(keyOf(kindRunPart, h.cfg.Group, r.id, uint64(n)), 1); err != nil {
				return err
			}
			h.db.garbage.Add(12 * int64(r.parts[n].count))
		}
	}
	if err := parts.flush(); err != nil {
		return err
	}
	return h.db.collect()
}

// runCursor reads a run from its beginning, one part at a time.
type runCursor struct {
	h    *History
	r    run
	part []locator
	n    int // next part
	head locator
}

func (c *runCursor) next() (bool, error) {
	if len(c.part) == 0 {
		if c.n == len(c.r.parts) {
			return false, nil
		}
		if c.h.isClosed() {
			return false, ErrClosed
		}
		var err error
		if c.part, err = c.h.readPart(c.r, c.n); err != nil {
			return false, err
		}
		c.n++
	}
	c.head, c.part = c.part[0], c.part[1:]
	return true, nil
}

type runHeap []*runCursor

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return compareLocators(h[i].head, h[j].head) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*runCursor)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
