package engine

import (
	"slices"
	"sync"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// removedIDs has the canonical ids of the profiles that the entry at seq removed. Their exits are
// reported after the entry, when the state no longer has their ids.
type removedIDs struct {
	seq uint64
	ids map[uint32]string
}

// add records the id of a profile that is about to be detached. It costs nothing while no profile is
// removed.
func (d *removedIDs) add(r *root, ordinal uint32) {
	if d.seq != r.seq || d.ids == nil {
		d.seq, d.ids = r.seq, map[uint32]string{}
	}
	if ref, ok := r.canonical(ordinal); ok {
		d.ids[ordinal] = ref.ID
	}
}

// Departures are the profiles that have moved away from a shard since WatchDepartures was called. A
// caller that holds ordinals from that time reads their ids here later.
type Departures struct {
	mu  sync.Mutex
	ids map[uint32]string // canonical ids by ordinal
}

// ID returns the id of a profile that has moved away.
func (d *Departures) ID(ordinal uint32) (id string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok = d.ids[ordinal]
	return id, ok
}

// WatchDepartures starts recording the profiles that move away. The caller must call Unwatch.
func (s *Shard) WatchDepartures() *Departures {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &Departures{ids: map[uint32]string{}}
	s.watching = append(s.watching, d)
	return d
}

// Unwatch ends what WatchDepartures began.
func (s *Shard) Unwatch(d *Departures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching = slices.DeleteFunc(s.watching, func(other *Departures) bool { return other == d })
}

// recordDeparture tells the watchers that a profile moves away. REQUIRES: it still has its ids.
func (s *Shard) recordDeparture(ordinal uint32) {
	if len(s.watching) == 0 {
		return
	}
	ref, _ := s.root.canonical(ordinal)
	for _, d := range s.watching {
		d.mu.Lock()
		d.ids[ordinal] = ref.ID
		d.mu.Unlock()
	}
}

// IDs appends the canonical id of each ordinal to ids, "" for an ordinal without a profile. Profiles
// that the last entry removed still have their ids until the next entry is applied.
func (s *Shard) IDs(ordinals []uint32, ids []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ordinal := range ordinals {
		ref, ok := s.root.canonical(ordinal)
		if !ok && s.removed.seq == s.root.seq {
			ref.ID = s.removed.ids[ordinal]
		}
		ids = append(ids, ref.ID)
	}
	return ids
}

// AttributeValue returns the value of an attribute of a profile, the missing value where there is none.
func (v *View) AttributeValue(id, ordinal uint32) tree.Value {
	i := columnsOfEveryShard + int(id) - int(query.FirstAttribute)
	if id < query.FirstAttribute || i >= len(v.root.columns) {
		return tree.Value{}
	}
	return v.root.columns[i].value(ordinal)
}
