package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/wire"
	"github.com/zeebo/xxh3"
)

// segments writes the memberships and the state of each segment and build. The tracker's state is
// derived.
func (w *snapshotWriter) segments(r *root) error {
	for slot, x := range r.segments {
		if x == nil {
			continue
		}
		data := wire.AppendString(nil, x.name)
		data = binary.AppendUvarint(data, x.version)
		data = append(data, byte(x.state))
		data = wire.AppendString(data, x.reason)
		data = wire.AppendBool(data, x.held)
		for _, n := range []int64{x.period, x.next, x.at} {
			data = binary.AppendVarint(data, n)
		}
		if err := w.put(pageSegment, data, uint64(slot)); err != nil {
			return err
		}
		for chunk, p := range x.members {
			if p.count() == 0 {
				continue
			}
			if err := w.put(pageMembers, appendSet(nil, p), uint64(slot), uint64(chunk)); err != nil {
				return err
			}
		}
	}
	for i, b := range r.builds {
		data := binary.AppendUvarint(nil, uint64(len(b.slots)))
		for _, slot := range b.slots {
			data = binary.AppendUvarint(data, uint64(slot))
		}
		data = binary.AppendUvarint(data, uint64(b.part))
		data = binary.AppendUvarint(data, uint64(b.chunk))
		if err := w.put(pageBuild, data, uint64(i)); err != nil {
			return err
		}
	}
	return nil
}

func (x *restorer) segment(r *wire.Reader, slot uint64) {
	name := string(append([]byte(nil), r.String()...))
	s := &segment{name: name, hash: xxh3.HashString(name), version: r.Uvarint(), state: SegmentState(r.Byte())}
	s.reason = string(append([]byte(nil), r.String()...))
	s.held = r.Bool()
	s.period, s.next, s.at = r.Varint(), r.Varint(), r.Varint()
	_, known := x.r.catalog.SegmentText(name)
	if !known || slot < uint64(len(x.r.segments)) || slot > 1<<20 || s.period < 0 ||
		s.state < SegmentBuilding || s.state > SegmentFailed {
		r.Fail("segment")
		return
	}
	for uint64(len(x.r.segments)) < slot {
		x.r.segments = append(x.r.segments, nil)
	}
	x.r.segments = append(x.r.segments, s)
}

func (x *restorer) members(r *wire.Reader, slot, chunk uint64) {
	set := x.set(r)
	if slot+1 != uint64(len(x.r.segments)) || chunk >= uint64(len(x.r.profiles)) || r.Err() != nil {
		r.Fail("members of a segment")
		return
	}
	s := x.r.segments[slot]
	if uint64(len(s.members)) > chunk {
		r.Fail("members twice")
		return
	}
	for uint64(len(s.members)) < chunk {
		s.members = append(s.members, nil)
	}
	if !set.within(x.r.profiles[chunk]) {
		r.Fail("member that is not a profile")
	}
	s.members = append(s.members, set)
	s.count += int64(set.count())
}

func (x *restorer) build(r *wire.Reader) {
	b := build{slots: make([]int, r.Count(1))}
	for i := range b.slots {
		slot := r.Uvarint()
		if slot >= uint64(len(x.r.segments)) || x.r.segments[slot] == nil {
			r.Fail("slot of a build")
			return
		}
		b.slots[i] = int(slot)
	}
	b.part, b.chunk = int(r.Uvarint()), int(r.Uvarint())
	x.r.builds = append(x.r.builds, b)
}

// restoreLive rebuilds the tracker of the restored segments, and checks their memberships against
// their definitions. If damaged is true it corrects them instead.
func (s *Shard) restoreLive(damaged bool) error {
	if len(s.root.catalog.Segments()) == 0 {
		return nil
	}
	s.root.slots = &slotIndex{}
	l := s.startLive()
	for slot, x := range s.root.segments {
		if x != nil {
			l.slots[x.name] = slot
		}
	}
	var live, missing []string
	for _, text := range s.root.catalog.Segments() {
		if _, had := l.slots[text.Name]; !had { // from a build that had no live segments
			l.slotOf(text.Name)
			missing = append(missing, text.Name)
		}
	}
	if err := l.restoreNeeds(); err != nil {
		return err
	}
	missing = append(missing, l.restoreSkips()...)
	for _, text := range s.root.catalog.Segments() {
		if slot := l.slots[text.Name]; s.root.segments[slot].state == SegmentLive && !s.root.segments[slot].held {
			live = append(live, text.Name)
		}
	}
	if err := l.redefine(live); err != nil {
		return err
	}
	l.tracker.Work(1 << 62)
	l.tracker.Settle()
	if flips := l.tracker.Flips(); len(flips) > 0 && !damaged {
		return fmt.Errorf("the members of segment %q do not match its definition", s.root.segments[flips[0].Slot].name)
	}
	builds := s.root.builds
	s.root.builds = nil
	for _, b := range builds {
		kept, err := l.restoredBuild(b)
		if err != nil {
			return err
		}
		if len(kept.slots) > 0 {
			s.root.builds = append(s.root.builds, kept)
		}
	}
	if len(missing) > 0 {
		l.define(missing)
	}
	return nil
}

// restoreNeeds finds what each segment depends on, and tells the tracker about the segments it does
// not evaluate.
func (l *live) restoreNeeds() error {
	for slot, x := range l.s.root.segments {
		if x == nil || x.state == 0 {
			continue
		}
		if l.slots[x.name] != slot {
			return fmt.Errorf("segment %q is in two slots", x.name)
		}
		if x.held || x.state == SegmentFailed {
			l.tracker.Hold(slot, x.name)
		}
		if x.period > 0 {
			l.addPeriodic(slot)
		}
		if x.state == SegmentFailed {
			l.failing[x.name] = struct{}{}
		}
		if clause, err := l.checked(x.name); err == nil {
			l.setNeeds(slot, member.NeedsOf(l.s.root.catalog.Schema(), clause))
		} else if x.state != SegmentFailed {
			return err
		}
	}
	return nil
}

// redefine passes the definitions of restored segments to the tracker.
func (l *live) redefine(names []string) error {
	var definitions []member.Definition
	for _, name := range names {
		clause, err := l.checked(name)
		if err != nil {
			return err
		}
		definitions = append(definitions, l.definitionOf(name, l.slots[name], clause))
	}
	if len(definitions) == 0 {
		return nil
	}
	for _, err := range l.tracker.Define(definitions) {
		if err != nil {
			return err
		}
	}
	l.reportCostlyBuilds(definitions)
	return nil
}

// checkSegments compares every live membership with an evaluation of its predicate, and returns the
// sum of the facts of all memberships.
func (r *root) checkSegments(x *faults, v *View) (sum factSum) {
	for _, s := range r.segments {
		if s == nil {
			continue
		}
		count := int64(0)
		for chunk, p := range s.members {
			p.each(func(pos uint16) bool {
				ordinal := uint32(chunk)<<query.ChunkBits | uint32(pos)
				sum = sum.add(memberFact(s.name, ordinal))
				count++
				if !r.exists(ordinal) {
					x.add(fmt.Sprintf("member of segment %q is not a profile", s.name), "%d", ordinal)
				}
				return true
			})
		}
		if count != s.count || s.state == SegmentFailed && count > 0 {
			x.add(fmt.Sprintf("number of members of segment %q, %s, is wrong", s.name, s.state), "it has %d, counted as %d", count, s.count)
		}
		if s.state == SegmentLive && !s.held {
			r.checkMembers(x, v, s)
		}
	}
	return sum
}
