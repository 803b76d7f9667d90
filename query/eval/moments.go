package eval

import (
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
)

// A moment is a row as one number: the position of its profile in the highest 16 bits, below them its
// time in milliseconds since a base that all steps share. Ordered moments are those of the first
// profile by time, then those of the next. Events of 8,900 years fit; others are visits.
const (
	momentBits = 48
	momentTime = 1<<momentBits - 1
)

// moments gathers the moments of one step in one chunk, and keeps its buffers.
type moments struct {
	keys  []uint64
	base  int64
	cand  []uint64 // whose rows are wanted
	met   []uint64 // who of them had one
	block func(b *query.Block, rows []uint64)
	stock *Stock
	spare []uint64
}

// read sets m.keys to the rows of a scan by the candidates, in no order, and met to who had one.
//
// REQUIRES: all rows of the scan lie in the momentTime milliseconds from base.
func (m *moments) read(s *scan, chunk int, base int64, cand, met []uint64) {
	if m.block == nil {
		m.block = m.add
	}
	clear(met)
	m.keys, m.base, m.cand, m.met, m.stock = m.keys[:0], base, cand, met, s.run.stock
	s.each(chunk, cand, m.block)
}

// add takes rows of a block. All of them are written, and those of the candidates counted.
func (m *moments) add(b *query.Block, rows []uint64) {
	cand, met := (*[query.ChunkSize / 64]uint64)(m.cand), (*[query.ChunkSize / 64]uint64)(m.met)
	n := len(m.keys)
	if rows != nil {
		m.grow(countBits(rows))
		keys := m.keys[:cap(m.keys)]
		for w, x := range rows {
			for ; x != 0; x &= x - 1 {
				i := w<<6 | bits.TrailingZeros64(x)
				p := b.Pos[i]
				bit := cand[p>>6] >> (p & 63) & 1
				keys[n] = uint64(p)<<momentBits | uint64(b.Time(i)-m.base)
				met[p>>6] |= bit << (p & 63)
				n += int(bit)
			}
		}
		m.keys = keys[:n]
		return
	}
	m.grow(b.Rows)
	keys := m.keys[:cap(m.keys)]
	pos := b.Pos[:b.Rows]
	if b.Off == nil {
		for i, p := range pos {
			bit := cand[p>>6] >> (p & 63) & 1
			keys[n] = uint64(p)<<momentBits | uint64(b.Times[i]-m.base)
			met[p>>6] |= bit << (p & 63)
			n += int(bit)
		}
	} else {
		first := uint64(b.Base - m.base)
		off := b.Off[:len(pos)]
		for i, p := range pos {
			bit := cand[p>>6] >> (p & 63) & 1
			keys[n] = uint64(p)<<momentBits | (first + uint64(off[i]))
			met[p>>6] |= bit << (p & 63)
			n += int(bit)
		}
	}
	m.keys = keys[:n]
}

// grow makes room for n more.
func (m *moments) grow(n int) {
	m.keys = m.stock.words.more(m.keys, n)
}

// sort puts the moments of the profiles in open in order and drops the others.
func (m *moments) sort(open []uint64) {
	profiles, n := (*[query.ChunkSize / 64]uint64)(open), 0
	for _, k := range m.keys {
		m.keys[n] = k
		n += int(profiles[k>>(momentBits+6)] >> (k >> momentBits & 63) & 1)
	}
	m.keys = m.keys[:n]
	switch {
	case slices.IsSorted(m.keys):
	case n <= fewMoments:
		slices.Sort(m.keys)
	default:
		m.spare = m.stock.words.sized(m.spare, n)
		m.stock.ranks.sort(m.stock, m.keys, m.spare, open)
		m.keys, m.spare = m.spare, m.keys
	}
}

// fewMoments is the number up to which comparing beats counting.
const fewMoments = 256

// ranks sorts moments by counting those of each profile. Profiles are numbered among those there are,
// so that few profiles need few counters.
type ranks struct {
	before [query.ChunkSize / 64]uint32 // profiles before each word
	starts []uint32
}

// of returns the number of a profile in open among those of open.
func (r *ranks) of(open *[query.ChunkSize / 64]uint64, pos uint64) uint32 {
	w := pos >> 6 & (query.ChunkSize/64 - 1)
	return r.before[w] + uint32(bits.OnesCount64(open[w]&(1<<(pos&63)-1)))
}

// sort writes keys in order to out. REQUIRES: all are of profiles in set; len(out) = len(keys).
func (r *ranks) sort(stock *Stock, keys, out, set []uint64) {
	open := (*[query.ChunkSize / 64]uint64)(set)
	profiles := uint32(0)
	for w, x := range open {
		r.before[w] = profiles
		profiles += uint32(bits.OnesCount64(x))
	}
	r.starts = stock.u32.sized(r.starts, int(profiles))
	clear(r.starts)
	for _, k := range keys {
		r.starts[r.of(open, k>>momentBits)]++
	}
	sum := uint32(0)
	for i, n := range r.starts {
		r.starts[i] = sum
		sum += n
	}
	for _, k := range keys {
		at := &r.starts[r.of(open, k>>momentBits)]
		out[*at] = k
		*at++
	}
	settle(out)
}

// settle puts moments that are ordered by profile in order of time, which they mostly are already:
// leaves come one after the other.
func settle(keys []uint64) {
	moves := 0
	for i := 1; i < len(keys); i++ {
		k := keys[i]
		if k >= keys[i-1] {
			continue
		}
		j := i
		for ; j > 0 && keys[j-1] > k; j-- {
			keys[j] = keys[j-1]
		}
		keys[j] = k
		if moves += i - j; moves > 4*len(keys) {
			slices.Sort(keys)
			return
		}
	}
}

// follow keeps those of the next moments that come after one of here, by at most gap; it returns them
// in place of next. Both are ordered. Of the moments before one the latest is the nearest, so it
// decides.
func follow(here, next []uint64, gap uint64) []uint64 {
	n, j := 0, 0
	for _, k := range next {
		for j < len(here) && here[j] < k {
			j++
		}
		if j == 0 {
			continue
		}
		a := here[j-1]
		next[n] = k
		if k-a <= gap && a>>momentBits == k>>momentBits {
			n++
		}
	}
	return next[:n]
}

// without keeps those of the moments here that none of next follows by at most gap, in place. Both are
// ordered, and the next after a moment decides.
func without(here, next []uint64, gap uint64) []uint64 {
	n, j := 0, 0
	for _, a := range here {
		for j < len(next) && next[j] <= a {
			j++
		}
		here[n] = a
		if j == len(next) || next[j]-a > gap || next[j]>>momentBits != a>>momentBits {
			n++
		}
	}
	return here[:n]
}

// momentBase returns the first instant of what several scans may read in a chunk; ok is false where
// moments cannot hold all of it.
func momentBase(scans []*scan, chunk int) (base int64, ok bool) {
	first, last := int64(1), int64(0)
	for _, s := range scans {
		series := s.series(chunk)
		if series.Rows == 0 {
			continue
		}
		lo, hi := max(s.from, series.Min), min(s.to-1, series.Max)
		if first > last {
			first, last = lo, hi
		}
		first, last = min(first, lo), max(last, hi)
	}
	return first, uint64(last)-uint64(first) <= momentTime || first > last
}
