package member

import (
	"fmt"
	"slices"

	"github.com/musterdb/muster/query"
)

// segment is one live segment. The membership of a held segment changes only by Refresh and when profiles are
// removed. A segment waiting for its build is held too, until the build ends.
type segment struct {
	slot        int
	name        string
	program     *node     // nil: no members
	all         []literal // the program as a conjunction, if it is one
	parts       []part
	held        bool
	reads       []int  // slots of the memberships that the program reads
	settled     uint64 // the latest settling that has checked it
	transitions int    // number of transitions in this settling
	next        int    // index of its next transition
	rank        int    // position by name, if the tracker has numbered the segments
}

// both returns the value of the segment's program before the leaves flipped that a settling handles, and its
// value now.
func (s *segment) both(row []byte, ordinal uint32, settling uint64) (was, is bool) {
	if s.all != nil {
		return allBoth(s.all, row, ordinal, settling)
	}
	return s.program.both(row, ordinal, settling)
}

// Build is a group of segments that are being built. They become live together.
type Build struct {
	Slots []int
	// Part and Chunk are computed next.
	Part, Chunk int

	segments []*segment
	parts    []part
}

// Define puts segments into their slots. The memberships in those slots stay as they are until the segments
// are built; then the segments become live together. It returns an error for each definition, nil where it
// compiled.
//
// REQUIRES: nothing is left to Settle.
func (t *Tracker) Define(definitions []Definition) []error {
	errs := make([]error, len(definitions))
	b := &Build{}
	for i, d := range definitions {
		t.release(d.Slot)
		s := &segment{slot: d.Slot, name: d.Name}
		if errs[i] = t.compile(s, d); errs[i] != nil {
			t.releaseParts(s)
			s = &segment{slot: d.Slot, name: d.Name}
		}
		s.held = true
		t.put(d.Slot, s)
		b.Slots = append(b.Slots, d.Slot)
		b.segments = append(b.segments, s)
		for _, p := range s.parts {
			b.add(p)
		}
	}
	t.builds = append(t.builds, b)
	return errs
}

func (t *Tracker) put(slot int, s *segment) {
	t.segments[slot] = s
	t.resetNumbers()
}

func (b *Build) add(p part) {
	for _, other := range b.parts {
		if other == p {
			return
		}
	}
	b.parts = append(b.parts, p)
}

// leave removes a segment from the build, with the parts that only it needs, and reports whether it was
// there. The rest starts over: a shard restored from a snapshot knows only the rest and does the same, and
// both must become live at the same entry. Chunks that are current already are not computed again.
func (b *Build) leave(s *segment) bool {
	i := slices.Index(b.segments, s)
	if i < 0 {
		return false
	}
	b.Slots = append(b.Slots[:i:i], b.Slots[i+1:]...)
	b.segments = append(b.segments[:i:i], b.segments[i+1:]...)
	b.Part, b.Chunk, b.parts = 0, 0, nil
	for _, other := range b.segments {
		for _, p := range other.parts {
			b.add(p)
		}
	}
	return true
}

// Hold puts a segment into a slot whose membership only Refresh changes.
func (t *Tracker) Hold(slot int, name string) {
	t.release(slot)
	t.put(slot, &segment{slot: slot, name: name, held: true})
}

// Drop empties a slot: its members leave at the next Settle. Call Forget after that.
func (t *Tracker) Drop(slot int) {
	s := t.segments[slot]
	if s == nil {
		return
	}
	name := s.name
	t.release(slot)
	s = &segment{slot: slot, name: name}
	t.put(slot, s)
	for chunk := range t.host.Source().Chunks() {
		t.markChunk([]*segment{s}, chunk)
	}
}

// Forget frees a dropped slot.
func (t *Tracker) Forget(slot int) { t.release(slot) }

// Refresh replaces the membership in a slot by what fill returns for each chunk.
func (t *Tracker) Refresh(slot int, fill func(chunk int, out *query.Bits)) {
	s := t.segments[slot]
	flip := Flip{Slot: slot, At: t.now, Cause: t.cause}
	var is query.Bits
	for chunk := range t.host.Source().Chunks() {
		fill(chunk, &is)
		t.replaceChunk(s, chunk, &is, &flip)
	}
	t.flipped(s, flip)
}

// release removes the segment of a slot from the tracker. Its membership stays with the host.
func (t *Tracker) release(slot int) {
	s := t.segments[slot]
	if s == nil {
		return
	}
	for i, b := range t.builds {
		if b.leave(s) {
			if len(b.segments) == 0 {
				t.builds = append(t.builds[:i:i], t.builds[i+1:]...)
			}
			break
		}
	}
	delete(t.segments, slot)
	t.resetNumbers()
	t.bareSegs = without(t.bareSegs, s)
	for _, slot := range s.reads {
		t.membershipReaders[slot] = without(t.membershipReaders[slot], s)
	}
	t.releaseParts(s)
}

// without returns list without x. It does not modify list, which others may be reading.
func without[T comparable](list []T, x T) []T {
	for i := range list {
		if list[i] == x {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

// Building returns the unfinished builds, in order.
func (t *Tracker) Building() []*Build { return t.builds }

// Work computes chunks of conditions and counters for up to budget units; the last chunk is always finished.
// Finished builds become live: Work returns their slots, and the next Settle reports the differences.
func (t *Tracker) Work(budget int) (live []int) {
	for len(t.builds) > 0 {
		b := t.builds[0]
		chunks := t.host.Source().Chunks()
		for budget > 0 && b.Part < len(b.parts) {
			if b.Chunk < chunks {
				budget -= b.parts[b.Part].units(b.Chunk) // even if it is current already, so that all replicas agree
				t.step(b)
				continue
			}
			b.parts[b.Part].state().complete = true
			b.Part, b.Chunk = b.Part+1, 0
		}
		if b.Part < len(b.parts) {
			break
		}
		t.builds = t.builds[1:]
		for _, s := range b.segments {
			t.activate(s, chunks)
			live = append(live, s.slot)
		}
	}
	return live
}

// Resume advances the last build to Part and Chunk.
func (t *Tracker) Resume(part, chunk int) error {
	b := t.builds[len(t.builds)-1]
	chunks := t.host.Source().Chunks()
	if part > len(b.parts) || chunk > chunks {
		return fmt.Errorf("cannot resume a build of %d conditions at condition %d, chunk %d: it does not have that many", len(b.parts), part, chunk)
	}
	for b.Part < part {
		for b.Chunk < chunks {
			t.step(b)
		}
		b.parts[b.Part].state().complete = true
		b.Part, b.Chunk = b.Part+1, 0
	}
	for b.Part < len(b.parts) && b.Chunk < chunk {
		t.step(b)
	}
	return nil
}

// step computes the next chunk of a build, unless another segment has needed it already.
func (t *Tracker) step(b *Build) {
	p := b.parts[b.Part].state()
	if !p.complete && p.built <= b.Chunk {
		b.parts[b.Part].build(b.Chunk)
		p.built = b.Chunk + 1
	}
	b.Chunk++
}

// activate makes a built segment live.
func (t *Tracker) activate(s *segment, chunks int) {
	s.held = false
	if s.program != nil {
		t.use(s, s.program)
		s.all = s.program.literals()
		if s.program.trueWithoutFacts() {
			t.bareSegs = append(t.bareSegs, s)
		}
	}
	t.cause = ByDefinition
	for chunk := range chunks {
		t.markChunk([]*segment{s}, chunk)
	}
}

// use registers a segment with the leaves of its program, so that it is marked when they flip.
func (t *Tracker) use(s *segment, n *node) {
	switch {
	case n.op == opLeaf && n.leaf.kind == memberLeaf:
		s.reads = append(s.reads, n.leaf.slot)
		t.membershipReaders[n.leaf.slot] = with(t.membershipReaders[n.leaf.slot], s)
	case n.op == opLeaf:
		n.leaf.users = with(n.leaf.users, user{s, guardOf(s.program)})
	}
	for i := range n.args {
		t.use(s, &n.args[i])
	}
}

func with[T comparable](list []T, x T) []T {
	for i := range list {
		if list[i] == x {
			return list
		}
	}
	return append(list, x)
}

// Parts returns how many conditions and counters the build needs.
func (b *Build) Parts() int { return len(b.parts) }
