package engine

import (
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
)

// View is a shard at one seq, immutable. Several goroutines may read it. It must not be read after
// Release, because the shard may then overwrite memory it shares with the view.
type View struct {
	shard    *Shard
	root     *root
	epoch    uint64
	released atomic.Bool
	due      int64    // see Shard.Due
	hidden   []uint32 // hidden profiles, ascending; see Hide
}

// Image is a view that can be written as a snapshot.
type Image struct {
	*View
	merges []byte // state of the merge protocol
}

var (
	_ query.Source    = (*View)(nil)
	_ query.Describer = (*View)(nil)
)

// View returns the state after the last entry applied. The caller must release it; until then, pages
// are copied before they are written. It takes microseconds, except that the first reader to arrive
// while an entry is being applied waits for that entry.
func (s *Shard) View() *View {
	if v := s.TryView(); v != nil {
		return v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.viewLocked()
}

// Image is View for a snapshot. The more merges are in progress, the longer it takes.
func (s *Shard) Image() *Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Image{s.viewLocked(), s.machine.AppendState(nil)}
}

// TryView is View, but returns nil instead of waiting. A caller that views many shards can leave the
// busy ones until last.
func (s *Shard) TryView() *View {
	if s.mu.TryLock() {
		defer s.mu.Unlock()
		return s.viewLocked()
	}
	s.wanted.Store(publishEntries)
	p := s.published.Load()
	if p == nil || p.root.seq != s.applied.Load() || !s.epochs.retain(p.epoch) {
		return nil
	}
	return &View{shard: s, root: p.root, epoch: p.epoch, due: p.due}
}

// Views returns a view of each of several shards, all at one moment: it locks all of them, and so
// blocks them until the last of the entries being applied is done. The order of shards must be the
// same in all calls.
func Views(shards []*Shard) []*View {
	views := make([]*View, len(shards))
	for _, s := range shards {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	for i, s := range shards {
		views[i] = s.viewLocked()
	}
	return views
}

// publishEntries is the number of entries after which a shard stops publishing views, unless a reader
// has found it busy again. Each published view makes the next entry copy what it writes.
const publishEntries = 64

// publish publishes the state after an entry, for readers that arrive while the next ones are
// applied. REQUIRES: the lock is held.
func (s *Shard) publish() {
	last := s.published.Load()
	s.nextDue.Store(s.live.due())
	if s.wanted.Load() > 0 {
		s.wanted.Add(-1)
		s.published.Store(s.viewLocked())
	} else if last != nil {
		s.published.Store(nil)
	}
	s.applied.Store(s.root.seq)
	if last != nil {
		last.Release()
	}
}

func (s *Shard) viewLocked() *View {
	return &View{shard: s, root: s.root, epoch: s.epochs.freeze(), due: s.nextDue.Load()}
}

// Due returns the first instant (Unix ms) at which time alone may change a membership,
// calendar.Forever if there is none. Before that instant an entry that only moves time changes
// nothing else. If something is already due, such as the next step of a segment being built, it
// returns 0.
func (s *Shard) Due() int64 { return s.nextDue.Load() }

// SettledTo returns the last instant, at most now, for which the memberships of the view match their
// predicates: the view's own time, or later if nothing is due in between.
func (v *View) SettledTo(now int64) int64 { return max(v.root.time, min(now, v.due-1)) }

// Release releases the view. Releasing it again does nothing.
func (v *View) Release() {
	if !v.released.Swap(true) {
		v.shard.epochs.release(v.epoch)
	}
}

// Seq returns the seq of the last entry in the view.
func (v *View) Seq() uint64 { return v.root.seq }

// Time returns the shard's replicated time, Unix ms.
func (v *View) Time() int64 { return v.root.time }

// Catalog returns the catalog of the view.
func (v *View) Catalog() *catalog.State { return v.root.catalog }

// Hash returns the state hash of the view.
func (v *View) Hash() [16]byte { return v.root.hash.bytes() }

// Chunks implements query.Source.
func (v *View) Chunks() int { return len(v.root.profiles) }

// Size returns the numbers of profiles and events.
func (v *View) Size() (profiles, events int64) {
	for _, chunk := range v.root.profiles {
		if chunk != nil {
			profiles += int64(chunk.count())
		}
	}
	for _, table := range v.root.events {
		if table != nil {
			events += table.rows
		}
	}
	for _, ordinal := range v.hidden {
		profiles--
		for event := range v.root.events {
			v.root.eachEvent(uint32(event), ordinal, func(*query.Block, int) { events-- })
		}
	}
	return profiles, events
}

// Ordinals returns the profiles of all chunks.
func (v *View) Ordinals() *roaring.Bitmap {
	return ordinalsOf(v.Chunks(), func(chunk int, out *query.Bits) { v.Profiles(chunk, out) })
}

// Profiles implements query.Source.
func (v *View) Profiles(chunk int, out *query.Bits) int {
	if chunk >= len(v.root.profiles) {
		*out = query.Bits{}
		return 0
	}
	n := v.root.profiles[chunk].fill(out)
	if v.hidden != nil {
		n -= v.clearHidden(chunk, out)
	}
	return n
}

// Attribute implements query.Source.
func (v *View) Attribute(id uint32, chunk int) []query.Vec {
	return v.root.attribute(id).vecs(chunk)
}

// attribute returns the column of an attribute, nil if there is none.
func (r *root) attribute(id uint32) *column {
	i := columnsOfEveryShard + int(id) - int(query.FirstAttribute)
	switch {
	case id == query.AttrFirstSeen:
		i = columnFirstSeen
	case id == query.AttrLastSeen:
		i = columnLastSeen
	case id < query.FirstAttribute || i >= len(r.columns):
		return nil
	}
	return r.columns[i]
}

// ValueSets implements query.Source.
func (v *View) ValueSets(id uint32, chunk int) query.ValueSets {
	c := v.root.attribute(id)
	if c == nil || chunk >= len(c.chunks) || c.chunks[chunk] == nil || c.chunks[chunk].sets == nil {
		return nil
	}
	return c.chunks[chunk].sets
}

// Series implements query.Source.
func (v *View) Series(event uint32, chunk int) query.Series {
	s := v.root.series(event, chunk)
	if s == nil {
		return query.Series{}
	}
	return s.read()
}

// series returns a series that has rows, else nil.
func (r *root) series(event uint32, chunk int) *series {
	if int(event) >= len(r.events) || chunk >= len(r.events[event].chunks) {
		return nil
	}
	s := r.events[event].chunks[chunk]
	if s == nil || s.rows == 0 {
		return nil
	}
	return s
}

// Events implements query.Source.
func (v *View) Events(chunk int) []uint32 {
	var events []uint32
	for event := range v.root.events {
		if v.root.series(uint32(event), chunk) != nil {
			events = append(events, uint32(event))
		}
	}
	return events
}

// ID implements query.Source.
func (v *View) ID(ordinal uint32) string {
	ref, _ := v.root.canonical(ordinal)
	return ref.ID
}

// UserID implements query.Source.
func (v *View) UserID(ordinal uint32) (id string, ok bool) {
	code, ok := v.root.columns[columnUserOf].raw(ordinal)
	if !ok {
		return "", false
	}
	return v.root.users.text(uint32(code)), true
}

// AnonymousID implements query.Source.
func (v *View) AnonymousID(ordinal uint32) (id string, ok bool) {
	code, ok := v.root.columns[columnAnonymousOf].raw(ordinal)
	if !ok {
		return "", false
	}
	return v.root.anons.text(uint32(code)), true
}

// Find implements query.Source.
func (v *View) Find(id string) (ordinal uint32, ok bool) {
	ordinal, ok = v.root.findLiteral(id)
	if ok && v.hidden != nil {
		return v.findVisible(id, ordinal)
	}
	return ordinal, ok
}

// Refs returns all ids of a profile: user ids, then anonymous ones, the canonical one first.
func (v *View) Refs(ordinal uint32) []identity.Ref { return v.root.refs(ordinal) }

// InList implements query.Source.
func (v *View) InList(id uint32, chunk int, out *query.Bits) {
	*out = query.Bits{}
	if int(id) < len(v.root.lists) && v.root.lists[id] != nil && chunk < len(v.root.lists[id].members) {
		v.root.lists[id].members[chunk].fill(out)
	}
}

// Inputs implements query.Source. A view has none.
func (v *View) Inputs() []query.Set { return nil }

// ListIDs returns the ids of a static list, with or without a profile, in the order in which they
// were first added.
func (v *View) ListIDs(id uint32) []string {
	if int(id) >= len(v.root.lists) || v.root.lists[id] == nil {
		return nil
	}
	l := v.root.lists[id]
	var ids []string
	for code := range l.codes {
		if _, ok := l.listed.raw(uint32(code)); ok {
			ids = append(ids, l.ids.text(uint32(code)))
		}
	}
	return ids
}

// Overflowed reports whether a property has more values than are held in memory, so that queries that
// read it fail.
func (v *View) Overflowed(event, property uint32) bool {
	return int(event) < len(v.root.events) && int(property) < len(v.root.events[event].props) &&
		v.root.events[event].props[property].overflowed
}
