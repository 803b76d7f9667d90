package engine

import (
	"github.com/musterdb/muster/engine/identity"
	"github.com/zeebo/xxh3"
)

// identityStore is the shard as the merge protocol sees it. The state of an id in its home shard is a
// column indexed by the id's code. A value has the code of the owner + 1, a bit for the owner's kind,
// and the state. The states Live and Unknown are not stored; they follow from the owner columns.
type identityStore struct{ *Shard }

var _ identity.Store = identityStore{}

const (
	homeStateBits = 3
	homeAnonymous = 1 << homeStateBits
	homeCodeShift = homeStateBits + 1
)

// home returns the state of an id whose home is this shard.
func (s *Shard) home(id identity.Ref) identity.Home { return s.root.home(id, s.space(id.Anonymous)) }

func (r *root) home(id identity.Ref, x idSpace) identity.Home {
	code, ok := x.find(id.ID)
	if !ok {
		return identity.Home{}
	}
	if raw, ok := r.columns[x.home].raw(code); ok {
		return r.decodeHome(raw)
	}
	ordinal, ok := r.columns[x.owner].raw(code)
	if !ok {
		return identity.Home{}
	}
	if canonical, _ := r.canonical(uint32(ordinal)); canonical != id {
		return identity.Home{} // another id of the profile; its own home is elsewhere
	}
	return identity.Home{State: identity.Live}
}

func (r *root) decodeHome(raw int64) identity.Home {
	home := identity.Home{State: identity.State(raw & (1<<homeStateBits - 1))}
	code := uint32(raw >> homeCodeShift)
	switch {
	case code == 0:
	case raw&homeAnonymous != 0:
		home.To = identity.Anon(r.anons.text(code - 1))
	default:
		home.To = identity.User(r.users.text(code - 1))
	}
	return home
}

// Home implements identity.Store.
func (h identityStore) Home(id identity.Ref) identity.Home { return h.home(id) }

// SetHome implements identity.Store.
func (h identityStore) SetHome(id identity.Ref, home identity.Home) {
	x := h.space(id.Anonymous)
	code := x.intern(id.ID)
	if old, ok := h.root.columns[x.home].raw(code); ok {
		h.root.hash = h.root.hash.sub(homeFact(id, h.root.decodeHome(old)))
	}
	h.forgetFacts(id)
	if home.State <= identity.Live {
		h.column(x.home).clear(&h.epochs, code)
		return
	}
	raw := int64(home.State)
	if home.To != (identity.Ref{}) {
		raw |= int64(h.space(home.To.Anonymous).intern(home.To.ID)+1) << homeCodeShift
		if home.To.Anonymous {
			raw |= homeAnonymous
		}
	}
	h.column(x.home).set(&h.epochs, code, raw)
	h.root.hash = h.root.hash.add(homeFact(id, home))
}

func homeFact(id identity.Ref, home identity.Home) factSum {
	return fact(factHome, hashRef(id), hashRef(home.To), uint64(home.State))
}

func hashRef(ref identity.Ref) uint64 {
	hash := xxh3.HashString(ref.ID)
	if ref.Anonymous {
		return mix(hash, mixC)
	}
	return hash
}

// Linked implements identity.Store.
func (h identityStore) Linked(owner, id identity.Ref) bool {
	of, ok := h.ordinal(owner)
	if !ok {
		return false
	}
	with, ok := h.ordinal(id)
	return ok && of == with
}

// requestMerge asks the merge protocol to join target to owner.
func (s *Shard) requestMerge(owner, target identity.Ref, alias bool) {
	owner.ID, target.ID = textOf(owner.ID), textOf(target.ID)
	if s.machine.Want(owner, target, alias) {
		s.merged = true
	}
}

// alias joins the profile that previous names to the user. The message does not say of which kind
// previous is, so it requests a merge for both kinds; an id that nobody has used is only a redirect
// from then on.
func (s *Shard) alias(owner identity.Ref, previous string) {
	s.requestMerge(owner, identity.Anon(previous), true)
	if previous != owner.ID {
		s.requestMerge(owner, identity.User(previous), true)
	}
}

// applyIdentity applies one step of a merge. It copies the ids, since the decoder's memory is reused.
func (s *Shard) applyIdentity(step identity.Command, result *Result) {
	step.Owner, step.Target, step.Next = cloneRef(step.Owner), cloneRef(step.Target), cloneRef(step.Next)
	result.Identity = s.machine.Apply(step)
	s.root.needs, s.root.absorbed = s.machine.Needs(), s.machine.Absorbed()
	s.merged = true
}

func cloneRef(ref identity.Ref) identity.Ref {
	return identity.Ref{Anonymous: ref.Anonymous, ID: textOf(ref.ID)}
}

// Outbox returns the merges this shard drives, in order, and the moment at which they were read.
func (s *Shard) Outbox() ([]identity.Merge, identity.Moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.Outbox(), identity.Moment{Shard: s.config.Number, Seq: s.root.seq}
}

// Part returns one part of the facts of a profile that is frozen for owner; ok is false if there is
// none.
func (s *Shard) Part(owner, target identity.Ref, part int) (data []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.Part(owner, target, part)
}

// Home returns the state of an id whose home is this shard.
func (s *Shard) Home(id identity.Ref) identity.Home {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.home(id)
}
