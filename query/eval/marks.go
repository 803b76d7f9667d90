package eval

import (
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
)

// marks is a set of (position, number) pairs of one chunk. Small numbers, like the days of a window or
// the codes of a small dictionary, are bits in planes of 64. Other pairs are in a list, which count
// sorts.
type marks struct {
	planes  [8][]uint64 // number / 64 → word by position
	used    [8]bool
	pairs   []uint64 // position << 32 | number
	scratch *Scratch
}

func (m *marks) reset() {
	for k := range m.planes {
		if m.used[k] {
			clear(m.planes[k])
			m.used[k] = false
		}
	}
	m.pairs = m.pairs[:0]
}

func (m *marks) add(pos int, number uint32) {
	k := number >> 6
	if int(k) >= len(m.planes) {
		m.pairs = append(m.scratch.words.extend(m.pairs, 1), uint64(pos)<<32|uint64(number))
		return
	}
	if !m.used[k] {
		m.used[k] = true
		if m.planes[k] == nil {
			m.planes[k] = m.scratch.words.get(query.ChunkSize)
			clear(m.planes[k])
		}
	}
	m.planes[k][pos] |= 1 << (number & 63)
}

// addAll adds a number at many positions.
func (m *marks) addAll(pos []uint16, number uint32) {
	if len(pos) == 0 {
		return
	}
	m.add(int(pos[0]), number)
	k := number >> 6
	if int(k) >= len(m.planes) {
		for _, p := range pos[1:] {
			m.add(int(p), number)
		}
		return
	}
	plane, bit := (*[query.ChunkSize]uint64)(m.planes[k]), uint64(1)<<(number&63)
	for _, p := range pos {
		plane[p] |= bit
	}
}

// count adds the number of distinct pairs of each position to n.
func (m *marks) count(n []uint32) {
	for k, used := range m.used {
		if !used {
			continue
		}
		for pos, w := range m.planes[k] {
			if w != 0 {
				n[pos] += uint32(bits.OnesCount64(w))
			}
		}
	}
	slices.Sort(m.pairs)
	for i, p := range m.pairs {
		if i == 0 || p != m.pairs[i-1] {
			n[p>>32]++
		}
	}
}
