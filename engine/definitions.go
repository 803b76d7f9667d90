package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// defineSegments updates live segments after a change of the catalog has been applied.
func (s *Shard) defineSegments(change catalog.Change) {
	l := s.live
	if l == nil {
		if change.Kind != catalog.PutSegment {
			return
		}
		l = s.startLive()
	}
	l.tracker.SetSchema(s.root.catalog.Schema())
	l.tracker.SetCause(ByDefinition)
	var affected map[string]bool
	switch change.Kind {
	case catalog.PutSegment:
		l.slotOf(change.Segment.Name)
		affected = l.dependentsOf(change.Segment.Name)
		affected[change.Segment.Name] = true
	case catalog.DropSegment:
		affected = l.dependentsOf(change.Name)
		delete(affected, change.Name)
		l.drop(change.Name)
	case catalog.PutList, catalog.DropList, catalog.DefineNames:
		affected = l.changedNames(change.Kind)
	default:
		return
	}
	l.define(slices.Sorted(maps.Keys(affected)))
}

// slotOf returns the slot of a segment. A segment without one gets the first free slot.
func (l *live) slotOf(name string) int {
	if slot, ok := l.slots[name]; ok {
		return slot
	}
	slot := slices.Index(l.s.root.segments, nil)
	if slot < 0 {
		slot = len(l.s.root.segments)
		l.s.root.segments = append(l.s.root.segments, nil)
	}
	l.s.root.segments[slot] = &segment{epoch: l.s.epochs.current, name: name, hash: xxh3.HashString(name)}
	l.s.root.slots = &slotIndex{}
	l.slots[name] = slot
	return slot
}

func (l *live) drop(name string) {
	slot := l.slots[name]
	delete(l.slots, name)
	l.tracker.Drop(slot)
	l.dropped = append(l.dropped, slot)
}

// dependentsOf returns the segments that refer to a segment, directly or through others, and the
// segments that failed, which may now have what they lacked.
func (l *live) dependentsOf(name string) map[string]bool {
	found := l.failed()
	for other := range l.dependents[name] {
		found[other] = true
	}
	return found
}

func (l *live) failed() map[string]bool {
	found := map[string]bool{}
	for name := range l.failing {
		if slot, ok := l.slots[name]; ok && l.s.root.segments[slot].state == SegmentFailed {
			found[name] = true
		} else {
			delete(l.failing, name)
		}
	}
	return found
}

// setNeeds records what the segment in a slot depends on.
func (l *live) setNeeds(slot int, needs member.Needs) {
	name := l.s.root.segments[slot].name
	for _, used := range l.needs[slot].Segments {
		if delete(l.dependents[used], name); len(l.dependents[used]) == 0 {
			delete(l.dependents, used)
		}
	}
	l.needs[slot] = needs
	for _, used := range needs.Segments {
		if l.dependents[used] == nil {
			l.dependents[used] = map[string]struct{}{}
		}
		l.dependents[used][name] = struct{}{}
	}
}

// changedNames returns the segments whose meaning new names or lists may change.
func (l *live) changedNames(kind catalog.ChangeKind) map[string]bool {
	found := l.failed()
	for name, slot := range l.slots {
		needs := l.needs[slot]
		if kind == catalog.DefineNames && needs.Unknown || kind != catalog.DefineNames && len(needs.Lists) > 0 {
			found[name] = true
		}
	}
	return found
}

// define builds segments from their definitions in the catalog; they become live together.
func (l *live) define(names []string) {
	var definitions []member.Definition
	for _, name := range names {
		d, ok := l.definition(name)
		if ok {
			definitions = append(definitions, d)
		}
	}
	l.build(definitions)
}

func (l *live) build(definitions []member.Definition) {
	if len(definitions) == 0 {
		return
	}
	for i, err := range l.tracker.Define(definitions) {
		if err != nil {
			l.fail(definitions[i].Name, err.Error())
		}
	}
	l.reportCostlyBuilds(definitions)
}

// definition checks a segment's definition. ok is false where there is nothing to build: the segment
// failed, or refreshes set its membership.
func (l *live) definition(name string) (d member.Definition, ok bool) {
	slot := l.slots[name]
	x := l.s.segment(slot)
	clause, err := l.checked(name)
	if err != nil {
		l.setNeeds(slot, member.Needs{})
		l.fail(name, err.Error())
		return d, false
	}
	l.setNeeds(slot, member.NeedsOf(l.s.root.catalog.Schema(), clause))
	if reason := l.skipping(name, l.needs[slot]); reason != "" {
		l.skip(slot, reason)
		return d, false
	}
	if reason := l.overflowed(slot); reason != "" {
		l.fail(name, reason)
		return d, false
	}
	x.reason, x.period, x.held = "", 0, member.IsHeld(clause.Def)
	if !x.held {
		x.state = SegmentBuilding
		return l.definitionOf(name, slot, clause), true
	}
	l.tracker.Hold(slot, name)
	x.state = SegmentWaiting
	if period, ok := clause.Def.Refresh.Millis(); ok && period > 0 && !member.HasRank(clause.Def.Pred) {
		x.state, x.period, x.next = SegmentLive, period, l.s.root.time+period
		l.addPeriodic(slot)
		l.refresh = append(l.refresh, slot)
	}
	return d, false
}

// checked returns the checked clause `in segment name`, with the segment's definition.
func (l *live) checked(name string) (*tree.InSegment, error) {
	p, _, err := check.Predicate(&tree.InSegment{Name: name}, l.s.root.catalog.Schema())
	if err != nil {
		return nil, err
	}
	return p.(*tree.InSegment), nil
}

func (l *live) definitionOf(name string, slot int, clause *tree.InSegment) member.Definition {
	return member.Definition{
		Slot: slot, Name: name, Zone: clause.Def.Zone, Pred: clause.Def.Pred, Catalog: l.s.root.catalog.Version(),
		Held: func(name string) (int, bool) {
			slot, ok := l.slots[name]
			return slot, ok && l.s.root.segments[slot].held && l.s.root.segments[slot].state != SegmentFailed
		},
	}
}

// fail removes all members of a segment that cannot be evaluated, and records the reason.
func (l *live) fail(name, reason string) {
	slot := l.slots[name]
	x := l.s.segment(slot)
	x.state, x.reason, x.held, x.period = SegmentFailed, reason, false, 0
	l.failing[name] = struct{}{}
	if text, ok := l.s.root.catalog.SegmentText(name); ok {
		x.version = text.Version
	}
	l.tracker.SetCause(ByDefinition)
	l.tracker.Drop(slot)
	l.tracker.Hold(slot, name)
	l.tracker.Refresh(slot, func(_ int, out *query.Bits) { *out = query.Bits{} })
}

// overflowed returns why a segment cannot be evaluated if it reads a property whose values are not
// all in memory, else "".
func (l *live) overflowed(slot int) string {
	for _, p := range l.needs[slot].Properties {
		if table := l.s.root.events[p.Event]; int(p.Property) < len(table.props) && table.props[p.Property].overflowed {
			event := l.s.root.catalog.EventByID(p.Event)
			return fmt.Sprintf("property %s of event %q has too many values to keep in memory", event.Properties()[p.Property].Name, event.Name)
		}
	}
	return ""
}

// failOverflowed fails, in order of name, the segments that read a property which overflowed in this
// entry.
func (l *live) failOverflowed() {
	for _, name := range slices.Sorted(maps.Keys(l.slots)) {
		slot := l.slots[name]
		for _, p := range l.overflows {
			if slices.Contains(l.needs[slot].Properties, p) && l.s.root.segments[slot].state != SegmentFailed {
				l.fail(name, l.overflowed(slot))
			}
		}
	}
	l.overflows = l.overflows[:0]
}
