package eval

import (
	"slices"

	"github.com/musterdb/muster/query"
)

// rowRef refers to a row of a profile, for sorting the rows of a chunk by profile and time. It has
// numbers instead of pointers, so that the garbage collector need not scan it.
type rowRef struct {
	time       int64
	block, row uint32
	pos        uint16
}

// refSorter sorts rowRefs by position, then time. It keeps its buffers.
type refSorter struct {
	scratch *Scratch
	ends    []uint32
	other   []rowRef
}

// fewRefs is the number of rowRefs up to which comparing is faster than counting all positions.
const fewRefs = 4096

// sort sorts *refs. The rows of a profile are mostly in order of time, so little is left to do after
// they are placed by position.
func (s *refSorter) sort(refs *[]rowRef) {
	in := *refs
	if len(in) <= fewRefs {
		slices.SortFunc(in, compareRefs)
		return
	}
	s.ends = s.scratch.u32.sized(s.ends, query.ChunkSize)
	clear(s.ends)
	for i := range in {
		s.ends[in[i].pos]++
	}
	sum := uint32(0)
	for p, n := range s.ends {
		s.ends[p] = sum
		sum += n
	}
	s.other = s.scratch.refs.sized(s.other, len(in))
	for i := range in {
		p := in[i].pos
		s.other[s.ends[p]] = in[i]
		s.ends[p]++
	}
	from := uint32(0)
	for _, to := range s.ends {
		if to-from > 1 {
			sortByTime(s.other[from:to])
		}
		from = to
	}
	*refs, s.other = s.other, in
}

// sortByTime sorts the rowRefs of one profile, which are often in order.
func sortByTime(v []rowRef) {
	for i := 1; i < len(v); i++ {
		if v[i].time >= v[i-1].time {
			continue
		}
		if i > 16 || len(v) > 64 {
			slices.SortFunc(v, compareRefs)
			return
		}
		x, k := v[i], i
		for ; k > 0 && v[k-1].time > x.time; k-- {
			v[k] = v[k-1]
		}
		v[k] = x
	}
}

func compareRefs(a, b rowRef) int {
	switch {
	case a.pos != b.pos:
		return int(a.pos) - int(b.pos)
	case a.time < b.time:
		return -1
	case a.time > b.time:
		return 1
	}
	return 0
}
