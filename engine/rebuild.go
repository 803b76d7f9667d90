package engine

import (
	"fmt"
	"slices"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Latest tells which value messages gave an attribute last, by the ids that they may have named; ok is
// false where none did.
type Latest func(ids []identity.Ref, attribute uint32) (v tree.Value, ok bool)

// Stray is the facts of a profile that was made for an id whose profile had moved to Owner already. The
// owner may live in another shard.
type Stray struct {
	Owner, ID  identity.Ref
	Parts      [][]byte
	Attributes []uint32 // that it has
}

// Rebuilt is what Rebuild has made, and what of it is for others.
type Rebuilt struct {
	Shard   *Shard
	Joined  int // profiles that had been made a second time, and are one with the first again
	Doubles int // codes of values that stood in a dictionary already
	Strays  []Stray
	Lost    []string // what could not be kept, in words
}

// rebuilder makes a sound state of the facts of a damaged one: it gives them to a new shard, one by one,
// as entries would, so that whatever is derived is derived anew.
type rebuilder struct {
	r      *root // damaged
	to     *Shard
	latest Latest
	out    *Rebuilt

	into    map[uint32]uint32       // profiles that join another
	joined  map[uint32][]uint32     // the other way round, ascending
	strayed map[uint32]identity.Ref // profiles that belong to somebody whose facts lie elsewhere
	dropped map[link]bool           // ids that a profile has no right to
}

// link is an id of a profile, by code.
type link struct {
	ordinal, code uint32
	anonymous     bool
}

// Rebuild makes a sound shard of what is known in a damaged one: profiles, attributes, events, lists and
// homes are facts, everything else is derived from them anew. Profiles of the same id become one: of an
// attribute that both have, the value stands that latest gives, else that of the profile made later. A
// profile whose id had moved when it was made is a stray. REQUIRES: nothing is applied meanwhile.
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
	v.root.eachDictionary(func(_ string, d *dictionary, codes int) { x.out.Doubles += len(doublesOf(d, codes)) })
	return x.out, nil
}

// facts gives the facts to the new shard.
func (x *rebuilder) facts(s *Shard) error {
	to, from := x.to, x.r
	to.mu.Lock()
	defer to.mu.Unlock()
	to.root.seq, to.root.time, to.root.catalog, to.root.mismatched = from.seq, from.time, from.catalog, from.mismatched
	to.defineColumns()
	x.judge(x.homes())
	x.profiles()
	x.attributes()
	x.events()
	x.lists()
	x.seen(s)
	x.segments()
	if err := to.machine.RestoreState(s.machine.AppendState(nil)); err != nil {
		return err
	}
	to.root.needs, to.root.absorbed = to.machine.Needs(), to.machine.Absorbed()
	return nil
}

// seen takes over which messages and lines have been applied.
func (x *rebuilder) seen(s *Shard) {
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

// homes gives the ids whose profile has gone elsewhere their homes. Of an id with two codes the first
// that has gone counts: a link is for ever.
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
			homes{x.to}.SetHome(cloneRef(ref), identity.Home{State: home.State, To: cloneRef(home.To)})
		}
	}
	return all
}

// judge decides what becomes of the profiles that share an id.
func (x *rebuilder) judge(gone map[identity.Ref]identity.Home) {
	for _, anonymous := range []bool{false, true} {
		dict, codes, owner, home := x.r.users, x.r.userCodes, columnUserOwner, columnUserHome
		if anonymous {
			dict, codes, owner, home = x.r.anons, x.r.anonCodes, columnAnonOwner, columnAnonHome
		}
		doubles := doublesOf(dict, int(codes))
		groups := map[uint32][]uint32{}
		for _, code := range ascendingCodes(doubles) {
			first := doubles[code]
			if groups[first] == nil {
				groups[first] = []uint32{first}
			}
			groups[first] = append(groups[first], code)
		}
		for _, first := range ascendingCodes(doubles) {
			group := groups[doubles[first]]
			delete(groups, doubles[first])
			ref := identity.Ref{Anonymous: anonymous, ID: dict.text(doubles[first])}
			var kept *link
			for _, code := range group {
				ordinal, ok := x.r.columns[owner].raw(code)
				if !ok || !x.r.exists(uint32(ordinal)) {
					continue
				}
				_, moved := x.r.columns[home].raw(code)
				is := link{uint32(ordinal), code, anonymous}
				switch {
				case !x.weigh(ref, is, kept, moved, gone[ref]):
					x.dropped[is] = true
				case kept == nil:
					kept = &is
				}
			}
		}
	}
}

// weigh decides about a profile that has an id by one of its codes; kept is the one that has it by an
// earlier code, if there is one. It returns whether the profile keeps the id.
func (x *rebuilder) weigh(ref identity.Ref, is link, kept *link, moved bool, home identity.Home) bool {
	canonical, _ := x.r.canonical(is.ordinal)
	named := canonical == ref
	switch {
	case home.State > identity.Live && named && !moved:
		x.strayed[is.ordinal] = home.To // made when its id had gone; an erased one has no owner
	case kept == nil:
		return true
	case named && kept.ordinal != is.ordinal:
		x.join(is.ordinal, kept.ordinal)
	}
	return false // it is had already: by the same profile, or by another, who linked it first
}

// join makes a profile one with an earlier one.
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

// target returns the profile that the facts of one go to; false where they go nowhere in this shard.
func (x *rebuilder) target(ordinal uint32) (uint32, bool) {
	if with, ok := x.into[ordinal]; ok {
		ordinal = with
	}
	if _, strays := x.strayed[ordinal]; strays {
		return 0, false
	}
	return ordinal, x.to.root.exists(ordinal)
}

// profiles makes the profiles, under the ordinals they had, and takes the strays out.
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
			x.out.Lost = append(x.out.Lost, fmt.Sprintf("profile %d has no id of its own", ordinal))
		}
	}
	for len(x.to.root.profiles) < len(x.r.profiles) {
		x.to.root.profiles = append(x.to.root.profiles, nil)
	}
	x.to.root.ordinals = x.r.ordinals
}

// refs returns the ids that a profile has a right to, in the order in which they came. Chains that a
// removal has broken end there.
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

// stray takes the facts of a profile for its owner, whom an erased id has none of.
func (x *rebuilder) stray(ordinal uint32, owner identity.Ref) {
	self, _ := x.r.canonical(ordinal)
	if owner == (identity.Ref{}) {
		x.out.Lost = append(x.out.Lost, fmt.Sprintf("facts of %.60q, which was erased before they came", self.ID))
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
					continue // the later profile has it from a merge, which fills gaps only
				}
			}
			x.to.setAttribute(to, id, v)
		}
	}
}

// events appends all events, in the order in which they are kept.
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

// lists fills the static lists. Of an id with two codes the last counts: it was made by the last change.
func (x *rebuilder) lists() {
	for id, l := range x.r.lists {
		if l == nil {
			continue
		}
		listed := map[uint32]bool{} // by first code, of those that have several
		doubles := doublesOf(l.ids, l.codes)
		for _, code := range ascendingCodes(doubles) {
			_, listed[doubles[code]] = l.listed.raw(code)
		}
		update := ListUpdate{List: uint32(id)}
		for code := range uint32(l.codes) {
			_, on := l.listed.raw(code)
			if last, double := listed[code]; double {
				on = last
			}
			if _, again := doubles[code]; on && !again {
				update.Add = append(update.Add, textOf(l.ids.text(code)))
			}
		}
		x.to.list(uint32(id))
		x.to.applyList(update, &Result{})
	}
}

// segments takes over how far each segment is, and its members as far as they are profiles. Who joined
// another was a member for both.
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

// Absorb adds the facts of a stray to its owner, who lives in this shard. As in a merge the owner's
// attributes stand and the stray's fill gaps, but where latest knows which value messages gave last,
// that one stands.
func (s *Shard) Absorb(stray Stray, latest Latest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own()
	s.advanceLive(ByMerge)
	homes{s}.Absorb(stray.Owner, stray.ID, stray.Parts)
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

// Deliver applies the messages of an entry that is in no log. Messages the shard knows are duplicates.
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
	return s.fold(&c), nil
}
