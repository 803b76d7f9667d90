package identity

import "slices"

// Store is the state of one shard as the protocol sees it. Its methods are called inside Apply, in log
// order, and must be deterministic.
type Store interface {
	// Home returns what this shard knows about an id whose home it is; SetHome changes it.
	Home(id Ref) Home
	SetHome(id Ref, h Home)
	// Linked reports whether id is attached to the owner's profile.
	Linked(owner, id Ref) bool
	// Facts returns the facts of a frozen profile in parts of at most PartBytes, the same parts on each call;
	// none for an id without a profile.
	Facts(target Ref) [][]byte
	// Absorb adds the facts of a target to the owner's profile, creating the profile if needed, and attaches
	// the target's id and its further ids. The owner's attributes win; the target's fill gaps.
	Absorb(owner, target Ref, parts [][]byte)
	// Remove removes the facts of a target that has moved. It is called once.
	Remove(target Ref)
}

// PartBytes is the greatest size of a part of a profile's facts in one absorb command.
const PartBytes = 1 << 20

// Stage is the progress of a Merge.
type Stage uint8

// The stages.
const (
	Wanted   Stage = iota // to be claimed, or being absorbed
	Absorbed              // to be released
)

// Merge is an entry of an outbox: Owner wants Target. Alias marks a Merge from an alias call, which follows
// a target that has moved elsewhere; for a mere link that is a conflict.
type Merge struct {
	Owner, Target Ref
	Alias         bool
	Stage         Stage
	Parts         [][]byte // received so far
}

// Machine is the deterministic part of the protocol in one shard.
type Machine struct {
	store     Store
	outbox    map[Ref][]*Merge // by owner, in order of arrival
	conflicts map[Ref][]Ref    // owner → ids that belong to another user, each once
	absorbed  []Pair           // merges in the outbox whose target may not have moved yet; copied on change
	needs     []uint64         // by shard, see Needs; copied on change
}

// Pair is an owner and a target.
type Pair struct{ Owner, Target Ref }

// NewMachine returns an empty Machine over a shard's store.
func NewMachine(store Store) *Machine {
	return &Machine{store: store, outbox: map[Ref][]*Merge{}, conflicts: map[Ref][]Ref{}}
}

// Want records that the owner, a live profile of this shard, is the same person as target. It reports
// whether a Merge was put in the outbox.
func (m *Machine) Want(owner, target Ref, alias bool) bool {
	if owner == target || m.store.Linked(owner, target) {
		return false
	}
	if merge := m.find(owner, target); merge != nil {
		merge.Alias = merge.Alias || alias
		return false
	}
	if !alias && slices.Contains(m.conflicts[owner], target) {
		return false
	}
	m.outbox[owner] = append(m.outbox[owner], &Merge{Owner: owner, Target: target, Alias: alias})
	return true
}

// Verdict is the response of a target to a claim.
type Verdict uint8

// The verdicts.
const (
	Granted   Verdict = iota + 1 // frozen for this owner; its facts may be read
	Elsewhere                    // it belongs to To
	Reversed                     // the target outranks the owner, and wants the owner instead
	Busy                         // the target has unfinished merges itself: try again
	Gone                         // erased
)

// Answer is the result of a claim. Parts is the number of parts of the target's facts.
type Answer struct {
	Verdict Verdict
	To      Ref
	Parts   int
}

// claim joins the target, whose home is this shard, to the owner. Repeated claims get the same answer. An
// id that has not been used is granted immediately, whatever its rank: it never becomes an owner.
func (m *Machine) claim(owner, target Ref, alias bool) Answer {
	home := m.store.Home(target)
	switch home.State {
	case Erased:
		return Answer{Verdict: Gone}
	case Moving, Moved:
		if home.To != owner {
			return Answer{Verdict: Elsewhere, To: home.To}
		}
		if home.State == Moved {
			return Answer{Verdict: Granted}
		}
		return Answer{Verdict: Granted, Parts: len(m.store.Facts(target))}
	case Live:
		if target.before(owner) {
			m.Want(target, owner, alias)
			return Answer{Verdict: Reversed}
		}
	}
	if len(m.outbox[target]) > 0 {
		return Answer{Verdict: Busy}
	}
	m.store.SetHome(target, Home{State: Moving, To: owner})
	return Answer{Verdict: Granted, Parts: len(m.store.Facts(target))}
}

// Part returns one part of a frozen target's facts. It changes nothing; ok is false if the target is not
// frozen for this owner.
func (m *Machine) Part(owner, target Ref, part int) (data []byte, ok bool) {
	if home := m.store.Home(target); home.State != Moving || home.To != owner {
		return nil, false
	}
	parts := m.store.Facts(target)
	if part < 0 || part >= len(parts) {
		return nil, false
	}
	return parts[part], true
}

// absorb takes part number part of parts; the last one adds the facts. Parts that are repeated or out of
// order are ignored. With parts 0, only the id is attached. It reports whether the owner has all of the
// target's facts: only then may the target be released. A target in this shard is released in the same
// entry, unless apart.
func (m *Machine) absorb(owner, target Ref, part, parts int, data []byte, apart bool) bool {
	merge := m.find(owner, target)
	if merge == nil {
		return m.store.Linked(owner, target)
	}
	if merge.Stage != Wanted || part != len(merge.Parts) {
		return merge.Stage == Absorbed
	}
	if parts > 0 {
		merge.Parts = append(merge.Parts, slices.Clone(data))
	}
	if len(merge.Parts) < parts {
		return false
	}
	m.store.Absorb(owner, target, merge.Parts)
	merge.Parts, merge.Stage = nil, Absorbed
	if !apart && m.release(owner, target) {
		return true // both are in this shard: one entry joins them
	}
	m.absorbed = append(slices.Clip(m.absorbed), Pair{owner, target})
	return true
}

// release marks a claimed target as moved and removes its facts. It returns true the first time.
func (m *Machine) release(owner, target Ref) bool {
	home := m.store.Home(target)
	if home.State != Moving || home.To != owner {
		return false
	}
	m.store.Remove(target)
	m.store.SetHome(target, Home{State: Moved, To: owner})
	return true
}

// Outcome is how a Merge ends.
type Outcome uint8

// The outcomes.
const (
	Done     Outcome = iota + 1 // absorbed and released
	Conflict                    // the target belongs to another user: counted, not joined
	Dropped                     // reversed, erased, or the same person already
	Retarget                    // alias: continues with another target
)

// settle removes a Merge from the outbox. With Retarget, next is wanted instead.
func (m *Machine) settle(owner, target Ref, outcome Outcome, next Ref) {
	merge := m.find(owner, target)
	if merge == nil || outcome == Done && merge.Stage != Absorbed || outcome != Done && merge.Stage == Absorbed {
		return
	}
	if outcome == Conflict && merge.Alias {
		return // an alias call arrived meanwhile: it follows the target
	}
	if merge.Stage == Absorbed {
		m.absorbed = slices.DeleteFunc(slices.Clone(m.absorbed), func(p Pair) bool { return p == Pair{owner, target} })
	}
	list := m.outbox[owner]
	list = slices.DeleteFunc(slices.Clone(list), func(x *Merge) bool { return x == merge })
	if len(list) == 0 {
		delete(m.outbox, owner)
	} else {
		m.outbox[owner] = list
	}
	switch outcome {
	case Conflict:
		if !slices.Contains(m.conflicts[owner], target) {
			m.conflicts[owner] = append(m.conflicts[owner], target)
		}
	case Retarget:
		m.Want(owner, next, true)
	}
}

func (m *Machine) find(owner, target Ref) *Merge {
	for _, merge := range m.outbox[owner] {
		if merge.Target == target {
			return merge
		}
	}
	return nil
}

// Outbox returns copies of all pending Merges, with empty parts, ordered by owner, then by arrival.
func (m *Machine) Outbox() []Merge {
	var all []Merge
	for _, owner := range sortedRefs(m.outbox) {
		for _, merge := range m.outbox[owner] {
			all = append(all, Merge{Owner: merge.Owner, Target: merge.Target, Alias: merge.Alias, Stage: merge.Stage, Parts: make([][]byte, len(merge.Parts))})
		}
	}
	return all
}

// Absorbed returns the merges whose facts the owner has while the target's shard may still have them too.
// The result is immutable.
func (m *Machine) Absorbed() []Pair { return m.absorbed }

// Needs returns, by number of shard, the entry of that shard that this shard's state builds on. A view of
// this shard is complete only together with views of the others that have reached those entries. The result
// is immutable, and may be shorter than the number of shards.
func (m *Machine) Needs() []uint64 { return m.needs }

// follow records that a step builds on a moment of another shard.
func (m *Machine) follow(after Moment) {
	if after.Seq == 0 || after.Shard < len(m.needs) && m.needs[after.Shard] >= after.Seq {
		return
	}
	needs := make([]uint64, max(len(m.needs), after.Shard+1))
	copy(needs, m.needs)
	needs[after.Shard] = after.Seq
	m.needs = needs
}

func sortedRefs[V any](of map[Ref]V) []Ref {
	refs := make([]Ref, 0, len(of))
	for r := range of {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, func(a, b Ref) int {
		switch {
		case a == b:
			return 0
		case a.before(b):
			return -1
		}
		return 1
	})
	return refs
}
