package engine

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// departed keeps the canonical ids of the profiles that the entry at seq removed: their exits are
// told after the entry, when the state names them no more.
type departed struct {
	seq uint64
	ids map[uint32]string
}

// add remembers the id of a profile about to be detached. It is free while nothing is removed.
func (d *departed) add(r *root, ordinal uint32) {
	if d.seq != r.seq || d.ids == nil {
		d.seq, d.ids = r.seq, map[uint32]string{}
	}
	if ref, ok := r.canonical(ordinal); ok {
		d.ids[ordinal] = ref.ID
	}
}

// IDs appends the canonical id of each ordinal to ids, "" for one that names nobody. Profiles that the
// last entry removed still have theirs, until the next entry is applied.
func (s *Shard) IDs(ordinals []uint32, ids []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ordinal := range ordinals {
		ref, ok := s.root.canonical(ordinal)
		if !ok && s.departed.seq == s.root.seq {
			ref.ID = s.departed.ids[ordinal]
		}
		ids = append(ids, ref.ID)
	}
	return ids
}

// AttributeValue returns the value of an attribute of a profile; missing where there is none.
func (v *View) AttributeValue(id, ordinal uint32) tree.Value {
	i := columnsOfEveryShard + int(id) - int(query.FirstAttribute)
	if id < query.FirstAttribute || i >= len(v.root.columns) {
		return tree.Value{}
	}
	return v.root.columns[i].value(ordinal)
}
