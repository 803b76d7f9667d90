package eval

import (
	"slices"

	"github.com/musterdb/muster/query"
)

// visit is a row of a profile, when the rows of a chunk are put in order by profile and time.
type visit struct {
	rowAt
	time int64
	pos  uint16
}

// visitSorter sorts visits by position, then time. It keeps its buffers.
type visitSorter struct {
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
	s.ends = sized(s.ends, query.ChunkSize)
	clear(s.ends)
	for i := range in {
		s.ends[in[i].pos]++
	}
	sum := uint32(0)
	for p, n := range s.ends {
		s.ends[p] = sum
		sum += n
	}
	s.other = sized(s.other, len(in))
	for i := range in {
		p := in[i].pos
		s.other[s.ends[p]] = in[i]
		s.ends[p]++
	}
	from := uint32(0)
	for _, to := range s.ends {
		if to-from > 1 {
			slices.SortFunc(s.other[from:to], compareVisits)
		}
		from = to
	}
	*visits, s.other = s.other, in
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
