package engine

import (
	"math"
	"sync/atomic"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// The bounds of a tail. Maintain makes leaves of a tail that has more rows than a sixteenth of its
// series, at the least tailLeast rows, and at the latest at tailMost rows.
const (
	tailLeast = 1024
	tailMost  = 65_536
	leafRows  = 16_384
	// totalsRows is the number of rows in leaves from which on a series keeps their totals. With
	// fewer rows they would take more than a byte per row for counts, or four for a property.
	totalsRows = query.ChunkSize
)

// series is the events of one name in one chunk: leaves, which do not overlap in time, a tail, and a
// tail for rows that arrived late (their times are before the end of the leaves).
type series struct {
	epoch      uint64
	leaves     []*leaf // each immutable, ascending by least time
	main, late *tail
	ever       *set
	totals     *query.Totals // of the leaves, made by Maintain; nil while they have few rows
	min, max   int64
	leafMax    int64 // latest time in a leaf that is not future
	rows       int
	due        bool // queued for Maintain
	// made caches what readers get. The first reader makes it; a write clears it.
	made atomic.Pointer[query.Series]
}

func newSeries(epoch uint64) *series {
	return &series{epoch: epoch, min: math.MaxInt64, max: math.MinInt64, leafMax: math.MinInt64}
}

// own returns s, or a copy that may be written.
func (s *series) own(e *epochs) *series {
	if !e.isFrozen(s.epoch) {
		if s.made.Load() != nil {
			s.made.Store(nil)
		}
		return s
	}
	return &series{
		epoch: e.current, leaves: s.leaves, main: s.main.header(), late: s.late.header(), ever: s.ever, totals: s.totals,
		min: s.min, max: s.max, leafMax: s.leafMax, rows: s.rows, due: s.due,
	}
}

// append adds a row and returns the tail it is in. REQUIRES: s is owned.
func (s *series) append(e *epochs, pos uint16, time int64) (t *tail, row int) {
	place := &s.main
	if time < s.leafMax {
		place = &s.late
	}
	if *place == nil {
		*place = newTail(time)
	}
	row = (*place).append(pos, time)
	s.min, s.max = min(s.min, time), max(s.max, time)
	s.rows++
	s.ever, _ = s.ever.add(e, pos)
	return *place, row
}

// tailBound returns the number of rows at which a tail is made into leaves.
func (s *series) tailBound(least int) int { return min(max(least, s.rows/16), tailMost) }

// wantsMaintenance reports whether a tail has outgrown its bound.
func (s *series) wantsMaintenance(least int) bool {
	bound := s.tailBound(least)
	return s.main != nil && s.main.n >= bound || s.late != nil && s.late.n >= bound
}

// read returns the series in the form that the query language reads.
func (s *series) read() query.Series {
	made := s.made.Load()
	if made == nil {
		made = &query.Series{Min: s.min, Max: s.max, Rows: s.rows}
		for _, l := range s.leaves {
			made.Blocks = append(made.Blocks, &l.block)
		}
		if s.late != nil {
			made.Blocks = append(made.Blocks, s.late.block())
		}
		if s.main != nil {
			made.Blocks = append(made.Blocks, s.main.block())
		}
		made.Spans = make([]query.Span, len(made.Blocks))
		for i, b := range made.Blocks {
			made.Spans[i] = query.Span{Min: b.Min, Max: b.Max}
		}
		made.Ever = s.ever.holders()
		made.Totals, made.Settled = s.totals, len(s.leaves)
		s.made.Store(made)
	}
	return *made
}

// blocks returns the blocks of all rows.
func (s *series) blocks() []*query.Block {
	if s == nil {
		return nil
	}
	return s.read().Blocks
}

// eventTable is everything of one event name: its series by chunk, and the dictionaries of its
// properties, which all chunks share.
type eventTable struct {
	epoch uint64
	// chunks has the series by chunk; nil if the chunk has no event of the name.
	chunks []*series
	props  []propertyState
	rows   int64
}

// propertyState is what all series of an event share about one property.
type propertyState struct {
	dict       *dictionary // for strings and lists
	codes      int         // of dict, as of this version
	overflowed bool        // not all values are held in memory
}

func (t *eventTable) own(e *epochs) *eventTable {
	if !e.isFrozen(t.epoch) {
		return t
	}
	return &eventTable{
		epoch: e.current, chunks: append([]*series(nil), t.chunks...),
		props: append([]propertyState(nil), t.props...), rows: t.rows,
	}
}

// series returns the series of a chunk for writing. REQUIRES: t is owned.
func (t *eventTable) series(e *epochs, chunk int) *series {
	for len(t.chunks) <= chunk {
		t.chunks = append(t.chunks, nil)
	}
	s := t.chunks[chunk]
	if s == nil {
		s = newSeries(e.current)
	} else {
		s = s.own(e)
	}
	t.chunks[chunk] = s
	return s
}

// property returns the state of a property for writing. REQUIRES: t is owned.
func (t *eventTable) property(id uint32, typ tree.Type) *propertyState {
	for len(t.props) <= int(id) {
		t.props = append(t.props, propertyState{})
	}
	p := &t.props[id]
	if p.dict == nil && (typ == tree.StringType || typ == tree.ListType) {
		p.dict = newDictionary(typ)
	}
	return p
}
