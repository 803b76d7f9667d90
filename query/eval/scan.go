package eval

import (
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// step is a compiled event with its `where (…)` and its window [from, to), which ends at now at the
// latest.
type step struct {
	event    uint32
	known    bool
	where    plan // on rows; nil if there is none
	from, to int64
}

// scan reads the rows of a step, block by block.
type scan struct {
	step
	run   *run
	where runner
	at    scope          // of the block that where is evaluated on
	near  []*query.Block // blocks that may have rows in the window
	rows  []uint64
	kept  []uint64
}

func (st step) bind(r *run) *scan {
	r.charge(runnerBytes)
	s := &scan{step: st, run: r}
	if st.where != nil {
		s.where = st.where.bind(r)
	}
	return s
}

// series returns the rows of the chunk; a zero Series if all are outside the window.
func (s *scan) series(chunk int) query.Series {
	if !s.known || s.from >= s.to {
		return query.Series{}
	}
	series := s.run.src.Series(s.event, chunk)
	if series.Rows == 0 || series.Max < s.from || series.Min >= s.to {
		return query.Series{}
	}
	return series
}

// cost estimates a scan by the number of rows in the window.
func (s *scan) cost(chunk int) float64 {
	series := s.series(chunk)
	if series.Rows == 0 {
		return 0
	}
	share := 1.0
	if span := float64(series.Max) - float64(series.Min); span > 0 {
		lo, hi := max(float64(s.from), float64(series.Min)), min(float64(s.to), float64(series.Max)+1)
		share = (hi - lo) / (span + 1)
	}
	each := 1.0
	if s.where != nil {
		each = 4
	}
	return 500 + each*share*float64(series.Rows)
}

// covers reports whether the window includes every row of the series.
func (s *scan) covers(series *query.Series) bool {
	return series.Min >= s.from && series.Max < s.to
}

// totalled reports whether the totals of the series are those of the step.
func (s *scan) totalled(series *query.Series) bool {
	return series.Totals != nil && s.where == nil && s.covers(series)
}

// totalsCost is the approximate time of testing the totals of all profiles, in nanoseconds.
const totalsCost = 10_000

// each calls fn with every block that has rows of the step, and with the set of those rows; nil means
// all of them. The set may include rows of profiles outside cand. A nil cand means all profiles. The
// set is valid until fn returns.
func (s *scan) each(chunk int, cand []uint64, fn func(b *query.Block, rows []uint64)) {
	series := s.series(chunk)
	near := s.nearby(&series)
	wanted := -1
	for k, b := range near {
		if next := k + blocksAhead; next < len(near) {
			lanes.Prefetch(near[next])
			lanes.PrefetchValues(near[k+1].Pos)
		}
		if b.Rows == 0 {
			continue
		}
		if !s.run.scratch.Spend(blockWork + b.Rows) {
			return
		}
		if cand != nil && wanted < 0 {
			wanted = countBits(cand)
		}
		few := cand != nil && wanted*16 < b.Rows
		inside := b.Min >= s.from && b.Max < s.to
		if inside && s.where == nil && !few {
			s.run.scan(b.Rows)
			fn(b, nil)
			continue
		}
		s.rows = s.run.scratch.words.sized(s.rows, wordsFor(b.Rows))
		s.run.scan(s.pick(b, cand, few, inside))
		rows := s.rows
		n := countBits(rows)
		if s.where != nil && n > 0 {
			s.kept = s.run.scratch.words.sized(s.kept, len(rows))
			s.at.chunk, s.at.block = chunk, b
			n = s.where.eval(&s.at, rows, n, s.kept)
			rows = s.kept
		}
		if n > 0 {
			fn(b, rows)
		}
	}
}

// blockWork is the approximate time of a block in addition to its rows, in nanoseconds.
const blockWork = 100

// blocksAhead is how many blocks ahead of the current one memory is prefetched. Its positions are
// prefetched one block ahead.
const blocksAhead = 2

// nearby returns the blocks that may have rows in the window.
func (s *scan) nearby(series *query.Series) []*query.Block {
	if series.Spans == nil {
		s.near = slices.DeleteFunc(append(s.near[:0], series.Blocks...), func(b *query.Block) bool {
			return b.Max < s.from || b.Min >= s.to
		})
		return s.near
	}
	s.near = s.near[:0]
	for i, span := range series.Spans {
		if span.Max >= s.from && span.Min < s.to {
			s.near = append(s.near, series.Blocks[i])
		}
	}
	return s.near
}

// pick sets s.rows to the rows of b in the window. If there are few candidates, it includes only their
// rows. It returns the number of rows it read.
func (s *scan) pick(b *query.Block, cand []uint64, few, inside bool) int {
	if few && b.Sorted {
		return s.pickSorted(b, cand, inside)
	}
	if inside && !few {
		fillOnes(s.rows, b.Rows)
		return b.Rows
	}
	if !few && b.Off != nil {
		s.pickOffsets(b)
		return b.Rows
	}
	for w := range s.rows {
		var m uint64
		for i, end := w*64, min(w*64+64, b.Rows); i < end; i++ {
			var hit uint64
			if t := b.Time(i); inside || t >= s.from && t < s.to {
				hit = 1
			}
			if few {
				pos := b.Pos[i]
				hit &= cand[pos>>6] >> (pos & 63)
			}
			m |= hit << (i & 63)
		}
		s.rows[w] = m
	}
	return b.Rows
}

// pickOffsets sets s.rows to the rows of b in the window.
//
// REQUIRES: b overlaps the window, and its times are offsets.
func (s *scan) pickOffsets(b *query.Block) {
	lanes.Within(b.Off[:b.Rows], uint32(max(s.from, b.Min)-b.Base), uint32(min(s.to-1, b.Max)-b.Base), s.rows)
}

// pickSorted looks up the candidates in a block sorted by position.
func (s *scan) pickSorted(b *query.Block, cand []uint64, inside bool) int {
	clear(s.rows)
	looked, at := 0, 0
	pos := b.Pos[:b.Rows]
	eachBit(cand, func(p int) {
		if at >= len(pos) {
			return
		}
		i, _ := slices.BinarySearch(pos[at:], uint16(p))
		for at += i; at < len(pos) && int(pos[at]) == p; at++ {
			looked++
			if t := b.Time(at); inside || t >= s.from && t < s.to {
				set(s.rows, at)
			}
		}
	})
	return looked
}

// eachSelected calls fn with the rows of the set; nil means all rows.
func eachSelected(b *query.Block, rows []uint64, fn func(i int)) {
	if rows == nil {
		for i := range b.Rows {
			fn(i)
		}
		return
	}
	eachBit(rows, fn)
}

// argument is the compiled argument of a measure over rows. Most arguments are plain properties and are
// read from the column.
type argument struct {
	column *column
	x      operand
}

func newArgument(x operand) argument {
	if c, ok := x.(column); ok {
		return argument{column: &c, x: x}
	}
	return argument{x: x}
}

func (a argument) bind(r *run) *argLoader {
	l := &argLoader{argument: a, scratch: r.scratch}
	l.values.scratch = r.scratch
	if a.column == nil {
		l.loader = a.x.bind(r)
	}
	return l
}

// argLoader has the argument's values for the rows of one block.
type argLoader struct {
	argument
	loader  loader
	scratch *Scratch
	vec     *query.Vec // the property; nil if no row has it
	values  Vector
	ones    []uint64
}

// load prepares the rows of a block. It returns false if none has a value.
func (a *argLoader) load(chunk int, b *query.Block, rows []uint64) bool {
	if a.column != nil {
		a.vec = b.Col(a.column.id)
		return a.vec != nil && a.vec.Type == a.column.t
	}
	if rows == nil {
		a.ones = a.scratch.words.sized(a.ones, wordsFor(b.Rows))
		fillOnes(a.ones, b.Rows)
		rows = a.ones
	}
	a.loader.load(&scope{chunk: chunk, block: b}, rows, &a.values)
	return a.values.Type != tree.NoType
}

// number returns the number in row i; ok is false if it is missing.
func (a *argLoader) number(i int) (n tree.Number, ok bool) {
	if a.vec == nil {
		if !a.values.Present(i) {
			return n, false
		}
		return a.values.Nums[i], true
	}
	if _, ok := a.vec.Raw(i); !ok {
		return n, false
	}
	return a.vec.Value(i).Number(), true
}

// value returns the value in row i, the missing value if there is none.
func (a *argLoader) value(i int) tree.Value {
	if a.vec == nil {
		return a.values.Value(i)
	}
	return a.vec.Value(i)
}
