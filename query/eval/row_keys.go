package eval

import (
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
)

// A row key is a row as one number: the position of its profile in the highest 16 bits, and below them its time
// in milliseconds since a base that all steps share. Sorted row keys are ordered by profile, then by time. They
// span 8,900 years; rows that do not fit are handled as rowRefs.
const (
	timeBits   = 48
	maxKeyTime = 1<<timeBits - 1
)

// rowKeys gathers the row keys of one step in one chunk. It keeps its buffers.
type rowKeys struct {
	keys    []uint64
	base    int64
	cand    []uint64 // the profiles whose rows are wanted
	met     []uint64 // those of them that have a row
	block   func(b *query.Block, rows []uint64)
	scratch *Scratch
	spare   []uint64
}

// read sets m.keys to the rows of a scan that belong to the candidates, in no order, and met to the
// candidates that have one.
//
// REQUIRES: all rows of the scan are in the maxKeyTime milliseconds from base.
func (m *rowKeys) read(s *scan, chunk int, base int64, cand, met []uint64) {
	if m.block == nil {
		m.block = m.add
	}
	clear(met)
	m.keys, m.base, m.cand, m.met, m.scratch = m.keys[:0], base, cand, met, s.run.scratch
	s.each(chunk, cand, m.block)
}

// add adds rows of a block. It writes every row, but only advances past those of candidates, to avoid a
// branch.
func (m *rowKeys) add(b *query.Block, rows []uint64) {
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
				keys[n] = uint64(p)<<timeBits | uint64(b.Time(i)-m.base)
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
			keys[n] = uint64(p)<<timeBits | uint64(b.Times[i]-m.base)
			met[p>>6] |= bit << (p & 63)
			n += int(bit)
		}
	} else {
		first := uint64(b.Base - m.base)
		off := b.Off[:len(pos)]
		for i, p := range pos {
			bit := cand[p>>6] >> (p & 63) & 1
			keys[n] = uint64(p)<<timeBits | (first + uint64(off[i]))
			met[p>>6] |= bit << (p & 63)
			n += int(bit)
		}
	}
	m.keys = keys[:n]
}

// grow makes space for n more row keys.
func (m *rowKeys) grow(n int) {
	m.keys = m.scratch.words.extend(m.keys, n)
}

// sort sorts the row keys of the profiles in open and drops the others.
func (m *rowKeys) sort(open []uint64) {
	profiles, n := (*[query.ChunkSize / 64]uint64)(open), 0
	for _, k := range m.keys {
		m.keys[n] = k
		n += int(profiles[k>>(timeBits+6)] >> (k >> timeBits & 63) & 1)
	}
	m.keys = m.keys[:n]
	switch {
	case slices.IsSorted(m.keys):
	case n <= fewKeys:
		slices.Sort(m.keys)
	default:
		m.spare = m.scratch.words.sized(m.spare, n)
		m.scratch.sorter.sort(m.scratch, m.keys, m.spare, open)
		m.keys, m.spare = m.spare, m.keys
	}
}

// fewKeys is the number of row keys up to which comparing is faster than counting.
const fewKeys = 256

// keySorter sorts row keys by counting those of each profile. It numbers the profiles that occur, so
// that few profiles need few counters.
type keySorter struct {
	before [query.ChunkSize / 64]uint32 // number of profiles before each word
	starts []uint32
}

// index returns the number of a profile of open among those of open.
func (r *keySorter) index(open *[query.ChunkSize / 64]uint64, pos uint64) uint32 {
	w := pos >> 6 & (query.ChunkSize/64 - 1)
	return r.before[w] + uint32(bits.OnesCount64(open[w]&(1<<(pos&63)-1)))
}

// sort writes the sorted keys to out.
//
// REQUIRES: all are of profiles in set; len(out) = len(keys).
func (r *keySorter) sort(scratch *Scratch, keys, out, set []uint64) {
	open := (*[query.ChunkSize / 64]uint64)(set)
	profiles := uint32(0)
	for w, x := range open {
		r.before[w] = profiles
		profiles += uint32(bits.OnesCount64(x))
	}
	r.starts = scratch.u32.sized(r.starts, int(profiles))
	clear(r.starts)
	for _, k := range keys {
		r.starts[r.index(open, k>>timeBits)]++
	}
	sum := uint32(0)
	for i, n := range r.starts {
		r.starts[i] = sum
		sum += n
	}
	for _, k := range keys {
		at := &r.starts[r.index(open, k>>timeBits)]
		out[*at] = k
		*at++
	}
	sortNearlySorted(out)
}

// sortNearlySorted sorts row keys that are ordered by profile. Within a profile they are mostly in
// order of time already, as leaves come one after the other.
func sortNearlySorted(keys []uint64) {
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

// follow returns the row keys of next that come after one of chosen, by at most gap. It reuses the memory
// of next. Both are sorted. Of the row keys before a given one the latest is the nearest, so it
// decides.
func follow(chosen, next []uint64, gap uint64) []uint64 {
	n, j := 0, 0
	for _, k := range next {
		for j < len(chosen) && chosen[j] < k {
			j++
		}
		if j == 0 {
			continue
		}
		a := chosen[j-1]
		next[n] = k
		if k-a <= gap && a>>timeBits == k>>timeBits {
			n++
		}
	}
	return next[:n]
}

// without returns the row keys of chosen that none of next follows by at most gap. It reuses the memory
// of chosen. Both are sorted. The first of next after a given row key decides.
func without(chosen, next []uint64, gap uint64) []uint64 {
	n, j := 0, 0
	for _, a := range chosen {
		for j < len(next) && next[j] <= a {
			j++
		}
		chosen[n] = a
		if j == len(next) || next[j]-a > gap || next[j]>>timeBits != a>>timeBits {
			n++
		}
	}
	return chosen[:n]
}

// keyBase returns the first instant that several scans may read in a chunk; ok is false if row keys
// cannot span all of it.
func keyBase(scans []*scan, chunk int) (base int64, ok bool) {
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
	return first, uint64(last)-uint64(first) <= maxKeyTime || first > last
}
