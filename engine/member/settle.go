package member

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"github.com/musterdb/muster/query"
)

// mark is a leaf that flipped for a profile, or a segment that has to be looked at for it.
type mark struct {
	leaf    *leaf
	segment *segment // where leaf is nil
	ordinal uint32
	cause   Cause
}

// stretch is marks of one profile that were made one after the other.
type stretch struct{ ordinal, from, to uint32 }

// chunkPair is a chunk in which a segment's membership has to be looked at.
type chunkPair struct {
	segment *segment
	chunk   int
	cause   Cause
}

// turned is a profile that entered or left a segment in this settling.
type turned struct {
	segment *segment
	ordinal uint32
	cause   Cause
	in      bool
}

// flip notes that a leaf flipped for a profile.
func (t *Tracker) flip(l *leaf, ordinal uint32) {
	if len(l.users) > 0 {
		t.marks = append(t.marks, mark{leaf: l, ordinal: ordinal, cause: t.cause})
	}
}

// mark has some segments looked at for a profile.
func (t *Tracker) mark(segments []*segment, ordinal uint32) {
	for _, s := range segments {
		t.marks = append(t.marks, mark{segment: s, ordinal: ordinal, cause: t.cause})
	}
}

// markChunk notes that a leaf of some segments may have flipped for many.
func (t *Tracker) markChunk(segments []*segment, chunk int) {
	for _, s := range segments {
		t.chunks = append(t.chunks, chunkPair{s, chunk, t.cause})
	}
}

// markUsers notes that a leaf may have flipped for many.
func (t *Tracker) markUsers(l *leaf, chunk int) {
	for _, u := range l.users {
		t.chunks = append(t.chunks, chunkPair{u.segment, chunk, t.cause})
	}
}

// Settle makes memberships follow what has happened at now.
func (t *Tracker) Settle() {
	t.look()
	t.countAnew()
	for len(t.chunks) > 0 || len(t.marks) > 0 {
		t.ahead = len(t.chunks) > 0
		t.settleChunks()
		t.settleMarks()
	}
}

// countAnew counts the profiles for which that was asked.
func (t *Tracker) countAnew() {
	for len(t.recounts) > 0 {
		k := t.recounts[0]
		t.recounts = t.recounts[1:]
		for _, ordinal := range sorted(k.again) {
			if t.host.Exists(ordinal) && k.ready(ordinal) {
				k.recount(ordinal)
			}
		}
		clear(k.again)
	}
}

func sorted(set map[uint32]struct{}) []uint32 {
	all := make([]uint32, 0, len(set))
	for ordinal := range set {
		all = append(all, ordinal)
	}
	slices.Sort(all)
	return all
}

// Flips returns what changed since it was asked last, in the order of instants, then of segments'
// names. The list, not the ordinals, is good until it is asked again.
func (t *Tracker) Flips() []Flip {
	flips := t.flips
	clear(t.told)
	t.flips, t.told = t.told[:0], flips
	return flips
}

func (t *Tracker) settleChunks() {
	if len(t.chunks) == 0 {
		return
	}
	chunks := t.chunks
	t.chunks = nil
	slices.SortStableFunc(chunks, func(a, b chunkPair) int {
		return cmp.Or(strings.Compare(a.segment.name, b.segment.name), cmp.Compare(a.cause, b.cause), cmp.Compare(a.chunk, b.chunk))
	})
	chunks = slices.Compact(chunks)
	for from := 0; from < len(chunks); {
		flip := Flip{Slot: chunks[from].segment.slot, At: t.now, Cause: chunks[from].cause}
		to := from
		for ; to < len(chunks) && chunks[to].segment == chunks[from].segment && chunks[to].cause == flip.Cause; to++ {
			t.settleChunk(chunks[to].segment, chunks[to].chunk, &flip)
		}
		t.flipped(chunks[from].segment, flip)
		from = to
	}
}

// settleChunk compares a chunk of a membership with the segment's program.
func (t *Tracker) settleChunk(s *segment, chunk int, flip *Flip) {
	var all, is query.Bits
	t.host.Source().Profiles(chunk, &all)
	if s.program != nil {
		s.program.fill(chunk, &all, &is)
	}
	t.replaceChunk(s, chunk, &is, flip)
}

// replaceChunk makes a chunk of a membership equal to is.
func (t *Tracker) replaceChunk(s *segment, chunk int, is *query.Bits, flip *Flip) {
	members := t.host.Members(s.slot)
	var was query.Bits
	members.Fill(chunk, &was)
	base := uint32(chunk) << query.ChunkBits
	exits, enters := was, *is
	exits.AndNot(is)
	enters.AndNot(&was)
	first := len(flip.Exits)
	flip.Exits = appendAll(flip.Exits, base, &exits)
	members.Put(flip.Exits[first:], false)
	first = len(flip.Enters)
	flip.Enters = appendAll(flip.Enters, base, &enters)
	members.Put(flip.Enters[first:], true)
}

func appendAll(to []uint32, base uint32, in *query.Bits) []uint32 {
	to = slices.Grow(to, in.Count())
	for pos := range in.All {
		to = append(to, base|uint32(pos))
	}
	return to
}

// settleMarks goes from profile to profile: of each it finds the leaves that are not what they were,
// and asks the programs of their users what they were and what they are.
func (t *Tracker) settleMarks() {
	marks := t.marks
	t.marks = t.spare[:0]
	t.stretches = t.stretches[:0]
	for from := 0; from < len(marks); {
		to := from + 1
		for to < len(marks) && marks[to].ordinal == marks[from].ordinal {
			to++
		}
		t.stretches = append(t.stretches, stretch{marks[from].ordinal, uint32(from), uint32(to)})
		from = to
	}
	slices.SortFunc(t.stretches, func(a, b stretch) int {
		if a.ordinal != b.ordinal {
			return cmp.Compare(a.ordinal, b.ordinal)
		}
		return cmp.Compare(a.from, b.from)
	})
	for from := 0; from < len(t.stretches); {
		to := from + 1
		for to < len(t.stretches) && t.stretches[to].ordinal == t.stretches[from].ordinal {
			to++
		}
		t.settleProfile(marks, t.stretches[from:to])
		from = to
	}
	clear(marks)
	t.spare = marks[:0]
	t.tell()
}

// settleProfile makes one profile's memberships follow its leaves.
func (t *Tracker) settleProfile(marks []mark, of []stretch) {
	t.settling++
	ordinal := of[0].ordinal
	row, exists := t.rows.row(ordinal), t.host.Exists(ordinal)
	// Otherwise what programs were is what memberships are, which need not be looked at then.
	compare := t.ahead || !exists
	guarded := exists // the guards' bits are what they were
	for _, x := range of {
		for i := x.from; i < x.to; i++ {
			switch l := marks[i].leaf; {
			case l == nil: // it may be new, and no member of what is true without facts
				compare = true
			case l.flipped == t.settling:
				l.flipped = 0 // and back
			default:
				l.flipped = t.settling
				guarded = guarded && l.kind != truthLeaf
			}
		}
	}
	for i := len(of) - 1; i >= 0; i-- { // of several causes the latest stands
		for m := int(of[i].to) - 1; m >= int(of[i].from); m-- {
			x := &marks[m]
			if x.leaf == nil {
				t.compare(x.segment, row, ordinal, exists, x.cause)
				continue
			}
			if x.leaf.flipped != t.settling {
				continue
			}
			for _, u := range x.leaf.users {
				if guarded && u.guard != unguarded && !t.rows.bit(row, u.guard) {
					continue
				}
				s := u.segment
				if s.settled == t.settling {
					continue
				}
				if compare {
					t.compare(s, row, ordinal, exists, x.cause)
					continue
				}
				s.settled = t.settling
				if was, is := s.both(row, ordinal, t.settling); was != is {
					t.turn(s, ordinal, x.cause, is)
				}
			}
		}
	}
}

// compare looks whether a profile's membership of a segment is what the program says.
func (t *Tracker) compare(s *segment, row []byte, ordinal uint32, exists bool, cause Cause) {
	if s.settled == t.settling {
		return
	}
	s.settled = t.settling
	was := t.host.Members(s.slot).Has(ordinal)
	is := exists && s.program != nil && s.program.holds(row, ordinal)
	if s.held {
		is = exists && was
	}
	if was != is {
		t.turn(s, ordinal, cause, is)
	}
}

// turn notes that a profile enters or leaves a segment.
func (t *Tracker) turn(s *segment, ordinal uint32, cause Cause, in bool) {
	if s.turns == 0 {
		t.turning = append(t.turning, s)
	}
	s.turns++
	t.turned = append(t.turned, turned{s, ordinal, cause, in})
}

// tell makes flips of what turned, by segment and cause.
func (t *Tracker) tell() {
	if len(t.turned) == 0 {
		return
	}
	all := t.turned
	t.sortTurning()
	end := 0
	for _, s := range t.turning {
		s.next, end = end, end+s.turns
	}
	order := slices.Grow(t.order[:0], len(all))[:len(all)]
	causes := uint(0)
	for i := range all {
		s := all[i].segment
		causes |= 1 << all[i].cause
		order[s.next] = uint32(i)
		s.next++
	}
	room := make([]uint32, 0, len(all)) // flips keep it
	from := 0
	for _, s := range t.turning {
		mine := order[from : from+s.turns]
		from += s.turns
		s.turns = 0
		for cause := range ByImport + 1 {
			if causes>>cause&1 == 0 {
				continue
			}
			flip := Flip{Slot: s.slot, At: t.now, Cause: cause}
			room, flip.Exits = pick(all, mine, cause, false, room)
			room, flip.Enters = pick(all, mine, cause, true, room)
			if len(flip.Exits)+len(flip.Enters) == 0 {
				continue
			}
			members := t.host.Members(s.slot)
			members.Put(flip.Exits, false)
			members.Put(flip.Enters, true)
			t.flipped(s, flip)
		}
	}
	t.order = order
	t.turning = t.turning[:0]
	clear(all)
	t.turned = all[:0]
}

func byName(a, b *segment) int { return cmp.Or(strings.Compare(a.name, b.name), a.slot-b.slot) }

// settledDefinitions is after how many tellings without a definition in between segments are numbered by
// name: while thousands are being defined that would cost more than it saves.
const settledDefinitions = 16

// sortTurning orders those that turn by name. Where they are numbered that is a look at each number.
func (t *Tracker) sortTurning() {
	if t.byName == nil {
		if t.unnamed++; t.unnamed < settledDefinitions {
			slices.SortFunc(t.turning, byName)
			return
		}
		t.byName = make([]*segment, 0, len(t.segments))
		for _, s := range t.segments {
			t.byName = append(t.byName, s)
		}
		slices.SortFunc(t.byName, byName)
		for i, s := range t.byName {
			s.rank = i
		}
		t.turns = make([]uint64, len(t.byName)/64+1)
	}
	for _, s := range t.turning {
		t.turns[s.rank/64] |= 1 << (s.rank % 64)
	}
	t.turning = t.turning[:0]
	for i, word := range t.turns {
		for ; word != 0; word &= word - 1 {
			t.turning = append(t.turning, t.byName[i*64+bits.TrailingZeros64(word)])
		}
		t.turns[i] = 0
	}
}

// rename notes that there are other segments than before.
func (t *Tracker) rename() { t.byName, t.turns, t.unnamed = nil, nil, 0 }

// pick takes the ordinals of one cause and direction out of what turned, into room.
func pick(all []turned, order []uint32, cause Cause, in bool, room []uint32) (rest, picked []uint32) {
	first := len(room)
	for _, i := range order {
		if x := &all[i]; x.cause == cause && x.in == in {
			room = append(room, x.ordinal)
		}
	}
	if len(room) == first {
		return room, nil
	}
	return room, room[first:len(room):len(room)]
}

// flipped keeps a flip and marks the segments that stand on the membership.
func (t *Tracker) flipped(s *segment, flip Flip) {
	if len(flip.Exits)+len(flip.Enters) == 0 {
		return
	}
	t.flips = append(t.flips, flip)
	standing := t.standing[s.slot]
	if len(standing) == 0 {
		return
	}
	cause := t.cause
	t.cause = flip.Cause
	for _, ordinals := range [][]uint32{flip.Exits, flip.Enters} {
		for _, ordinal := range ordinals {
			t.mark(standing, ordinal)
		}
	}
	t.cause = cause
}
