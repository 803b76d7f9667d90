package eval

import (
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
)

// step is a compiled event with its `where (…)` and the stretch [from, to) of its window, cut at now.
type step struct {
	event    uint32
	known    bool
	where    plan // over rows; nil without
	from, to int64
}

// scan reads the rows of a step, block by block.
type scan struct {
	step
	run   *run
	where runner
	at    scope          // of the block its where is asked about
	near  []*query.Block // those with rows in the window
	rows  []uint64
	kept  []uint64
}

func (st step) bind(r *run) *scan {
	r.bound(runnerBytes)
	s := &scan{step: st, run: r}
	if st.where != nil {
		s.where = st.where.bind(r)
	}
	return s
}

// series returns the rows of the chunk, none when they all lie outside the window.
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

// cost estimates a scan by the rows in the window.
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

// covers tells whether the window takes in every row of the series.
func (s *scan) covers(series *query.Series) bool {
	return series.Min >= s.from && series.Max < s.to
}

// totalled tells whether the totals of the series are those of the step.
func (s *scan) totalled(series *query.Series) bool {
	return series.Totals != nil && s.where == nil && s.covers(series)
}

// totalsCost is about what it takes to look at the totals of all profiles, in nanoseconds.
const totalsCost = 10_000

// each calls fn with every block that has rows of the step, and the set of those rows; nil means all
// of them. Rows of profiles outside cand may or may not be among them; cand nil wants everybody. The
// set is valid until fn returns.
func (s *scan) each(chunk int, cand []uint64, fn func(b *query.Block, rows []uint64)) {
	series := s.series(chunk)
	near := s.nearby(&series)
	wanted := -1
	for k, b := range near {
		if next := k + blocksAhead; next < len(near) {
			lanes.AheadOf(near[next])
			lanes.Ahead(near[k+1].Pos)
		}
		if b.Rows == 0 {
			continue
		}
		if !s.run.stock.Spend(blockWork + b.Rows) {
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
		s.rows = s.run.stock.words.sized(s.rows, wordsFor(b.Rows))
		s.run.scan(s.pick(b, cand, few, inside))
		rows := s.rows
		n := countBits(rows)
		if s.where != nil && n > 0 {
			s.kept = s.run.stock.words.sized(s.kept, len(rows))
			s.at.chunk, s.at.block = chunk, b
			n = s.where.eval(&s.at, rows, n, s.kept)
			rows = s.kept
		}
		if n > 0 {
			fn(b, rows)
		}
	}
}

// blockWork is about what a block takes beside its rows, in nanoseconds.
const blockWork = 100

// blocksAhead is how many blocks before it is read a block is asked of the memory; its positions follow one
// block before.
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

// pick sets s.rows to the rows of b in the window, only those of the candidates where that is cheap
// to tell, and returns how many it looked at.
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

// pickOffsets sets s.rows to the rows of b in the window. REQUIRES: some may be, and times are offsets.
func (s *scan) pickOffsets(b *query.Block) {
	lanes.Within(b.Off[:b.Rows], uint32(max(s.from, b.Min)-b.Base), uint32(min(s.to-1, b.Max)-b.Base), s.rows)
}

// pickSorted looks the candidates up in a block sorted by position.
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

// eachSelected calls fn with the rows of the set, all rows for nil.
func eachSelected(b *query.Block, rows []uint64, fn func(i int)) {
	if rows == nil {
		for i := range b.Rows {
			fn(i)
		}
		return
	}
	eachBit(rows, fn)
}

// argument is the compiled argument of a measure over rows: most are plain properties and read in
// place.
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
	l := &argLoader{argument: a, stock: r.stock}
	l.values.stock = r.stock
	if a.column == nil {
		l.loader = a.x.bind(r)
	}
	return l
}

// argLoader holds the argument's values for the rows of one block.
type argLoader struct {
	argument
	loader loader
	stock  *Stock
	vec    *query.Vec // the property, nil where no row has it
	values Vector
	ones   []uint64
}

// load prepares the rows of a block; false when none has a value.
func (a *argLoader) load(chunk int, b *query.Block, rows []uint64) bool {
	if a.column != nil {
		a.vec = b.Col(a.column.id)
		return a.vec != nil && a.vec.Type == a.column.t
	}
	if rows == nil {
		a.ones = a.stock.words.sized(a.ones, wordsFor(b.Rows))
		fillOnes(a.ones, b.Rows)
		rows = a.ones
	}
	a.loader.load(&scope{chunk: chunk, block: b}, rows, &a.values)
	return a.values.Type != tree.NoType
}

// number returns the number of row i.
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

// value returns the value of row i, the missing one where there is none.
func (a *argLoader) value(i int) tree.Value {
	if a.vec == nil {
		return a.values.Value(i)
	}
	return a.vec.Value(i)
}
