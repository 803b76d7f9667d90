package eval

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/places"
	"github.com/musterdb/muster/query/tree"
)

// RankEnd is the end of a rank: the value at the last place, and the profiles that have it. The ids
// decide which of those are within. It is plain data.
type RankEnd struct {
	None  bool // no profile is within the rank
	Value tree.Number
	Who   []uint64 // shard number << 32 | ordinal, ascending
	Place int      // of the last profile within the rank, among Who ordered by id
}

// End returns the end of the rank. All chunks of all shards must have been added to part.
func (q *RankQuery) End(part *RankPart) RankEnd {
	n := min(q.admitted(part.Total), int64(len(part.who)))
	if n <= 0 {
		return RankEnd{None: true}
	}
	if part.plain {
		return q.endOfNumbers(part, int(n-1))
	}
	last := places.Find(part.keys, int(n-1))[0]
	before, equal := 0, []uint64(nil)
	for i, k := range part.keys {
		switch {
		case k < last:
			before++
		case k == last:
			equal = append(equal, part.who[i])
		}
	}
	return RankEnd{Value: q.number(part, last), Who: sortedPlaces(equal), Place: int(n-1) - before}
}

// endOfNumbers is End for a part with numbers.
func (q *RankQuery) endOfNumbers(part *RankPart, place int) RankEnd {
	order := make([]int, len(part.who))
	for i := range order {
		order[i] = i
	}
	compare := func(i, j int) int {
		c := part.numbers[i].Compare(part.numbers[j])
		if !q.Node.Bottom {
			c = -c
		}
		return c
	}
	slices.SortFunc(order, compare)
	from, to := place, place+1
	for from > 0 && compare(order[from-1], order[place]) == 0 {
		from--
	}
	for to < len(order) && compare(order[to], order[place]) == 0 {
		to++
	}
	equal := make([]uint64, 0, to-from)
	for _, i := range order[from:to] {
		equal = append(equal, part.who[i])
	}
	slices.Sort(equal)
	return RankEnd{Value: part.numbers[order[place]], Who: equal, Place: place - from}
}

// sortedPlaces returns profiles in ascending order. Those of a chunk are together and in order already,
// unless a part comes from a sender that breaks this rule.
func sortedPlaces(who []uint64) []uint64 {
	if slices.IsSorted(who) {
		return who
	}
	var runs [][]uint64
	for from, i := 0, 1; i <= len(who); i++ {
		if i == len(who) || who[i]>>query.ChunkBits != who[i-1]>>query.ChunkBits {
			runs = append(runs, who[from:i])
			from = i
		}
	}
	slices.SortFunc(runs, func(a, b []uint64) int { return cmp.Compare(a[0], b[0]) })
	if who = slices.Concat(runs...); !slices.IsSorted(who) {
		slices.Sort(who)
	}
	return who
}

// Within returns those of Who that are in the chunk whose first profile is given.
func (e *RankEnd) Within(first uint64) []uint64 {
	from, _ := slices.BinarySearch(e.Who, first)
	to, _ := slices.BinarySearch(e.Who[from:], first+query.ChunkSize)
	return e.Who[from : from+to]
}

// Cut returns the cut, given the ids of Who in any order.
func (e *RankEnd) Cut(ids []string) query.Cut {
	if e.None || e.Place >= len(ids) {
		return query.Cut{None: true}
	}
	return query.Cut{Last: query.RankKey{Value: e.Value, ID: idAt(ids, e.Place)}}
}

// idAt returns the id at a place in the order of ids. Ids often have a common prefix: the eight bytes
// after it are keys, and only ids with the same key as the one at the place are compared.
func idAt(ids []string, place int) string {
	alike := len(ids[0])
	for _, id := range ids {
		n := 0
		for n < min(alike, len(id)) && id[n] == ids[0][n] {
			n++
		}
		alike = n
	}
	keys := make([]uint64, len(ids))
	for i, id := range ids {
		var b [8]byte
		copy(b[:], id[alike:])
		keys[i] = binary.BigEndian.Uint64(b[:])
	}
	at := places.Find(keys, place)[0]
	near := []string{}
	for i, k := range keys {
		switch cmp.Compare(k, at) {
		case -1:
			place--
		case 0:
			near = append(near, ids[i])
		}
	}
	slices.SortFunc(near, strings.Compare)
	return near[place]
}
