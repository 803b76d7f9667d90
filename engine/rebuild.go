package engine

import (
	"fmt"
	"slices"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Latest returns the last value that messages gave an attribute, where they named one of ids; ok is
// false if no message did.
type Latest func(ids []identity.Ref, attribute uint32) (v tree.Value, ok bool)

// Stray has the facts of a profile that was made for an id whose profile had already moved to Owner.
// The owner may live in another shard.
type Stray struct {
	Owner, ID  identity.Ref
	Parts      [][]byte
	Attributes []uint32 // the attributes it has
}

// Rebuilt is the result of Rebuild: the new shard, and what the caller must still do.
type Rebuilt struct {
	Shard      *Shard
	Joined     int // profiles that had been made a second time, and were joined with the first
	Duplicates int // codes of values that a dictionary had already
	Strays     []Stray
	Lost       []string // what was lost, in words
}

// rebuilder makes a sound state from the facts of a damaged one: it applies them one by one to a new
// shard, as entries would, so that everything derived is derived again.
type rebuilder struct {
	r      *root // the damaged state
	to     *Shard
	latest Latest
	out    *Rebuilt

	into    map[uint32]uint32       // profiles that are joined to another
	joined  map[uint32][]uint32     // the inverse of into, each list ascending
	strayed map[uint32]identity.Ref // profiles that belong to an owner whose profile has moved
	dropped map[link]bool           // ids that a profile must not keep
}

// link is an id of a profile, by code.
type link struct {
	ordinal, code uint32
	anonymous     bool
}

// Rebuild makes a sound shard from a damaged one: profiles, attributes, events, lists and homes are
// facts, everything else is derived from them again. Profiles with the same id become one. If both
// have an attribute, the value is the one that latest returns, else that of the profile made later. A
// profile whose id had already moved when it was made becomes a stray. REQUIRES: nothing is applied
// meanwhile.
func (s *Shard) Rebuild(latest Latest) (*Rebuilt, error) {
	v := s.View()
	defer v.Release()
	to, err := New(s.config)
	if err != nil {
		return nil, err
	}
	x := &rebuilder{
		r: v.root, to: to, latest: latest, out: &Rebuilt{Shard: to},
		into: map[uint32]uint32{}, joined: map[uint32][]uint32{}, strayed: map[uint32]identity.Ref{}, dropped: map[link]bool{},
	}
	if err := x.facts(s); err != nil {
		return nil, fmt.Errorf("rebuild shard %d: %w", s.config.Number, err)
	}
	for to.Maintain(1 << 20) {
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	if err := to.restoreLive(true); err != nil {
		return nil, fmt.Errorf("rebuild shard %d: %w", s.config.Number, err)
	}
	to.applied.Store(to.root.seq)
	v.root.eachDictionary(func(_ string, d *dictionary, codes int) { x.out.Duplicates += len(duplicateCodes(d, codes)) })
	return x.out, nil
}

// facts copies the facts to the new shard.
func (x *rebuilder) facts(s *Shard) error {
	to, from := x.to, x.r
	to.mu.Lock()
	defer to.mu.Unlock()
	to.root.seq, to.root.time, to.root.catalog, to.root.mismatched = from.seq, from.time, from.catalog, from.mismatched
	to.defineColumns()
	x.resolveSharedIDs(x.homes())
	x.profiles()
	x.attributes()
	x.events()
	x.lists()
	x.applied(s)
	x.segments()
	if err := to.machine.RestoreState(s.machine.AppendState(nil)); err != nil {
		return err
	}
	to.root.needs, to.root.absorbed = to.machine.Needs(), to.machine.Absorbed()
	return nil
}

// applied copies which messages and lines have been applied.
func (x *rebuilder) applied(s *Shard) {
	epoch := x.to.epochs.current
	dedup := *x.r.dedup
	dedup.epoch = epoch
	x.to.root.dedup, x.to.dedupIndex = &dedup, s.dedupIndex
	for i, source := range x.r.imports {
		copied := &importSource{epoch: epoch, name: source.name, sets: slices.Clone(source.sets)}
		for n, set := range copied.sets {
			copied.sets[n].lines = set.lines.clone(epoch)
		}
		x.to.root.imports = append(x.to.root.imports, copied)
		x.to.importIndex[source.name] = i
	}
}

// homes copies the homes of the ids whose profile has moved away. Of an id with two codes the first
// that has a home counts: a link is permanent.
func (x *rebuilder) homes() map[identity.Ref]identity.Home {
	all := map[identity.Ref]identity.Home{}
	for _, anonymous := range []bool{false, true} {
		dict, codes, column := x.r.users, x.r.userCodes, columnUserHome
		if anonymous {
			dict, codes, column = x.r.anons, x.r.anonCodes, columnAnonHome
		}
		for code := range codes {
			raw, ok := x.r.columns[column].raw(code)
			ref := identity.Ref{Anonymous: anonymous, ID: dict.text(code)}
			if _, known := all[ref]; !ok || known {
				continue
			}
			home := x.r.decodeHome(raw)
			all[ref] = home
			identityStore{x.to}.SetHome(cloneRef(ref), identity.Home{State: home.State, To: cloneRef(home.To)})
		}
	}
	return all
}

// resolveSharedIDs decides what becomes of the profiles that share an id.
func (x *rebuilder) resolveSharedIDs(moved map[identity.Ref]identity.Home) {
	for _, anonymous := range []bool{false, true} {
		dict, codes, owner, home := x.r.users, x.r.userCodes, columnUserOwner, columnUserHome
		if anonymous {
			dict, codes, owner, home = x.r.anons, x.r.anonCodes, columnAnonOwner, columnAnonHome
		}
		duplicates := duplicateCodes(dict, int(codes))
		groups := map[uint32][]uint32{}
		for _, code := range ascendingCodes(duplicates) {
			first := duplicates[code]
			if groups[first] == nil {
				groups[first] = []uint32{first}
			}
			groups[first] = append(groups[first], code)
		}
		for _, first := range ascendingCodes(duplicates) {
			group := groups[duplicates[first]]
			delete(groups, duplicates[first])
			ref := identity.Ref{Anonymous: anonymous, ID: dict.text(duplicates[first])}
			var kept *link
			for _, code := range group {
				ordinal, ok := x.r.columns[owner].raw(code)
				if !ok || !x.r.exists(uint32(ordinal)) {
					continue
				}
				_, hasHome := x.r.columns[home].raw(code)
				candidate := link{uint32(ordinal), code, anonymous}
				switch {
				case !x.keepsID(ref, candidate, kept, hasHome, moved[ref]):
					x.dropped[candidate] = true
				case kept == nil:
					kept = &candidate
				}
			}
		}
	}
}

// keepsID decides about a profile that has an id by one of its codes, and reports whether the profile
// keeps the id. kept is the profile that has the id by an earlier code, nil if there is none.
func (x *rebuilder) keepsID(ref identity.Ref, candidate link, kept *link, hasHome bool, home identity.Home) bool {
	canonical, _ := x.r.canonical(candidate.ordinal)
	named := canonical == ref
	switch {
	case home.State > identity.Live && named && !hasHome:
		x.strayed[candidate.ordinal] = home.To // made after its id had moved; an erased id has no owner
	case kept == nil:
		return true
	case named && kept.ordinal != candidate.ordinal:
		x.join(candidate.ordinal, kept.ordinal)
	}
	return false // the same profile has it by another code, or another profile linked it first
}

// join joins a profile to an earlier one.
func (x *rebuilder) join(ordinal, with uint32) {
	for {
		next, ok := x.into[with]
		if !ok {
			break
		}
		with = next
	}
	if _, done := x.into[ordinal]; done || with == ordinal {
		return
	}
	x.into[ordinal] = with
	x.joined[with] = append(append(x.joined[with], ordinal), x.joined[ordinal]...)
	delete(x.joined, ordinal)
	slices.Sort(x.joined[with])
	x.out.Joined++
}

// target returns the profile that the facts of a profile go to; false if it is not in this shard.
func (x *rebuilder) target(ordinal uint32) (uint32, bool) {
	if with, ok := x.into[ordinal]; ok {
		ordinal = with
	}
	if _, strays := x.strayed[ordinal]; strays {
		return 0, false
	}
	return ordinal, x.to.root.exists(ordinal)
}

// profiles creates the profiles with the ordinals they had, and collects the strays.
func (x *rebuilder) profiles() {
	for ordinal := range x.r.ordinals {
		if _, joins := x.into[ordinal]; joins || !x.r.exists(ordinal) {
			continue
		}
		if owner, strays := x.strayed[ordinal]; strays {
			x.stray(ordinal, owner)
			continue
		}
		refs := x.refs(ordinal)
		for _, other := range x.joined[ordinal] {
			refs = append(refs, x.refs(other)...)
		}
		made := false
		for _, ref := range refs {
			switch _, taken := x.to.ordinal(ref); {
			case taken:
			case made:
				x.to.attach(ref, ordinal)
			default:
				x.to.root.ordinals = ordinal
				x.to.profileOf(ref)
				made = true
			}
		}
		if !made {
			x.out.Lost = append(x.out.Lost, fmt.Sprintf("profile %d would have no id", ordinal))
		}
	}
	for len(x.to.root.profiles) < len(x.r.profiles) {
		x.to.root.profiles = append(x.to.root.profiles, nil)
	}
	x.to.root.ordinals = x.r.ordinals
}

// refs returns the ids that a profile keeps, in the order in which they were attached. A chain that a
// removal has broken ends there.
func (x *rebuilder) refs(ordinal uint32) (refs []identity.Ref) {
	for _, anonymous := range []bool{false, true} {
		dict, codes, of, next := x.r.users, x.r.userCodes, columnUserOf, columnUserNext
		if anonymous {
			dict, codes, of, next = x.r.anons, x.r.anonCodes, columnAnonymousOf, columnAnonNext
		}
		from := len(refs)
		raw, ok := x.r.columns[of].raw(ordinal)
		for n := uint32(0); ok && n <= codes && uint64(raw) < uint64(codes); n++ {
			if !x.dropped[link{ordinal, uint32(raw), anonymous}] {
				refs = append(refs, identity.Ref{Anonymous: anonymous, ID: textOf(dict.text(uint32(raw)))})
			}
			raw, ok = x.r.columns[next].raw(uint32(raw))
		}
		if len(refs) > from+1 {
			slices.Reverse(refs[from+1:])
		}
	}
	return refs
}

// stray collects the facts of a profile for its owner. The facts of an erased id, which has no owner,
// are lost.
func (x *rebuilder) stray(ordinal uint32, owner identity.Ref) {
	self, _ := x.r.canonical(ordinal)
	if owner == (identity.Ref{}) {
		x.out.Lost = append(x.out.Lost, fmt.Sprintf("facts of %.60q, which was erased before they arrived", self.ID))
		return
	}
	stray := Stray{Owner: cloneRef(owner), ID: cloneRef(self), Parts: x.r.facts(ordinal, self)}
	for i, c := range x.r.columns[columnsOfEveryShard:] {
		if _, ok := c.raw(ordinal); ok {
			stray.Attributes = append(stray.Attributes, uint32(i)+query.FirstAttribute)
		}
	}
	x.out.Strays = append(x.out.Strays, stray)
}

func (x *rebuilder) attributes() {
	for i, c := range x.r.columns[columnsOfEveryShard:] {
		id := uint32(i) + query.FirstAttribute
		for ordinal := range x.r.ordinals {
			v := c.value(ordinal)
			if v.Missing() {
				continue
			}
			to, ok := x.target(ordinal)
			if !ok {
				continue
			}
			if had := x.to.root.columns[columnsOfEveryShard+i].value(to); !had.Missing() {
				if last, ok := x.latest(x.to.root.refs(to), id); ok && last.Equal(had) {
					continue // the later profile's value is from a merge, which only fills gaps
				}
			}
			x.to.setAttribute(to, id, v)
		}
	}
}

// events appends all events, in the order in which they are stored.
func (x *rebuilder) events() {
	var fields []Field
	for event, table := range x.r.events {
		for id, p := range table.props {
			t := x.r.catalog.EventByID(uint32(event)).Properties()[id].Type
			x.to.root.events[event].property(uint32(id), t)
			defer func() { x.to.root.events[event].props[id].overflowed = p.overflowed }()
		}
		for chunk := range table.chunks {
			s := x.r.series(uint32(event), chunk)
			if s == nil {
				continue
			}
			for _, b := range s.blocks() {
				for row, pos := range b.Pos {
					to, ok := x.target(uint32(chunk)<<query.ChunkBits | uint32(pos))
					if !ok {
						continue
					}
					fields = fields[:0]
					for id, col := range b.Cols {
						if col == nil {
							continue
						}
						if v := col.Value(row); !v.Missing() {
							fields = append(fields, Field{uint32(id), v})
						}
					}
					x.to.appendEvent(to, uint32(event), b.Time(row), fields, nil)
				}
			}
		}
	}
}

// lists fills the static lists. Of an id with two codes the last counts: it was written by the last
// change.
func (x *rebuilder) lists() {
	for id, l := range x.r.lists {
		if l == nil {
			continue
		}
		listed := map[uint32]bool{} // by first code, for ids with several codes
		duplicates := duplicateCodes(l.ids, l.codes)
		for _, code := range ascendingCodes(duplicates) {
			_, listed[duplicates[code]] = l.listed.raw(code)
		}
		update := ListUpdate{List: uint32(id)}
		for code := range uint32(l.codes) {
			_, on := l.listed.raw(code)
			if last, duplicate := listed[code]; duplicate {
				on = last
			}
			if _, again := duplicates[code]; on && !again {
				update.Add = append(update.Add, textOf(l.ids.text(code)))
			}
		}
		x.to.list(uint32(id))
		x.to.applyList(update, &Result{})
	}
}

// segments copies the state of each segment, and those of its members that are still profiles. A
// profile that was joined to another makes that one a member.
func (x *rebuilder) segments() {
	for slot, old := range x.r.segments {
		if old == nil {
			x.to.root.segments = append(x.to.root.segments, nil)
			continue
		}
		s := *old
		s.epoch, s.members, s.count = x.to.epochs.current, nil, 0
		x.to.root.segments = append(x.to.root.segments, &s)
		var members []uint32
		for chunk, p := range old.members {
			p.each(func(pos uint16) bool {
				if to, ok := x.target(uint32(chunk)<<query.ChunkBits | uint32(pos)); ok {
					members = append(members, to)
				}
				return true
			})
		}
		slices.Sort(members)
		store := memberStore{x.to, slot}
		store.Put(slices.Compact(members), true)
	}
	x.to.root.builds = slices.Clone(x.r.builds)
	x.to.root.slots = &slotIndex{}
}

// Absorb adds the facts of a stray to its owner, which lives in this shard. As in a merge the owner
// keeps its attributes and the stray's fill gaps, except that the value that latest returns for an
// attribute wins.
func (s *Shard) Absorb(stray Stray, latest Latest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own()
	s.advanceLive(ByMerge)
	identityStore{s}.Absorb(stray.Owner, stray.ID, stray.Parts)
	ordinal := s.profileOf(stray.Owner)
	ids := append(s.root.refs(ordinal), stray.ID)
	for _, attribute := range stray.Attributes {
		if v, ok := latest(ids, attribute); ok {
			s.setAttribute(ordinal, attribute, v)
		}
	}
	s.finishLive(&Result{})
	s.publish()
}

// Deliver applies the messages of an entry that is in no log. Messages that were applied before are
// duplicates.
func (s *Shard) Deliver(entry []byte) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.decoder.decode(entry)
	if err == nil && c.Kind != MessagesCommand {
		err = fmt.Errorf("%w: not messages", ErrCommand)
	}
	if err != nil {
		return Result{}, fmt.Errorf("deliver messages: %w", err)
	}
	s.own()
	return s.applyCommand(&c), nil
}
