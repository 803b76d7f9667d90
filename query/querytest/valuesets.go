package querytest

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// valueSets keeps who has which value of an attribute in a chunk, as bits or as a list, by chance.
type valueSets struct {
	dict    query.Dict
	codes   []uint32
	holders map[uint32]query.Holders
}

var _ query.ValueSets = (*valueSets)(nil)

// newValueSets reads the pages of an attribute of strings (all of one dictionary) or booleans.
func newValueSets(pages []query.Vec, d *dict, t tree.Type, rng *rand.Rand) *valueSets {
	v := &valueSets{holders: map[uint32]query.Holders{}}
	if t == tree.StringType {
		v.dict = d
	}
	for i := range pages {
		for row := range pages[i].Rows {
			raw, ok := pages[i].Raw(row)
			if !ok {
				continue
			}
			h := v.holders[uint32(raw)]
			h.N++
			h.List = append(h.List, uint16(i*query.PageRows+row))
			v.holders[uint32(raw)] = h
		}
	}
	v.codes = slices.Sorted(maps.Keys(v.holders))
	for _, code := range v.codes {
		v.holders[code] = bitsOrList(rng, v.holders[code])
	}
	return v
}

// bitsOrList returns a list as it is or as bits, by chance.
func bitsOrList(rng *rand.Rand, list query.Holders) query.Holders {
	if rng.IntN(2) == 0 {
		return list
	}
	b := new(query.Bits)
	list.AddTo(b)
	return query.Holders{N: list.N, Bits: b}
}

// Dict implements query.ValueSets.
func (v *valueSets) Dict() query.Dict { return v.dict }

// Codes implements query.ValueSets.
func (v *valueSets) Codes() []uint32 { return v.codes }

// Holders implements query.ValueSets.
func (v *valueSets) Holders(code uint32) query.Holders { return v.holders[code] }
