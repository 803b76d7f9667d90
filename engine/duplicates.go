package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"
)

// duplicateCodes returns those of the first codes of a dictionary whose value an earlier code also
// has, each mapped to the first code of the value. A sound state has none.
func duplicateCodes(d *dictionary, codes int) map[uint32]uint32 {
	type hashed struct {
		hash uint64
		code uint32
	}
	all := make([]hashed, codes)
	for code := range uint32(codes) {
		all[code] = hashed{xxh3.Hash(d.bytes(code)), code}
	}
	slices.SortFunc(all, func(a, b hashed) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.code, b.code)) })
	var duplicates map[uint32]uint32
	for i := 1; i < len(all); i++ {
		for j := i - 1; j >= 0 && all[j].hash == all[i].hash; j-- {
			if d.text(all[j].code) != d.text(all[i].code) {
				continue
			}
			if duplicates == nil {
				duplicates = map[uint32]uint32{}
			}
			first := all[j].code
			if earlier, ok := duplicates[first]; ok {
				first = earlier
			}
			duplicates[all[i].code] = first
			break
		}
	}
	return duplicates
}

// findLast rebuilds the index so that it finds the last of several codes of a value.
func (d *dictionary) findLast() {
	n := d.Len()
	hidden := map[uint32]bool{}
	last := map[uint32]uint32{} // last code of each value that has several, by its first code
	for code, first := range duplicateCodes(d, n) {
		last[first] = max(last[first], code)
		hidden[first] = true
	}
	for code, first := range duplicateCodes(d, n) {
		hidden[code] = code != last[first]
	}
	d.index = codeIndex{}
	for code := range uint32(n) {
		if !hidden[code] {
			d.index.add(xxh3.Hash(d.bytes(code)), code, func(code uint32) uint64 { return xxh3.Hash(d.bytes(code)) })
		}
	}
}

// ascendingCodes returns the codes of a map of duplicates in ascending order.
func ascendingCodes(duplicates map[uint32]uint32) []uint32 {
	return slices.Sorted(maps.Keys(duplicates))
}

// eachDictionary calls yield with every dictionary of the state, its name for messages and its length
// as of this version.
func (r *root) eachDictionary(yield func(name string, d *dictionary, codes int)) {
	yield("dictionary of user ids", r.users, int(r.userCodes))
	yield("dictionary of anonymous ids", r.anons, int(r.anonCodes))
	for i, c := range r.columns {
		if c.dict != nil {
			yield("dictionary of "+r.columnName(i), c.dict, c.codes)
		}
	}
	for event, table := range r.events {
		named := r.catalog.EventByID(uint32(event))
		for id, p := range table.props {
			if p.dict != nil {
				yield(fmt.Sprintf("dictionary of property %s of %q", named.Properties()[id].Name, named.Name), p.dict, p.codes)
			}
		}
	}
	for _, l := range r.catalog.AllLists() {
		if int(l.ID) < len(r.lists) && r.lists[l.ID] != nil {
			yield(fmt.Sprintf("dictionary of list %q", l.Name), r.lists[l.ID].ids, r.lists[l.ID].codes)
		}
	}
}
