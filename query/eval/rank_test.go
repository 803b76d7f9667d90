package eval

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/places"
	"github.com/musterdb/muster/query/tree"
)

// ids is a source that has only ids.
type ids struct {
	query.Source
	of map[uint32]string
}

func (s *ids) ID(ordinal uint32) string { return s.of[ordinal] }

// randomRanked draws the values of the profiles of a chunk: as a column with form decimals (form 4:
// floats), and as numbers. It appends them to all.
func randomRanked(rng *rand.Rand, src *ids, chunk, form int, most int64, all *[]query.RankKey) (*query.Vec, *Vector, *query.Bits) {
	col := &query.Vec{Rows: query.ChunkSize, Type: tree.NumberType, Scale: int8(form), I64: make([]int64, query.ChunkSize)}
	for i := range col.I64 {
		col.I64[i] = query.VecMissing
	}
	values, profiles := &Vector{}, &query.Bits{}
	values.reset(tree.NumberType, query.ChunkSize)
	for range rng.IntN(4000) {
		pos := uint16(rng.IntN(query.ChunkSize))
		x := rng.Int64N(most) - most/3
		n := tree.Decimal(x, int8(form))
		if form == 4 { // floats
			f := float64(x) / 3
			n, _ = tree.FromFloat(f)
			x, col.Scale = places.Int(places.OfFloat(f)), tree.FloatScale
		}
		if profiles.Has(pos) {
			continue
		}
		profiles.Set(pos)
		col.I64[pos] = x
		values.put(int(pos), tree.Num(n))
		ordinal := uint32(chunk)<<query.ChunkBits | uint32(pos)
		src.of[ordinal] = fmt.Sprintf("user-%d-%d", rng.IntN(1<<30), chunk)
		*all = append(*all, query.RankKey{Value: n, ID: src.of[ordinal]})
	}
	return col, values, profiles
}

// TestRankParts compares cuts from merged parts, with columns of several forms, with sorting all
// values.
func TestRankParts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 6))
	for range 60 {
		node := &tree.Rank{N: tree.Int(1 + rng.Int64N(60)), Percent: rng.IntN(2) == 0, Bottom: rng.IntN(2) == 0}
		if rng.IntN(4) == 0 {
			node.N = tree.Int(1 + rng.Int64N(6000))
		}
		q := &RankQuery{Node: node}
		forms := []int{0}
		for range rng.IntN(3) {
			forms = append(forms, rng.IntN(6))
		}
		var all []query.RankKey
		var total RankPart
		most := 1 + rng.Int64N(2000)
		var sources []*ids
		for shard := range 1 + rng.IntN(3) {
			src := &ids{of: map[uint32]string{}}
			sources = append(sources, src)
			var part RankPart
			for chunk := range 1 + rng.IntN(3) {
				form := forms[rng.IntN(len(forms))]
				col, values, profiles := randomRanked(rng, src, chunk, form, most, &all)
				if form == 5 {
					q.addNumbers(&part, chunkPlace(shard, chunk), values)
				} else {
					q.addColumn(&part, chunkPlace(shard, chunk), col, profiles[:])
				}
			}
			q.Merge(&total, &part)
		}
		slices.SortFunc(all, func(a, b query.RankKey) int {
			c := a.Value.Compare(b.Value)
			if !node.Bottom {
				c = -c
			}
			return cmp.Or(c, cmp.Compare(a.ID, b.ID))
		})
		end := q.End(&total)
		var names []string
		for _, place := range end.Who {
			names = append(names, sources[place>>32].ID(uint32(place)))
		}
		got, n := end.Cut(names), int(q.admitted(int64(len(all))))
		if n = min(n, len(all)); n == 0 {
			if !got.None {
				t.Fatalf("seed %d: there is a cut, but no profile is within the rank", seed)
			}
			continue
		}
		if want := all[n-1]; got.None || got.Last.ID != want.ID || got.Last.Value.Compare(want.Value) != 0 {
			t.Fatalf("seed %d: forms %v: place %d of %d is %v, want %v", seed, forms, n, len(all), got.Last, want)
		}
	}
}
