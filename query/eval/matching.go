package eval

import (
	"math"
	"math/bits"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// matching evaluates `did A then [not] B where (x = previous.y)`, where nothing else mentions previous.
// Among the events with one value, the latest before a given time is the nearest. So one pass over the
// row keys in order of time needs to remember only one row key per value. The values are indexed, and
// the index is in the lowest bits of a row key.
type matching struct {
	columns  [2]column // of the first step and of the second
	sides    [2]gathered
	bits     int
	least    int64         // of a number column: the value with index 0
	none     int64         // the index of values that match nothing; all others are less
	codes    []uint32      // by code of the second dictionary: the code in the first, or none
	dicts    [2]query.Dict // of codes
	firstLen int
	latest   []uint64 // by index: 1 + the last row key, without the index
}

// mostMatched is the greatest number of distinct values.
const mostMatched = 1<<16 - 1

// matched returns the columns of an equality that is a step's only condition with previous, the chosen
// event's column first. It returns nil if the condition is anything else.
func (c *pairs) matched(linked tree.Pred) (*[2]column, error) {
	p, ok := linked.(*tree.Compare)
	if !ok || p.Op != tree.Eq {
		return nil, nil
	}
	own, ownIsName := p.L.(*tree.Name)
	previous, previousIsName := p.R.(*tree.Name)
	if !ownIsName || !previousIsName || own.Previous == previous.Previous {
		return nil, nil
	}
	if own.Previous {
		own, previous = previous, own
	}
	plain := *previous
	plain.Previous = false
	first, err := c.previous.expr(&plain)
	if err != nil {
		return nil, err
	}
	second, err := c.current.expr(own)
	if err != nil {
		return nil, err
	}
	x, firstIsColumn := first.(column)
	y, secondIsColumn := second.(column)
	if !firstIsColumn || !secondIsColumn || x.t != y.t || x.t != tree.StringType && x.t != tree.NumberType {
		return nil, nil
	}
	return &[2]column{x, y}, nil
}

// prepare indexes the values of a chunk whose times are at most span after the base of the row keys. It
// returns false if an index and a time do not fit in a row key.
func (x *matching) prepare(scans []*scan, chunk int, span uint64) bool {
	scratch := scans[0].run.scratch
	var blocks [2][]*query.Block
	for k := range x.sides {
		blocks[k] = scans[k].series(chunk).Blocks
		if !x.sides[k].commonForm(blocks[k], &x.columns[k]) {
			return false
		}
	}
	first, second := &x.sides[0].col, &x.sides[1].col
	size := int64(0)
	if x.columns[0].t == tree.StringType {
		x.least, size = 0, int64(first.Dict.Len())
	} else {
		lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
		for _, b := range blocks[0] {
			if v := b.Col(x.columns[0].id); v != nil && v.Type == tree.NumberType {
				from, to, _ := v.Bounds()
				unit := tree.Pow10(first.Scale - v.Scale)
				lo, hi = min(lo, from*unit), max(hi, to*unit)
			}
		}
		if lo > hi || first.Scale != second.Scale || hi-lo >= mostMatched {
			return false
		}
		x.least, size = lo, hi-lo+1
	}
	x.none, x.bits = size, bits.Len64(uint64(size))
	if size > mostMatched || bits.Len64(span) > timeBits-x.bits {
		return false
	}
	if first.Dict != nil {
		x.translate(scratch, first.Dict, second.Dict)
	}
	x.latest = scratch.words.sized(x.latest, int(size)+1)
	clear(x.latest)
	return true
}

// translate looks up the codes of the second dictionary in the first. It does so again if one of them
// has grown.
func (x *matching) translate(scratch *Scratch, first, second query.Dict) {
	if x.dicts == [2]query.Dict{first, second} && len(x.codes) == second.Len() && x.firstLen == first.Len() {
		return
	}
	x.dicts, x.firstLen = [2]query.Dict{first, second}, first.Len()
	x.codes = scratch.u32.sized(x.codes, second.Len())
	for code := range x.codes {
		x.codes[code] = uint32(code)
		if first == second {
			continue
		}
		found, ok := first.Find(second.Value(uint32(code)))
		if !ok || int64(found) >= x.none {
			found = uint32(x.none)
		}
		x.codes[code] = found
	}
}

// index returns the index of a raw value of side k.
func (x *matching) index(k int, raw int64) int64 {
	if raw == none64 {
		return x.none
	}
	if x.sides[0].col.Dict == nil {
		if raw -= x.least; raw < 0 || raw >= x.none {
			return x.none
		}
		return raw
	}
	if k == 1 {
		if raw >= int64(len(x.codes)) {
			return x.none
		}
		return int64(x.codes[raw])
	}
	return min(raw, x.none)
}

// read sets m.keys to the row keys of the candidates on side k, and met to the profiles that have one
// which may match. On the second side it keeps only those row keys.
func (x *matching) read(m *rowKeys, s *scan, k, chunk int, base int64, cand, met []uint64) {
	clear(met)
	m.keys, m.scratch = m.keys[:0], s.run.scratch
	g := &x.sides[k]
	s.each(chunk, cand, func(b *query.Block, rows []uint64) {
		v := b.Col(x.columns[k].id)
		var vals []int64
		if v != nil && v.Type == x.columns[k].t {
			vals = g.decode(v, b.Rows, tree.Pow10(g.col.Scale-v.Scale), s.run.scratch)
		}
		n := len(m.keys)
		m.grow(b.Rows)
		keys := m.keys[:cap(m.keys)]
		eachSelected(b, rows, func(i int) {
			p, value := int(b.Pos[i]), x.none
			if vals != nil {
				value = x.index(k, vals[i])
			}
			if k == 1 && value == x.none || !has(cand, p) {
				return
			}
			keys[n] = uint64(p)<<timeBits | uint64(b.Time(i)-base)<<x.bits | uint64(value)
			n++
			set(met, p)
		})
		m.keys = keys[:n]
	})
}

// near reports whether two row keys without indexes, a before b, are of one profile and at most gap
// apart.
func (x *matching) near(a, b, gap uint64) bool {
	return b-a <= gap && a>>(timeBits-x.bits) == b>>(timeBits-x.bits)
}

// follow sets out to the profiles with a row key in next that comes at most gap after one in chosen with
// the same value.
func (x *matching) follow(chosen, next []uint64, gap uint64, out []uint64) {
	j, mask := 0, uint64(1)<<x.bits-1
	for _, k := range next {
		at := k >> x.bits
		for ; j < len(chosen) && chosen[j]>>x.bits < at; j++ {
			x.latest[chosen[j]&mask] = chosen[j]>>x.bits + 1
		}
		if last := x.latest[k&mask]; last != 0 && x.near(last-1, at, gap) {
			set(out, int(k>>timeBits))
		}
	}
}

// without sets out to the profiles with a row key in chosen after which, within gap, next has none with
// the same value. It goes back in time.
func (x *matching) without(chosen, next []uint64, gap uint64, out []uint64) {
	j, mask := len(next)-1, uint64(1)<<x.bits-1
	for i := len(chosen) - 1; i >= 0; i-- {
		at := chosen[i] >> x.bits
		for ; j >= 0 && next[j]>>x.bits > at; j-- {
			x.latest[next[j]&mask] = next[j]>>x.bits + 1
		}
		if then := x.latest[chosen[i]&mask]; then == 0 || !x.near(at, then-1, gap) {
			set(out, int(chosen[i]>>timeBits))
		}
	}
}

// match evaluates the sequence by values. It returns false if prepare does.
func (q *sequenceRunner) match(chunk int, base int64, cand, out []uint64) bool {
	last := int64(math.MinInt64)
	for _, s := range q.scans {
		if series := s.series(chunk); series.Rows > 0 {
			last = max(last, min(s.to-1, series.Max))
		}
	}
	if last < base || !q.matching.prepare(q.scans, chunk, uint64(last-base)) {
		return false
	}
	absent := q.absent(1)
	open, met := q.run.getWords(len(cand)), q.run.getWords(len(cand))
	copy(open, cand)
	for _, k := range q.order {
		q.matching.read(&q.found[k], q.scans[k], k, chunk, base, open, met)
		if k == 0 || !absent {
			open, met = met, open
		}
	}
	clear(out)
	q.found[0].sort(open)
	q.found[1].sort(open)
	gap := uint64(min(q.steps[0].gap, 1<<(timeBits-q.matching.bits)-1))
	if absent {
		q.matching.without(q.found[0].keys, q.found[1].keys, gap, out)
	} else {
		q.matching.follow(q.found[0].keys, q.found[1].keys, gap, out)
	}
	q.run.putWords(open)
	q.run.putWords(met)
	return true
}
