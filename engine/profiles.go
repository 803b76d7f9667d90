package engine

import (
	"slices"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/zeebo/xxh3"
)

// idSpace is one of the two kinds of ids, with its dictionary and the columns that belong to it.
type idSpace struct {
	dict  *dictionary
	codes *uint32
	owner int // column: ordinal by code
	of    int // column: code by ordinal
	next  int // column: code of the profile's next id by code
	home  int // column: state by code
	kind  uint64
}

func (s *Shard) space(anonymous bool) idSpace { return s.root.space(anonymous) }

func (r *root) space(anonymous bool) idSpace {
	if anonymous {
		return idSpace{r.anons, &r.anonCodes, columnAnonOwner, columnAnonymousOf, columnAnonNext, columnAnonHome, factAnonymousID}
	}
	return idSpace{r.users, &r.userCodes, columnUserOwner, columnUserOf, columnUserNext, columnUserHome, factUserID}
}

// intern returns the code of an id. An id without a code gets one. REQUIRES: the root is owned.
func (x idSpace) intern(id string) uint32 {
	return x.internHashed(id, xxh3.HashString(id))
}

// internHashed is intern for an id whose hash is known.
func (x idSpace) internHashed(id string, hash uint64) uint32 {
	if code, ok := x.dict.find(id, hash); ok {
		return code
	}
	code := x.dict.add(id, hash)
	*x.codes = code + 1
	return code
}

// find returns the code of an id as of the root.
func (x idSpace) find(id string) (uint32, bool) {
	code, ok := x.dict.find(id, xxh3.HashString(id))
	return code, ok && code < *x.codes
}

// ordinal returns the profile with the literal id.
func (s *Shard) ordinal(ref identity.Ref) (uint32, bool) { return s.root.ordinal(ref) }

func (r *root) ordinal(ref identity.Ref) (uint32, bool) {
	x := r.space(ref.Anonymous)
	code, ok := x.find(ref.ID)
	if !ok {
		return 0, false
	}
	raw, ok := r.columns[x.owner].raw(code)
	return uint32(raw), ok
}

// named returns the profile whose canonical id is ref, not one that merely has ref among its ids.
func (s *Shard) named(ref identity.Ref) (uint32, bool) { return s.root.named(ref) }

func (r *root) named(ref identity.Ref) (uint32, bool) {
	ordinal, ok := r.ordinal(ref)
	if !ok {
		return 0, false
	}
	canonical, _ := r.canonical(ordinal)
	return ordinal, canonical == ref
}

// profileOf returns the profile with the literal id, and creates it if there is none. REQUIRES: the
// root is owned.
func (s *Shard) profileOf(ref identity.Ref) uint32 {
	x := s.space(ref.Anonymous)
	return s.profileOfCode(ref, x, x.intern(ref.ID))
}

// profileOfCode is profileOf for an id whose code is known.
func (s *Shard) profileOfCode(ref identity.Ref, x idSpace, code uint32) uint32 {
	if raw, ok := s.root.columns[x.owner].raw(code); ok {
		return uint32(raw)
	}
	ordinal := s.root.ordinals
	s.root.ordinals++
	chunk := int(ordinal >> query.ChunkBits)
	for len(s.root.profiles) <= chunk {
		s.root.profiles = append(s.root.profiles, nil)
	}
	profiles, _ := s.root.profiles[chunk].add(&s.epochs, uint16(ordinal))
	if profiles.count() == fewPositions {
		profiles.bitmap.RunOptimize() // ordinals are given in order: one run, which is short and quick to write out
	}
	s.root.profiles[chunk] = profiles
	if s.live != nil {
		s.live.tracker.Profile(ordinal)
	}
	s.attach(ref, ordinal)
	return ordinal
}

// attach adds an id that has no profile to a profile. REQUIRES: the root is owned.
func (s *Shard) attach(ref identity.Ref, ordinal uint32) {
	x := s.space(ref.Anonymous)
	code := x.intern(ref.ID)
	shadowed, isShadowed := uint32(0), false
	if !ref.Anonymous {
		shadowed, isShadowed = s.ordinal(identity.Anon(ref.ID))
	}
	s.column(x.owner).set(&s.epochs, code, int64(ordinal))
	if first, has := s.root.columns[x.of].raw(ordinal); has {
		// The first id stays first; the new one goes right after it in the chain.
		next := s.column(x.next)
		if second, ok := next.raw(uint32(first)); ok {
			next.set(&s.epochs, code, second)
		}
		next.set(&s.epochs, uint32(first), int64(code))
	} else {
		s.column(x.of).set(&s.epochs, ordinal, int64(code))
	}
	s.root.hash = s.root.hash.add(idFact(x.kind, ref.ID, ordinal))
	s.listAttached(ref.ID, ordinal)
	if s.live != nil {
		s.live.tracker.IDs(ordinal)
	}
	if isShadowed && shadowed != ordinal {
		s.relist(shadowed)
	}
}

// detach removes all ids from a profile. REQUIRES: the root is owned.
func (s *Shard) detach(ordinal uint32) {
	for _, ref := range s.root.refs(ordinal) {
		x := s.space(ref.Anonymous)
		code, _ := x.find(ref.ID)
		s.column(x.owner).clear(&s.epochs, code)
		s.column(x.next).clear(&s.epochs, code)
		s.column(x.of).clear(&s.epochs, ordinal)
		s.root.hash = s.root.hash.sub(idFact(x.kind, ref.ID, ordinal))
	}
}

// refs returns the ids of a profile: user ids, then anonymous ones, each kind in the order in which
// they were attached.
func (r *root) refs(ordinal uint32) []identity.Ref {
	refs := r.chain(nil, r.users, columnUserOf, columnUserNext, ordinal, false)
	return r.chain(refs, r.anons, columnAnonymousOf, columnAnonNext, ordinal, true)
}

func (r *root) chain(refs []identity.Ref, dict *dictionary, of, next int, ordinal uint32, anonymous bool) []identity.Ref {
	code, ok := r.columns[of].raw(ordinal)
	later := len(refs) + 1
	for ok {
		refs = append(refs, identity.Ref{Anonymous: anonymous, ID: dict.text(uint32(code))})
		code, ok = r.columns[next].raw(uint32(code))
	}
	if later < len(refs) {
		slices.Reverse(refs[later:])
	}
	return refs
}

// canonical returns the id that names a profile: its first user id, else its first anonymous id.
func (r *root) canonical(ordinal uint32) (ref identity.Ref, ok bool) {
	if code, ok := r.columns[columnUserOf].raw(ordinal); ok {
		return identity.User(r.users.text(uint32(code))), true
	}
	if code, ok := r.columns[columnAnonymousOf].raw(ordinal); ok {
		return identity.Anon(r.anons.text(uint32(code))), true
	}
	return identity.Ref{}, false
}
