package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/musterdb/muster/engine/member"
)

// A segment may be skipped: it is failed with a reason, keeps the members it had, and neither it nor what asks
// it is evaluated, so that a shard opens which it would not let open, and the segment can be dropped. That
// is a matter of the process and of no entry: a shard that is opened without skipping it builds it again.

// skipped begins the reason of a segment that was skipped.
const skipped = "it is skipped: "

// skipping says why a segment is not evaluated, "" where it is.
func (l *live) skipping(name string, needs member.Needs) string {
	if slices.Contains(l.s.config.Skip, name) {
		return skipped + "the node was started so; drop it, or start the node without skipping it"
	}
	for _, asked := range needs.Segments {
		if slices.Contains(l.s.config.Skip, asked) {
			return skipped + fmt.Sprintf("it asks segment %q, which is", asked)
		}
	}
	return ""
}

// skip leaves a segment as it is. REQUIRES: the tracker has nothing to settle.
func (l *live) skip(slot int, reason string) {
	x := l.s.segment(slot)
	x.state, x.reason, x.held, x.period = SegmentFailed, reason, false, 0
	l.failing[x.name] = struct{}{}
	l.tracker.Hold(slot, x.name)
}

// restoreSkips skips what is to be skipped of the restored segments, and returns those that were before and
// are no more.
func (l *live) restoreSkips() (again []string) {
	for slot, x := range l.s.root.segments {
		if x == nil {
			continue
		}
		if reason := l.skipping(x.name, l.needs[slot]); reason != "" {
			l.skip(slot, reason)
		} else if x.state == SegmentFailed && strings.HasPrefix(x.reason, skipped) {
			again = append(again, x.name)
		}
	}
	slices.Sort(again)
	return again
}

// restoredBuild brings back a build as far as it was, without what is skipped.
func (l *live) restoredBuild(b build) (build, error) {
	var names []string
	kept := build{part: b.part, chunk: b.chunk}
	for _, slot := range b.slots {
		if x := l.s.root.segments[slot]; x.state != SegmentFailed {
			kept.slots = append(kept.slots, slot)
			names = append(names, x.name)
		}
	}
	if len(names) == 0 {
		return kept, nil
	}
	if err := l.redefine(names); err != nil {
		return kept, err
	}
	if len(kept.slots) < len(b.slots) { // other parts: how far it was means nothing
		kept.part, kept.chunk = 0, 0
	}
	if l.tracker.Resume(kept.part, kept.chunk) != nil { // builds used to keep the parts of segments that had left them
		kept.part, kept.chunk = 0, 0
	}
	all := l.tracker.Building()
	kept.parts = all[len(all)-1].Parts()
	return kept, nil
}

// costlyBuild is from when on it is told that a segment is built: it may be what the shard does not get beyond.
const costlyBuild = 200 * time.Millisecond

// tellBuilding tells which of some definitions take long, before the first is computed.
func (l *live) tellBuilding(definitions []member.Definition) {
	if l.s.config.Building == nil || len(definitions) == 0 {
		return
	}
	load := member.NewLoad(l.s.root.time)
	v := &View{root: l.s.root}
	v.AddSize(load)
	for _, d := range definitions {
		for _, event := range l.tracker.Hears(d.Slot) {
			if load.Events[event] == nil {
				v.AddEvents(load, []uint32{event})
				load.Event(event)
			}
		}
		if price := l.tracker.Share(load, d.Slot); price.Build >= costlyBuild || price.Memory >= costlyMemory {
			l.s.config.Building(d.Name, price)
		}
	}
}

// costlyMemory is the same of the memory of a segment.
const costlyMemory = 16 << 20
