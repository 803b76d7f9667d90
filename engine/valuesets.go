package engine

import (
	"slices"

	"github.com/musterdb/muster/query"
)

// maxValueSets is the number of different values in a chunk up to which a string or boolean attribute
// keeps a set of profiles for each of them.
const maxValueSets = 256

// valueSets has, for one attribute and one chunk, the set of profiles of each value. It is derived
// from the column and follows every write of it.
type valueSets struct {
	epoch uint64
	dict  *dictionary // nil for booleans
	codes []uint32    // of the values that a profile has, ascending
	sets  []*set      // parallel to codes, none empty
}

var _ query.ValueSets = (*valueSets)(nil)

// Dict implements query.ValueSets.
func (v *valueSets) Dict() query.Dict { return dictOrNil(v.dict) }

// Codes implements query.ValueSets.
func (v *valueSets) Codes() []uint32 { return v.codes }

// Holders implements query.ValueSets.
func (v *valueSets) Holders(code uint32) query.Holders {
	i, ok := slices.BinarySearch(v.codes, code)
	if !ok {
		return query.Holders{}
	}
	return v.sets[i].holders()
}

// own returns v, or a copy that may be written.
func (v *valueSets) own(e *epochs) *valueSets {
	if !e.isFrozen(v.epoch) {
		return v
	}
	return &valueSets{epoch: e.current, dict: v.dict, codes: slices.Clone(v.codes), sets: slices.Clone(v.sets)}
}

// add adds a position to the set of a code. It returns false if there would be too many sets.
// REQUIRES: v is owned, and pos is in no set.
func (v *valueSets) add(e *epochs, pos uint16, code uint32) bool {
	i, known := slices.BinarySearch(v.codes, code)
	if !known {
		if len(v.codes) == maxValueSets {
			return false
		}
		v.codes = slices.Insert(v.codes, i, code)
		v.sets = slices.Insert(v.sets, i, nil)
	}
	v.sets[i], _ = v.sets[i].add(e, pos)
	return true
}

// remove removes a position from the set of a code. REQUIRES: v is owned, and pos is in it.
func (v *valueSets) remove(e *epochs, pos uint16, code uint32) {
	i, _ := slices.BinarySearch(v.codes, code)
	set, _ := v.sets[i].remove(e, pos)
	if set.count() == 0 {
		v.codes, v.sets = slices.Delete(v.codes, i, i+1), slices.Delete(v.sets, i, i+1)
		return
	}
	v.sets[i] = set
}

// index updates the sets after a change of one cell: pos had value from (if had), and now has value
// to (if has). REQUIRES: t is owned.
func (t *pageTable) index(e *epochs, dict *dictionary, pos uint16, from, to int64, had, has bool) {
	if t.crowded || had == has && from == to {
		return
	}
	if t.sets == nil {
		t.sets = &valueSets{epoch: e.current, dict: dict}
	}
	t.sets = t.sets.own(e)
	if had {
		t.sets.remove(e, pos, uint32(from))
	}
	if has && !t.sets.add(e, pos, uint32(to)) {
		t.sets, t.crowded = nil, true
	}
}

// check compares the sets with the column they are derived from.
func (v *valueSets) check(t *pageTable) bool {
	total := 0
	for i, set := range v.sets {
		if set.count() == 0 || set.validate() != nil || i > 0 && v.codes[i-1] >= v.codes[i] {
			return false
		}
		total += set.count()
	}
	for n, p := range t.pages {
		if p == nil {
			continue
		}
		for row := range query.PageRows {
			raw, ok := p.raw(row)
			if !ok {
				continue
			}
			i, known := slices.BinarySearch(v.codes, uint32(raw))
			if !known || !v.sets[i].has(uint16(n*query.PageRows+row)) {
				return false
			}
			total--
		}
	}
	return total == 0
}

func (v *valueSets) memory() (bytes int64) {
	if v == nil {
		return 0
	}
	for _, set := range v.sets {
		bytes += set.memory()
	}
	return bytes + int64(64+4*cap(v.codes)+8*cap(v.sets))
}
