package member

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"github.com/musterdb/muster/query"
)

// mark is a leaf that flipped for a profile, or a segment that must be checked for it.
type mark struct {
	leaf    *leaf
	segment *segment // where leaf is nil
	ordinal uint32
	cause   Cause
}

// markRun is a run of consecutive marks of one profile.
type markRun struct{ ordinal, from, to uint32 }

// chunkPair is a chunk in which a segment's membership must be checked.
type chunkPair struct {
	segment *segment
	chunk   int
	cause   Cause
}

// transition is a profile that entered or left a segment in this settling.
type transition struct {
	segment *segment
	ordinal uint32
	cause   Cause
	in      bool
}

// flip records that a leaf flipped for a profile.
func (t *Tracker) flip(l *leaf, ordinal uint32) {
	if len(l.users) > 0 {
		t.marks = append(t.marks, mark{leaf: l, ordinal: ordinal, cause: t.cause})
	}
}

// mark marks segments to be checked for a profile.
func (t *Tracker) mark(segments []*segment, ordinal uint32) {
	for _, s := range segments {
		t.marks = append(t.marks, mark{segment: s, ordinal: ordinal, cause: t.cause})
	}
}

// markChunk marks segments to be checked for a whole chunk.
func (t *Tracker) markChunk(segments []*segment, chunk int) {
	for _, s := range segments {
		t.chunks = append(t.chunks, chunkPair{s, chunk, t.cause})
	}
}

// markUsers marks the segments that use a leaf to be checked for a whole chunk.
func (t *Tracker) markUsers(l *leaf, chunk int) {
	for _, u := range l.users {
		t.chunks = append(t.chunks, chunkPair{u.segment, chunk, t.cause})
	}
}

// Settle updates memberships after the changes made at now.
func (t *Tracker) Settle() {
	t.evaluateTouched()
	t.recountScheduled()
	for len(t.chunks) > 0 || len(t.marks) > 0 {
		t.chunksSettled = len(t.chunks) > 0
		t.settleChunks()
		t.settleMarks()
	}
}

// recountScheduled recounts the profiles that scheduleRecount has scheduled.
func (t *Tracker) recountScheduled() {
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

// Flips returns the changes since its last call, in order of instant, then of segment name. The list, but
// not the ordinals in it, is valid until the next call.
func (t *Tracker) Flips() []Flip {
	flips := t.flips
	clear(t.spareFlips)
	t.flips, t.spareFlips = t.spareFlips[:0], flips
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

// settleChunk updates a chunk of a membership by the segment's program.
func (t *Tracker) settleChunk(s *segment, chunk int, flip *Flip) {
	var all, is query.Bits
	t.host.Source().Profiles(chunk, &all)
	if s.program != nil {
		s.program.fill(chunk, &all, &is)
	}
	t.replaceChunk(s, chunk, &is, flip)
}

// replaceChunk sets a chunk of a membership to is.
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

// settleMarks goes from profile to profile. For each it finds the leaves that have flipped, and compares the
// values before and after of the programs that use them.
func (t *Tracker) settleMarks() {
	marks := t.marks
	t.marks = t.spareMarks[:0]
	t.markRuns = t.markRuns[:0]
	for from := 0; from < len(marks); {
		to := from + 1
		for to < len(marks) && marks[to].ordinal == marks[from].ordinal {
			to++
		}
		t.markRuns = append(t.markRuns, markRun{marks[from].ordinal, uint32(from), uint32(to)})
		from = to
	}
	slices.SortFunc(t.markRuns, func(a, b markRun) int {
		if a.ordinal != b.ordinal {
			return cmp.Compare(a.ordinal, b.ordinal)
		}
		return cmp.Compare(a.from, b.from)
	})
	for from := 0; from < len(t.markRuns); {
		to := from + 1
		for to < len(t.markRuns) && t.markRuns[to].ordinal == t.markRuns[from].ordinal {
			to++
		}
		t.settleProfile(marks, t.markRuns[from:to])
		from = to
	}
	clear(marks)
	t.spareMarks = marks[:0]
	t.emitFlips()
}

// settleProfile updates the memberships of one profile.
func (t *Tracker) settleProfile(marks []mark, of []markRun) {
	t.settling++
	ordinal := of[0].ordinal
	row, exists := t.rows.row(ordinal), t.host.Exists(ordinal)
	// Otherwise the old value of a program equals the membership, which need not be read.
	compare := t.chunksSettled || !exists
	guarded := exists // no condition has flipped, so guards have not changed
	for _, x := range of {
		for i := x.from; i < x.to; i++ {
			switch l := marks[i].leaf; {
			case l == nil: // the profile may be new and in no membership yet
				compare = true
			case l.flipped == t.settling:
				l.flipped = 0 // flipped back
			default:
				l.flipped = t.settling
				guarded = guarded && l.kind != truthLeaf
			}
		}
	}
	for i := len(of) - 1; i >= 0; i-- { // of several causes the latest counts
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
					t.addTransition(s, ordinal, x.cause, is)
				}
			}
		}
	}
}

// compare updates a profile's membership of a segment if it differs from the program.
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
		t.addTransition(s, ordinal, cause, is)
	}
}

// addTransition records that a profile enters or leaves a segment.
func (t *Tracker) addTransition(s *segment, ordinal uint32, cause Cause, in bool) {
	if s.transitions == 0 {
		t.transitioning = append(t.transitioning, s)
	}
	s.transitions++
	t.transitions = append(t.transitions, transition{s, ordinal, cause, in})
}

// emitFlips makes flips of the transitions, by segment and cause.
func (t *Tracker) emitFlips() {
	if len(t.transitions) == 0 {
		return
	}
	all := t.transitions
	t.sortTransitioning()
	end := 0
	for _, s := range t.transitioning {
		s.next, end = end, end+s.transitions
	}
	order := slices.Grow(t.order[:0], len(all))[:len(all)]
	causes := uint(0)
	for i := range all {
		s := all[i].segment
		causes |= 1 << all[i].cause
		order[s.next] = uint32(i)
		s.next++
	}
	buf := make([]uint32, 0, len(all)) // not reused: flips alias it
	from := 0
	for _, s := range t.transitioning {
		mine := order[from : from+s.transitions]
		from += s.transitions
		s.transitions = 0
		for cause := range ByImport + 1 {
			if causes>>cause&1 == 0 {
				continue
			}
			flip := Flip{Slot: s.slot, At: t.now, Cause: cause}
			buf, flip.Exits = pick(all, mine, cause, false, buf)
			buf, flip.Enters = pick(all, mine, cause, true, buf)
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
	t.transitioning = t.transitioning[:0]
	clear(all)
	t.transitions = all[:0]
}

func byName(a, b *segment) int { return cmp.Or(strings.Compare(a.name, b.name), a.slot-b.slot) }

// numberAfter is the number of settlings without a definition after which segments are numbered by name.
// While thousands are being defined, numbering would cost more than it saves.
const numberAfter = 16

// sortTransitioning sorts the segments with transitions by name. If segments are numbered, a bit set of
// numbers suffices.
func (t *Tracker) sortTransitioning() {
	if t.byName == nil {
		if t.settledSince++; t.settledSince < numberAfter {
			slices.SortFunc(t.transitioning, byName)
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
		t.transitionRanks = make([]uint64, len(t.byName)/64+1)
	}
	for _, s := range t.transitioning {
		t.transitionRanks[s.rank/64] |= 1 << (s.rank % 64)
	}
	t.transitioning = t.transitioning[:0]
	for i, word := range t.transitionRanks {
		for ; word != 0; word &= word - 1 {
			t.transitioning = append(t.transitioning, t.byName[i*64+bits.TrailingZeros64(word)])
		}
		t.transitionRanks[i] = 0
	}
}

// resetNumbers discards the numbering after segments have changed.
func (t *Tracker) resetNumbers() { t.byName, t.transitionRanks, t.settledSince = nil, nil, 0 }

// pick appends the ordinals of one cause and direction to buf, and returns buf and the appended part.
func pick(all []transition, order []uint32, cause Cause, in bool, buf []uint32) (rest, picked []uint32) {
	first := len(buf)
	for _, i := range order {
		if x := &all[i]; x.cause == cause && x.in == in {
			buf = append(buf, x.ordinal)
		}
	}
	if len(buf) == first {
		return buf, nil
	}
	return buf, buf[first:len(buf):len(buf)]
}

// flipped records a flip and marks the segments that read the membership.
func (t *Tracker) flipped(s *segment, flip Flip) {
	if len(flip.Exits)+len(flip.Enters) == 0 {
		return
	}
	t.flips = append(t.flips, flip)
	readers := t.membershipReaders[s.slot]
	if len(readers) == 0 {
		return
	}
	cause := t.cause
	t.cause = flip.Cause
	for _, ordinals := range [][]uint32{flip.Exits, flip.Enters} {
		for _, ordinal := range ordinals {
			t.mark(readers, ordinal)
		}
	}
	t.cause = cause
}
