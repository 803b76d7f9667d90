package eval

import (
	"math"
	"slices"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// measure computes one value per profile from the rows of a step.
type measure struct {
	fn     tree.Fn
	step   step
	arg    argument
	t      tree.Type
	zone   *time.Location
	ranked bool // missing, not 0, if no row contributes
}

func (c *compiler) measure(m *tree.Measure) (operand, error) {
	st, err := c.step(tree.Step{Event: m.Event, Where: m.Where}, m.Window)
	if err != nil {
		return nil, err
	}
	out := measure{fn: m.Fn, step: st, zone: c.zone, ranked: c.ranked, t: tree.NumberType}
	var arg operand = missing{}
	if m.Arg != nil {
		inner := compiler{env: c.env, zone: c.zone, event: &eventScope{st.event, st.known}}
		if arg, err = inner.expr(m.Arg); err != nil {
			return nil, err
		}
	}
	switch m.Fn {
	case tree.SumFn, tree.AvgFn:
		if arg.typ() != tree.NumberType {
			arg = missing{}
		}
	case tree.MinFn, tree.MaxFn, tree.FirstFn, tree.LastFn, tree.FavoriteFn:
		out.t = arg.typ()
	}
	out.arg = newArgument(arg)
	return out, nil
}

func (m measure) typ() tree.Type { return m.t }

func (m measure) bind(r *run) loader {
	r.charge(2 * runnerBytes)
	l := &measureLoader{measure: m, scan: m.step.bind(r), arg: m.arg.bind(r), days: r.scratch.daysOf(m.zone)}
	l.marks.scratch, l.names.scratch = r.scratch, r.scratch
	return l
}

// measureLoader has one number or best row per position. For measures that compare values with each
// other it has the (position, value) pairs.
type measureLoader struct {
	measure
	scan  *scan
	arg   *argLoader
	days  *calendar.Days
	n     []uint32
	sums  []tree.Sum
	coefs *coefSums
	total *[query.ChunkSize]uint32 // totals plus the rows after them
	short shortSums
	marks marks
	seen  []seenValue
	names interner
	gathered
}

func (m *measureLoader) cost(s *scope) float64 {
	cost := 3*m.scan.cost(s.chunk) + 20_000
	if m.fn == tree.DistinctFn || m.fn == tree.FavoriteFn || m.fn == tree.DaysFn {
		cost *= 10
	}
	return cost
}

func (m *measureLoader) load(s *scope, cand []uint64, out *Vector) {
	out.reset(m.t, query.ChunkSize)
	if col := m.gather(s.chunk, cand); col != nil {
		out.fill(col, 0, cand)
		return
	}
	switch m.fn {
	case tree.CountFn, tree.DistinctFn, tree.DaysFn:
		m.computeCounts(s.chunk, cand)
		m.storeCounts(cand, out)
	case tree.SumFn, tree.AvgFn:
		m.sum(s.chunk, cand, out)
	case tree.MinFn, tree.MaxFn:
		m.extreme(s.chunk, cand, out)
	case tree.FirstFn, tree.LastFn:
		m.edge(s.chunk, cand, out)
	case tree.FavoriteFn:
		m.favorite(s.chunk, cand, out)
	}
	for w := range out.Has {
		out.Has[w] &= cand[w]
	}
}

// storeCounts stores the counts in m.n. 0 is a value, except in a rank.
func (m *measureLoader) storeCounts(cand []uint64, out *Vector) {
	eachBit(cand, func(i int) {
		if m.n[i] == 0 && m.ranked {
			return
		}
		out.Nums[i] = tree.Int(int64(m.n[i]))
		set(out.Has, i)
	})
}

func (m *measureLoader) clearCounts() {
	m.n = m.scan.run.scratch.u32.sized(m.n, query.ChunkSize)
	clear(m.n)
}

// computeCounts sets m.n to the count, distinct count or number of days of the candidates. Other
// positions may have any value.
func (m *measureLoader) computeCounts(chunk int, cand []uint64) {
	m.clearCounts()
	switch m.fn {
	case tree.CountFn:
		m.count(chunk, cand)
	case tree.DistinctFn:
		m.distinct(chunk, cand)
	case tree.DaysFn:
		m.activeDays(chunk, cand)
	}
}

// testCounts sets out to the candidates whose count, distinct count or number of days is in the set of
// a test. It returns false for other measures.
func (m *measureLoader) testCounts(s *scope, t *vecTest, cand, out []uint64) bool {
	whole := m.fn == tree.CountFn || m.fn == tree.DistinctFn || m.fn == tree.DaysFn
	if !whole || m.ranked || t.typ != tree.NumberType {
		return false
	}
	if t.present {
		copy(out, cand)
		return true
	}
	m.computeCounts(s.chunk, cand)
	clear(out)
	for _, span := range t.scaled(0) {
		if lo, hi := max(span.lo, 0), min(span.hi, math.MaxUint32); lo <= hi {
			narrowEval(m.n, uint32(lo), uint32(hi), cand, out)
		}
	}
	return true
}

func (m *measureLoader) count(chunk int, cand []uint64) {
	m.scan.each(chunk, cand, func(b *query.Block, rows []uint64) {
		eachSelected(b, rows, func(i int) { m.n[b.Pos[i]]++ })
	})
}

// rows calls fn with the rows of candidates that have a value of the argument.
func (m *measureLoader) rows(chunk int, cand []uint64, fn func(b *query.Block, i int, pos int)) {
	m.scan.each(chunk, cand, func(b *query.Block, rows []uint64) {
		if !m.arg.load(chunk, b, rows) {
			return
		}
		eachSelected(b, rows, func(i int) {
			if pos := int(b.Pos[i]); has(cand, pos) {
				fn(b, i, pos)
			}
		})
	})
}

func (m *measureLoader) sum(chunk int, cand []uint64, out *Vector) {
	if scale, ok := m.coefScale(chunk); ok {
		counted := m.ranked || m.fn == tree.AvgFn
		m.addCoefs(chunk, cand, scale, counted)
		eachBit(cand, func(i int) {
			switch {
			case counted && m.n[i] == 0:
				return
			case m.fn == tree.AvgFn:
				out.Nums[i], _ = m.coefs.sum(i).Average(int64(m.n[i]))
			default:
				out.Nums[i] = m.coefs.number(i)
			}
			set(out.Has, i)
		})
		return
	}
	m.clearCounts()
	m.sums = m.scan.run.scratch.sums.sized(m.sums, query.ChunkSize)
	clear(m.sums)
	m.scan.each(chunk, cand, func(b *query.Block, rows []uint64) {
		if m.arg.load(chunk, b, rows) {
			m.addBlock(b, rows)
		}
	})
	eachBit(cand, func(i int) {
		n := m.n[i]
		switch {
		case n == 0 && (m.ranked || m.fn == tree.AvgFn):
			return
		case m.fn == tree.AvgFn:
			out.Nums[i], _ = m.sums[i].Average(int64(n))
		case n == 0:
			out.Nums[i] = tree.Number{}
		default:
			out.Nums[i] = sumNumber(m.sums[i])
		}
		set(out.Has, i)
	})
}

// addBlock adds the argument of the rows to the sums of their profiles. If the column has one scale, it
// adds the coefficients without building numbers.
func (m *measureLoader) addBlock(b *query.Block, rows []uint64) {
	v := m.arg.vec
	if v == nil || v.Scales != nil || v.Scale > 9 {
		eachSelected(b, rows, func(i int) {
			if n, ok := m.arg.number(i); ok {
				m.add(b.Pos[i], n)
			}
		})
		return
	}
	unit := tree.Pow10(9 - v.Scale)
	most := math.MaxInt64 / unit
	eachSelected(b, rows, func(i int) {
		raw, ok := v.Raw(i)
		switch {
		case !ok:
		case -most <= raw && raw <= most:
			p := b.Pos[i]
			m.sums[p] = m.sums[p].AddInt(raw * unit)
			m.n[p]++
		default:
			m.add(b.Pos[i], tree.Decimal(raw, v.Scale))
		}
	})
}

func (m *measureLoader) add(pos uint16, n tree.Number) {
	if s, ok := tree.Billionths(n); ok {
		m.sums[pos] = m.sums[pos].Add(s)
		m.n[pos]++
	} else if b := m.scan.run.beyond; b != nil {
		b.Store(true)
	}
}

// sumNumber returns s.Number(). The nearest float64 to a decimal of up to 15 digits has that decimal as
// its shortest form, so such a sum needs no float.
func sumNumber(s tree.Sum) tree.Number {
	if i := int64(s.Lo); s.Hi == i>>63 && -exactSum < i && i < exactSum {
		return tree.Decimal(i, 9)
	}
	return s.Number()
}

func (m *measureLoader) extreme(chunk int, cand []uint64, out *Vector) {
	m.rows(chunk, cand, func(_ *query.Block, i, pos int) {
		v := m.arg.value(i)
		if v.Missing() {
			return
		}
		if !has(out.Has, pos) || (v.Compare(out.Value(pos)) < 0) == (m.fn == tree.MinFn) {
			out.put(pos, v)
		}
	})
}

// edge stores the value of the earliest or latest row that has one. Of two rows in one millisecond, the
// one with the smaller value counts as earlier.
func (m *measureLoader) edge(chunk int, cand []uint64, out *Vector) {
	m.times = m.scan.run.scratch.i64.sized(m.times, query.ChunkSize)
	m.rows(chunk, cand, func(b *query.Block, i, pos int) {
		t := b.Time(i)
		if m.fn == tree.LastFn {
			t = -t
		}
		if has(out.Has, pos) && t > m.times[pos] {
			return
		}
		v := m.arg.value(i)
		if v.Missing() {
			return
		}
		if has(out.Has, pos) && t == m.times[pos] && (v.Compare(out.Value(pos)) < 0) == (m.fn == tree.LastFn) {
			return
		}
		m.times[pos] = t
		out.put(pos, v)
	})
}

func (m *measureLoader) distinct(chunk int, cand []uint64) {
	m.marks.reset()
	m.names.begin(m.oneDict(chunk))
	m.rows(chunk, cand, func(_ *query.Block, i, pos int) {
		if id, ok := m.names.row(m.arg, i); ok {
			m.marks.add(pos, id)
		}
	})
	m.marks.count(m.n)
}

func (m *measureLoader) activeDays(chunk int, cand []uint64) {
	m.marks.reset()
	series := m.scan.series(chunk)
	base := m.days.Of(max(m.scan.from, series.Min))
	m.scan.each(chunk, cand, func(b *query.Block, rows []uint64) {
		if day := m.days.Of(b.Max); rows == nil && m.days.Of(b.Min) == day { // a leaf of one day
			m.marks.addAll(b.Pos[:b.Rows], uint32(min(day-base, math.MaxUint32)))
			return
		}
		eachSelected(b, rows, func(i int) {
			if pos := int(b.Pos[i]); has(cand, pos) {
				m.marks.add(pos, uint32(min(m.days.Of(b.Time(i))-base, math.MaxUint32)))
			}
		})
	})
	m.marks.count(m.n)
}

// seenValue is the value of one row, by the number the interner gave it.
type seenValue struct {
	pair uint64 // position << 32 | value
	time int64
}

// compareWork is the approximate time of one comparison of a sort, in nanoseconds.
const compareWork = 5

// oneDict returns the dictionary of all values of the argument in a chunk; nil if there are several or
// none.
func (m *measureLoader) oneDict(chunk int) (dict query.Dict) {
	if m.arg.column == nil {
		return nil
	}
	for _, b := range m.scan.series(chunk).Blocks {
		v := b.Col(m.arg.column.id)
		switch {
		case v == nil || v.Type != m.arg.column.t:
		case v.Dict == nil || dict != nil && v.Dict != dict:
			return nil
		default:
			dict = v.Dict
		}
	}
	return dict
}

// favorite stores the most frequent value; of equally frequent ones the one seen latest, then the
// larger.
func (m *measureLoader) favorite(chunk int, cand []uint64, out *Vector) {
	m.seen = m.seen[:0]
	m.names.begin(m.oneDict(chunk))
	m.rows(chunk, cand, func(b *query.Block, i, pos int) {
		if id, ok := m.names.row(m.arg, i); ok {
			m.seen = append(m.scan.run.scratch.seen.extend(m.seen, 1), seenValue{uint64(pos)<<32 | uint64(id), b.Time(i)})
		}
	})
	scratch := m.scan.run.scratch
	slices.SortFunc(m.seen, func(a, b seenValue) int {
		switch {
		case !scratch.Spend(compareWork):
			return 0
		case a.pair < b.pair:
			return -1
		case a.pair > b.pair:
			return 1
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		return 0
	})
	best, often, latest := -1, 0, int64(0) // index in seen of the best value of the current position
	for i := 0; i < len(m.seen); {
		end := i
		for end < len(m.seen) && m.seen[end].pair == m.seen[i].pair {
			end++
		}
		last, n := m.seen[end-1], end-i
		if best < 0 || m.seen[best].pair>>32 != last.pair>>32 || n > often || n == often && (last.time > latest ||
			last.time == latest && m.names.value(uint32(last.pair)).Compare(m.names.value(uint32(m.seen[best].pair))) > 0) {
			best, often, latest = end-1, n, last.time
			out.put(int(last.pair>>32), m.names.value(uint32(last.pair)))
		}
		i = end
	}
}
