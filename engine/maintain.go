package engine

import (
	"cmp"
	"slices"

	"github.com/musterdb/muster/query"
)

// seriesKey names a series.
type seriesKey struct {
	event uint32
	chunk int
}

// Maintain makes leaves of tails that have outgrown their bound, until it has handled about budget
// rows. It reports whether there is more to do. It changes no answer, code or hash, and neither does
// how often it is called. It builds leaves outside the lock, while Apply runs.
func (s *Shard) Maintain(budget int) (more bool) {
	s.maintaining.Lock()
	defer s.maintaining.Unlock()
	for budget > 0 {
		work, ok := s.nextMaintenance()
		if !ok {
			return false
		}
		work.build()
		s.finishMaintenance(work)
		budget -= max(work.handled, 1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.due) > 0
}

// maintenance is the work on one series: what it had at the start, and the leaves to replace it.
type maintenance struct {
	key      seriesKey
	removals uint64 // the shard's removals at the start
	now      int64
	least    int // least rows of a leaf
	settled  int // rows in leaves from which on the series has totals
	totals   *query.Totals
	leaves   []*leaf
	main     *tail // nil if not due
	late     *tail
	replaced []*leaf
	handled  int // rows
}

func (s *Shard) nextMaintenance() (*maintenance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return nil, false
	}
	key := s.due[0]
	s.due = s.due[1:]
	current := s.root.events[key.event].chunks[key.chunk]
	work := &maintenance{key: key, removals: s.removals, now: s.root.time, least: s.config.TailRows, settled: s.config.TotalsRows, totals: current.totals, leaves: current.leaves}
	bound := current.tailBound(s.config.TailRows)
	if current.main != nil && current.main.n >= bound {
		work.main = current.main.header()
	}
	if current.late != nil && current.late.n >= bound {
		work.late = current.late.header()
	}
	return work, true
}

// build makes the leaves: first it merges the late rows into the leaves of their time, then it
// appends the main tail.
func (w *maintenance) build() {
	w.replaced = w.leaves
	if w.late != nil {
		w.mergeLate(w.late.block())
	}
	if w.main != nil {
		w.appendMain(w.main.block())
	}
	w.addUp()
}

// addUp updates the totals. The rows that were added to the leaves are exactly those of the tails.
func (w *maintenance) addUp() {
	if w.totals == nil {
		w.totals = totalsOf(w.replaced, w.settled)
		return
	}
	w.totals = w.totals.Copy()
	for _, t := range []*tail{w.late, w.main} {
		if t != nil {
			w.totals.Add(t.block())
		}
	}
}

// totalsOf adds up leaves. It returns nil if they have fewer than least rows.
func totalsOf(leaves []*leaf, least int) *query.Totals {
	rows := 0
	for _, l := range leaves {
		rows += l.block.Rows
	}
	if rows < least {
		return nil
	}
	totals := new(query.Totals)
	for _, l := range leaves {
		totals.Add(&l.block)
	}
	return totals
}

func (w *maintenance) mergeLate(late *query.Block) {
	settled := len(w.replaced)
	for settled > 0 && w.replaced[settled-1].future {
		settled--
	}
	leaves := w.replaced[:settled]
	rows := make([][]uint32, max(settled, 1)) // late rows by the leaf they belong to
	for row := range late.Rows {
		i, _ := slices.BinarySearchFunc(leaves, late.Time(row), func(l *leaf, t int64) int {
			return cmp.Compare(l.block.Min, t+1) // the last leaf whose least time is at most t
		})
		rows[max(i-1, 0)] = append(rows[max(i-1, 0)], uint32(row))
	}
	var out []*leaf
	for i := range rows {
		if len(rows[i]) == 0 {
			out = append(out, leaves[i])
			continue
		}
		parts := []*query.Block{w.late.pick(late, rows[i]).block()}
		if i < settled {
			parts = append(parts, &leaves[i].block)
		}
		b := newLeafBuilder(parts)
		order := b.byTime(nil)
		out = append(out, b.build(order, w.least, false)...)
		w.handled += len(order)
	}
	w.replaced = append(out, w.replaced[settled:]...)
}

// takesMore reports whether the last leaf is to be rebuilt with the rows that follow it.
func (w *maintenance) takesMore(last *query.Block, next int64) bool {
	return last.Rows < w.least || last.Rows < leafRows/2 && dayOf(last.Max) == dayOf(next)
}

// appendMain makes leaves of the main tail. It rebuilds the last leaf with it while that leaf is
// small or of the same day. Rows in the future get their own leaves at the end.
func (w *maintenance) appendMain(tail *query.Block) {
	settled := len(w.replaced)
	for settled > 0 && w.replaced[settled-1].future {
		settled--
	}
	parts := []*query.Block{tail}
	for _, l := range w.replaced[settled:] {
		parts = append(parts, &l.block)
	}
	kept := settled
	if kept > 0 && w.takesMore(&w.replaced[kept-1].block, tail.Min) {
		kept--
		parts = append(parts, &w.replaced[kept].block)
	}
	b := newLeafBuilder(parts)
	order := b.byTime(nil)
	past, _ := slices.BinarySearchFunc(order, w.now, func(row uint32, now int64) int {
		return cmp.Compare(b.times[row], now+1)
	})
	out := append([]*leaf(nil), w.replaced[:kept]...)
	out = append(out, b.build(order[:past], w.least, false)...)
	w.replaced = append(out, b.build(order[past:], w.least, true)...)
	w.handled += len(order)
}

// finishMaintenance installs the new leaves, unless rows were removed from the shard in the meantime.
func (s *Shard) finishMaintenance(w *maintenance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own()
	table := s.root.events[w.key.event].own(&s.epochs)
	s.root.events[w.key.event] = table
	current := table.series(&s.epochs, w.key.chunk)
	current.due = false
	if w.removals == s.removals {
		current.leaves, current.totals = w.replaced, w.totals
		current.setLeafMax()
		current.main, current.late = current.main.after(w.main), current.late.after(w.late)
		current.sortOutLate()
	}
	s.markDue(w.key, current)
}

// sortOutLate moves rows of the main tail that arrived while leaves were made, and are now late.
func (s *series) sortOutLate() {
	if s.main == nil || s.main.min >= s.leafMax {
		return
	}
	all, b := s.main, s.main.block()
	s.main = nil
	for row := range all.n {
		place := &s.main
		if b.Time(row) < s.leafMax {
			place = &s.late
		}
		if *place == nil {
			*place = newTail(b.Time(row))
		}
		(*place).copyRow(all, b, row)
	}
}

// after returns the rows of t that are not in old, an older state of t; t itself if old is nil.
func (t *tail) after(old *tail) *tail {
	if old == nil {
		return t
	}
	if t.n == old.n {
		return nil
	}
	b := t.block()
	rest := newTail(b.Time(old.n))
	for row := old.n; row < t.n; row++ {
		rest.copyRow(t, b, row)
	}
	return rest
}

// pick returns a tail of some rows of t, whose block is b.
func (t *tail) pick(b *query.Block, rows []uint32) *tail {
	picked := newTail(b.Time(int(rows[0])))
	for _, row := range rows {
		picked.copyRow(t, b, int(row))
	}
	return picked
}

// copyRow appends a row of another tail.
func (t *tail) copyRow(from *tail, b *query.Block, row int) {
	at := t.append(b.Pos[row], b.Time(row))
	for i := range from.cols {
		c := &from.cols[i]
		t.column(c.property, c.t, c.dict).copyCell(&c.cells, row, at, t.capacity)
	}
}

// copyCell sets a row to the value of a row of other cells, if that has one.
func (c *tailColumn) copyCell(from *cells, row, at, capacity int) {
	if from.scales != nil || c.scales != nil || from.scale != c.scale && c.width > 0 {
		if n, ok := from.number(row); ok {
			c.setNumber(at, n, capacity)
		}
		return
	}
	if raw, ok := from.raw(row); ok {
		c.scale = from.scale
		c.set(at, raw, capacity)
	}
}

// markDue queues a series that has outgrown a bound, once.
func (s *Shard) markDue(key seriesKey, x *series) {
	if !x.due && x.wantsMaintenance(s.config.TailRows) {
		x.due = true
		s.due = append(s.due, key)
	}
}
