package eval

import (
	"slices"

	"github.com/musterdb/muster/query"
)

// visit is a row of a profile, when the rows of a chunk are put in order by profile and time.
// It names its row by numbers: sorting pointers would have the collector look on.
type visit struct {
	time       int64
	block, row uint32
	pos        uint16
}

// visitSorter sorts visits by position, then time. It keeps its buffers.
type visitSorter struct {
	stock *Stock
	ends  []uint32
	other []visit
}

// fewVisits is the number up to which comparing beats counting all positions.
const fewVisits = 4096

// sort puts *visits in order. Rows mostly come by time within their profile, so after placing them
// by position little is left to do.
func (s *visitSorter) sort(visits *[]visit) {
	in := *visits
	if len(in) <= fewVisits {
		slices.SortFunc(in, compareVisits)
		return
	}
	s.ends = s.stock.u32.sized(s.ends, query.ChunkSize)
	clear(s.ends)
	for i := range in {
		s.ends[in[i].pos]++
	}
	sum := uint32(0)
	for p, n := range s.ends {
		s.ends[p] = sum
		sum += n
	}
	s.other = s.stock.visits.sized(s.other, len(in))
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
	*visits, s.other = s.other, in
}

// sortByTime puts the visits of one profile in order, which they often are.
func sortByTime(v []visit) {
	for i := 1; i < len(v); i++ {
		if v[i].time >= v[i-1].time {
			continue
		}
		if i > 16 || len(v) > 64 {
			slices.SortFunc(v, compareVisits)
			return
		}
		x, k := v[i], i
		for ; k > 0 && v[k-1].time > x.time; k-- {
			v[k] = v[k-1]
		}
		v[k] = x
	}
}

func compareVisits(a, b visit) int {
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
