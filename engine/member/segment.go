package member

import (
	"fmt"
	"slices"

	"github.com/musterdb/muster/query"
)

// segment is one live segment. A held one changes by Refresh only (and by profiles that go); so does
// one that waits for its build, by the build's end.
type segment struct {
	slot    int
	name    string
	program *node     // nil: nobody
	all     []literal // the same where it is a conjunction
	parts   []part
	held    bool
	on      []int  // slots of the memberships the program stands on
	settled uint64 // the settling that has looked at it
	turns   int    // how many turned in this settling, and where the next one goes
	next    int
	rank    int // place by name, where the tracker has numbered them
}

// both tells what the segment's program was before the leaves flipped that a settling deals with, and
// what it is now.
func (s *segment) both(row []byte, ordinal uint32, settling uint64) (was, is bool) {
	if s.all != nil {
		return allBoth(s.all, row, ordinal, settling)
	}
	return s.program.both(row, ordinal, settling)
}

// Build is some segments on their way to being live. They become it together.
type Build struct {
	Slots []int
	// Part and Chunk are what is computed next.
	Part, Chunk int

	segments []*segment
	parts    []part
}

// Define puts a segment into a slot; definition says what it is. What was in the slot changes no
// more, and the segments become live together when they are built.
//
// REQUIRES: nothing is left to Settle.
func (t *Tracker) Define(definitions []Definition) []error {
	errs := make([]error, len(definitions))
	b := &Build{}
	for i, d := range definitions {
		t.release(d.Slot)
		s := &segment{slot: d.Slot, name: d.Name}
		if errs[i] = t.compile(s, d); errs[i] != nil {
			t.unuse(s)
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
	t.rename()
}

func (b *Build) add(p part) {
	for _, other := range b.parts {
		if other == p {
			return
		}
	}
	b.parts = append(b.parts, p)
}

// leave takes a segment out of the build, with the parts that only it needs, and reports whether it was there.
// The rest begins anew: that is what a shard does that is restored from a snapshot and knows the rest only,
// and both must become live with the same entry. Chunks that are there already are not computed again.
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

// Drop empties a slot: its members leave at Settle, then Forget it.
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

// Forget frees a slot that was dropped.
func (t *Tracker) Forget(slot int) { t.release(slot) }

// Refresh makes the membership in a slot equal to what fill says for each chunk.
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

// release takes a slot's segment out of everything. Its membership stays with the host.
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
	t.rename()
	t.bareSegs = without(t.bareSegs, s)
	for _, slot := range s.on {
		t.standing[slot] = without(t.standing[slot], s)
	}
	t.unuse(s)
}

// without returns list less x; list itself, which others may be reading, stays.
func without[T comparable](list []T, x T) []T {
	for i := range list {
		if list[i] == x {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

// Building returns the builds that are not done, in order.
func (t *Tracker) Building() []*Build { return t.builds }

// Work computes chunks of conditions for up to budget units, and the last of them whole. Builds that are
// done become live: it returns their slots, and their true differences are there after Settle.
func (t *Tracker) Work(budget int) (live []int) {
	for len(t.builds) > 0 {
		b := t.builds[0]
		chunks := t.host.Source().Chunks()
		for budget > 0 && b.Part < len(b.parts) {
			if b.Chunk < chunks {
				budget -= b.parts[b.Part].units(b.Chunk) // whether or not it is there already
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

// Resume brings the last build to where it was when its Part and Chunk were these.
func (t *Tracker) Resume(part, chunk int) error {
	b := t.builds[len(t.builds)-1]
	chunks := t.host.Source().Chunks()
	if part > len(b.parts) || chunk > chunks {
		return fmt.Errorf("resume a build of %d conditions at %d, chunk %d: it has not as many", len(b.parts), part, chunk)
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

// step computes the next chunk of a build, unless another segment needed it before.
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
		if s.program.empty() {
			t.bareSegs = append(t.bareSegs, s)
		}
	}
	t.cause = ByDefinition
	for chunk := range chunks {
		t.markChunk([]*segment{s}, chunk)
	}
}

// use registers a segment with the leaves of its program, so that it hears of their changes.
func (t *Tracker) use(s *segment, n *node) {
	switch {
	case n.op == opLeaf && n.leaf.kind == memberLeaf:
		s.on = append(s.on, n.leaf.slot)
		t.standing[n.leaf.slot] = with(t.standing[n.leaf.slot], s)
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

// Parts is how many conditions and counters the build needs.
func (b *Build) Parts() int { return len(b.parts) }
