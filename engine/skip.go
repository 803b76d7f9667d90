package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/musterdb/muster/engine/member"
)

// A segment may be skipped: it is marked as failed with a reason, keeps the members it had, and
// neither it nor a segment that refers to it is evaluated. This allows a shard to open that the
// segment would prevent from opening, so that the segment can be dropped. Skipping belongs to the
// process and is in no entry: a shard that is opened without it builds the segment again.

// skipped is the prefix of the reason of a segment that is skipped.
const skipped = "it is skipped: "

// skipping returns why a segment is skipped, "" if it is not.
func (l *live) skipping(name string, needs member.Needs) string {
	if slices.Contains(l.s.config.Skip, name) {
		return skipped + "the node was started with this segment to be skipped; drop the segment, or start the node without skipping it"
	}
	for _, used := range needs.Segments {
		if slices.Contains(l.s.config.Skip, used) {
			return skipped + fmt.Sprintf("it refers to segment %q, which is skipped", used)
		}
	}
	return ""
}

// skip marks a segment as skipped and leaves its members as they are. REQUIRES: the tracker has
// nothing to settle.
func (l *live) skip(slot int, reason string) {
	x := l.s.segment(slot)
	x.state, x.reason, x.held, x.period = SegmentFailed, reason, false, 0
	l.failing[x.name] = struct{}{}
	l.tracker.Hold(slot, x.name)
}

// restoreSkips skips the restored segments that are to be skipped, and returns those that were
// skipped before and no longer are.
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

// restoredBuild resumes a build where it was, without the segments that are skipped.
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
	if len(kept.slots) < len(b.slots) { // the parts are different, so start again
		kept.part, kept.chunk = 0, 0
	}
	if l.tracker.Resume(kept.part, kept.chunk) != nil { // a build of an older version may have parts of segments that left it
		kept.part, kept.chunk = 0, 0
	}
	all := l.tracker.Building()
	kept.parts = all[len(all)-1].Parts()
	return kept, nil
}

// costlyBuild is the time from which on a build is reported. If the shard never finishes opening,
// such a build may be the reason.
const costlyBuild = 200 * time.Millisecond

// reportCostlyBuilds reports the definitions that take long to build, before the first is computed.
func (l *live) reportCostlyBuilds(definitions []member.Definition) {
	if l.s.config.Building == nil || len(definitions) == 0 {
		return
	}
	load := member.NewLoad(l.s.root.time)
	v := &View{root: l.s.root}
	v.AddSize(load)
	for _, d := range definitions {
		for _, event := range l.tracker.EventsOf(d.Slot) {
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

// costlyMemory is the memory of a segment from which on its build is reported.
const costlyMemory = 16 << 20
