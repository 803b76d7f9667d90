package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/musterdb/muster/cluster"
)

// segmentFlags limit the cost of live segments, and name the segments that are not evaluated.
type segmentFlags struct {
	SegmentMemory size          `help:"Memory of all live segments, like 2GiB (default: a quarter of the memory); one segment may use a quarter of it." env:"MUSTER_SEGMENT_MEMORY" placeholder:"SIZE"`
	SegmentEvent  time.Duration `help:"CPU time that all live segments may use per event (default 500µs)." env:"MUSTER_SEGMENT_EVENT" placeholder:"DURATION"`
	SegmentSecond time.Duration `help:"CPU time that they may use per second when no messages arrive (default 250ms)." env:"MUSTER_SEGMENT_SECOND" placeholder:"DURATION"`
	SegmentBuild  time.Duration `help:"CPU time to compute them again at a start (default 8m)." env:"MUSTER_SEGMENT_BUILD" placeholder:"DURATION"`
	SegmentStop   time.Duration `help:"Time for which a shard may pause to compute a part of a segment (default 1s)." env:"MUSTER_SEGMENT_STOP" placeholder:"DURATION"`
	SkipSegment   []string      `help:"Segment that is not evaluated, so that a node which it keeps from starting can start and drop it; may be repeated." sep:"none" env:"MUSTER_SKIP_SEGMENT" placeholder:"NAME"`
}

// Validate reports all faults of the flags, joined into one error.
func (f segmentFlags) Validate() error {
	var faults []error
	for _, d := range []struct {
		flag string
		time.Duration
	}{{"--segment-event", f.SegmentEvent}, {"--segment-second", f.SegmentSecond}, {"--segment-build", f.SegmentBuild}, {"--segment-stop", f.SegmentStop}} {
		if d.Duration < 0 {
			faults = append(faults, fmt.Errorf("%s: %v is negative", d.flag, d.Duration))
		}
	}
	return errors.Join(faults...)
}

func (f segmentFlags) apply(to *cluster.Config) {
	to.SegmentMemory, to.SegmentEvent, to.SegmentSecond, to.SegmentBuild = int64(f.SegmentMemory), f.SegmentEvent, f.SegmentSecond, f.SegmentBuild
	to.SegmentStop, to.Skip = f.SegmentStop, f.SkipSegment
}
