package querytest

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// valueSets holds which profiles of a chunk have each value of an attribute.
type valueSets struct {
	dict    query.Dict
	codes   []uint32
	holders map[uint32]query.Holders
}

var _ query.ValueSets = (*valueSets)(nil)

// newValueSets returns the sets for the pages of an attribute of booleans, or of strings in one dictionary.
func newValueSets(pages []query.Vec, d *dict, t tree.Type, rng *rand.Rand) *valueSets {
	v := &valueSets{holders: map[uint32]query.Holders{}}
	if t == tree.StringType {
		v.dict = d
	}
	sets := map[uint32]*query.Bits{}
	for i := range pages {
		for row := range pages[i].Rows {
			raw, ok := pages[i].Raw(row)
			if !ok {
				continue
			}
			if sets[uint32(raw)] == nil {
				sets[uint32(raw)] = new(query.Bits)
			}
			sets[uint32(raw)].Set(uint16(i*query.PageRows + row))
		}
	}
	v.codes = slices.Sorted(maps.Keys(sets))
	for _, code := range v.codes {
		v.holders[code] = holders(sets[code], rng)
	}
	return v
}

// holders returns a set as a bitmap, half of the time with runs where these are shorter.
func holders(b *query.Bits, rng *rand.Rand) query.Holders {
	set := roaring.FromDense(b[:], true)
	if rng.IntN(2) == 0 {
		set.RunOptimize()
	}
	return query.HoldersOf(set)
}

// Dict implements query.ValueSets.
func (v *valueSets) Dict() query.Dict { return v.dict }

// Codes implements query.ValueSets.
func (v *valueSets) Codes() []uint32 { return v.codes }

// Holders implements query.ValueSets.
func (v *valueSets) Holders(code uint32) query.Holders { return v.holders[code] }
