package engine

import (
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// list is a static list: the ids on it, and the profiles with these ids. An id may have no profile
// yet.
type list struct {
	epoch   uint64
	ids     *dictionary
	codes   int     // of ids, as of this version
	listed  *column // 1 for the codes of ids that are on the list
	members []*set
}

func (l *list) own(e *epochs) *list {
	if !e.isFrozen(l.epoch) {
		return l
	}
	copied := *l
	copied.epoch = e.current
	copied.members = append([]*set(nil), l.members...)
	return &copied
}

// has reports whether an id is on the list.
func (l *list) has(id string) bool {
	code, ok := l.ids.find(id, xxh3.HashString(id))
	if !ok {
		return false
	}
	_, ok = l.listed.raw(code)
	return ok
}

// list returns a list for writing. REQUIRES: the root is owned.
func (s *Shard) list(id uint32) *list {
	for len(s.root.lists) <= int(id) {
		s.root.lists = append(s.root.lists, nil)
	}
	l := s.root.lists[id]
	if l == nil {
		l = &list{epoch: s.epochs.current, ids: newDictionary(tree.StringType), listed: &column{epoch: s.epochs.current, t: tree.NumberType}}
	}
	l = l.own(&s.epochs)
	l.listed = l.listed.own(&s.epochs)
	s.root.lists[id] = l
	return l
}

func (s *Shard) applyList(update ListUpdate, result *Result) {
	if !s.knownList(update.List) {
		result.Refused, result.Reason = 1, ReasonNames
		return
	}
	l := s.list(update.List)
	for _, id := range update.Add {
		if id == "" || len(id) > maxIDBytes || l.has(id) {
			continue
		}
		hash := xxh3.HashString(id)
		code, ok := l.ids.find(id, hash)
		if !ok {
			code = l.ids.add(id, hash)
			l.codes = int(code) + 1
		}
		l.listed.set(&s.epochs, code, 1)
		s.root.hash = s.root.hash.add(fact(factListed, uint64(update.List), hash, 0))
		if ordinal, ok := s.root.findLiteral(id); ok {
			s.setListMember(update.List, ordinal, true)
		}
	}
	for _, id := range update.Remove {
		if !l.has(id) {
			continue
		}
		hash := xxh3.HashString(id)
		code, _ := l.ids.find(id, hash)
		l.listed.clear(&s.epochs, code)
		s.root.hash = s.root.hash.sub(fact(factListed, uint64(update.List), hash, 0))
		if ordinal, ok := s.root.findLiteral(id); ok {
			s.setListMember(update.List, ordinal, s.root.onList(l, ordinal))
		}
	}
	s.shrinkList(update.List, l)
}

// listSlack is the number of codes up to which a list is not shrunk.
const listSlack = 1024

// shrinkList frees the memory of ids that are no longer on a list: of all of them when the list is
// empty, else once they are three times as many as the ids on it. REQUIRES: l is owned.
func (s *Shard) shrinkList(id uint32, l *list) {
	n := int(l.listed.count)
	if n == 0 {
		s.root.lists[id] = nil
		return
	}
	if l.codes <= listSlack || l.codes/4 < n {
		return
	}
	ids, listed := newDictionary(tree.StringType), &column{epoch: s.epochs.current, t: tree.NumberType}
	for code := range l.codes {
		if _, ok := l.listed.raw(uint32(code)); ok {
			text := l.ids.text(uint32(code))
			listed.set(&s.epochs, ids.add(text, xxh3.HashString(text)), 1)
		}
	}
	l.ids, l.codes, l.listed = ids, n, listed
}

// knownList reports whether the catalog has a list with the id.
func (s *Shard) knownList(id uint32) bool {
	for _, l := range s.root.catalog.AllLists() {
		if l.ID == id {
			return true
		}
	}
	return false
}

func (s *Shard) dropList(id uint32) {
	if int(id) >= len(s.root.lists) || s.root.lists[id] == nil {
		return
	}
	l := s.root.lists[id]
	for code := range l.codes {
		if _, ok := l.listed.raw(uint32(code)); ok {
			s.root.hash = s.root.hash.sub(fact(factListed, uint64(id), xxh3.Hash(l.ids.bytes(uint32(code))), 0))
		}
	}
	s.root.lists[id] = nil
}

// setMember sets whether a profile is a member. REQUIRES: l is owned.
func (l *list) setMember(e *epochs, ordinal uint32, member bool) {
	chunk := int(ordinal >> query.ChunkBits)
	for len(l.members) <= chunk {
		l.members = append(l.members, nil)
	}
	if member {
		l.members[chunk], _ = l.members[chunk].add(e, uint16(ordinal))
	} else {
		l.members[chunk], _ = l.members[chunk].remove(e, uint16(ordinal))
	}
}

// setListMember sets whether a profile is a member of a list. REQUIRES: the root is owned.
func (s *Shard) setListMember(list, ordinal uint32, member bool) {
	s.list(list).setMember(&s.epochs, ordinal, member)
	if s.live != nil {
		s.live.tracker.Listed(ordinal, list)
	}
}

// findLiteral returns the profile with an id: as a user id if there is one, else as an anonymous id.
func (r *root) findLiteral(id string) (uint32, bool) {
	hash := xxh3.HashString(id)
	if code, ok := r.users.find(id, hash); ok && code < r.userCodes {
		if raw, ok := r.columns[columnUserOwner].raw(code); ok {
			return uint32(raw), true
		}
	}
	if code, ok := r.anons.find(id, hash); ok && code < r.anonCodes {
		if raw, ok := r.columns[columnAnonOwner].raw(code); ok {
			return uint32(raw), true
		}
	}
	return 0, false
}

// onList reports whether an id that finds the profile is on the list.
func (r *root) onList(l *list, ordinal uint32) bool {
	for _, ref := range r.refs(ordinal) {
		if found, ok := r.findLiteral(ref.ID); ok && found == ordinal && l.has(ref.ID) {
			return true
		}
	}
	return false
}

// listAttached makes a profile a member of the lists that have an id it was just given.
func (s *Shard) listAttached(id string, ordinal uint32) {
	for i, l := range s.root.lists {
		if l != nil && l.has(id) {
			if found, ok := s.root.findLiteral(id); ok && found == ordinal {
				s.setListMember(uint32(i), ordinal, true)
			}
		}
	}
}

// relist updates the list memberships of a profile one of whose ids may now mean another profile.
func (s *Shard) relist(ordinal uint32) {
	for i, l := range s.root.lists {
		if l != nil {
			s.setListMember(uint32(i), ordinal, s.root.onList(l, ordinal))
		}
	}
}

// unlist removes a profile that disappears from the members of all lists. Its ids stay on the lists.
func (s *Shard) unlist(ordinal uint32) {
	for i, l := range s.root.lists {
		if l != nil {
			s.setListMember(uint32(i), ordinal, false)
		}
	}
}

// shadowedBy returns the anonymous profiles that the user ids of a profile shadow: an anonymous id
// has the same text as a user id, and a literal id finds the user first.
func (s *Shard) shadowedBy(ordinal uint32) (shadowed []uint32) {
	for _, ref := range s.root.refs(ordinal) {
		if other, ok := s.ordinal(identity.Anon(ref.ID)); ok && !ref.Anonymous && other != ordinal {
			shadowed = append(shadowed, other)
		}
	}
	return shadowed
}
