package main

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/cluster"
)

// segmentFlags say what live segments may cost, and which are not evaluated.
type segmentFlags struct {
	SegmentMemory string        `help:"Memory of all live segments, like 2GiB (default: a quarter of the memory); one may take a quarter of it." env:"MUSTER_SEGMENT_MEMORY" placeholder:"SIZE"`
	SegmentEvent  time.Duration `help:"Processor time that all live segments may take for one event (default 500µs)." env:"MUSTER_SEGMENT_EVENT" placeholder:"DURATION"`
	SegmentSecond time.Duration `help:"Processor time that they may take every second though nothing comes in (default 250ms)." env:"MUSTER_SEGMENT_SECOND" placeholder:"DURATION"`
	SegmentBuild  time.Duration `help:"Processor time to compute them anew at a start (default 8m)." env:"MUSTER_SEGMENT_BUILD" placeholder:"DURATION"`
	SegmentStop   time.Duration `help:"Time for which a shard may stand still to compute a part of a segment (default 1s)." env:"MUSTER_SEGMENT_STOP" placeholder:"DURATION"`
	SkipSegment   []string      `help:"Segment that is not evaluated, so that a node which it does not let start can start and drop it; may be repeated." sep:"none" env:"MUSTER_SKIP_SEGMENT" placeholder:"NAME"`
}

// segmentConfig is what the flags mean. Zero values stand for the defaults.
type segmentConfig struct {
	Memory                     int64
	Event, Second, Build, Stop time.Duration
	Skip                       []string
}

func (f segmentFlags) config() (segmentConfig, error) {
	c := segmentConfig{Event: f.SegmentEvent, Second: f.SegmentSecond, Build: f.SegmentBuild, Stop: f.SegmentStop, Skip: f.SkipSegment}
	for flag, d := range map[string]time.Duration{"--segment-event": c.Event, "--segment-second": c.Second, "--segment-build": c.Build, "--segment-stop": c.Stop} {
		if d < 0 {
			return c, fmt.Errorf("%s: %v is not a time", flag, d)
		}
	}
	var err error
	if c.Memory, err = parseSize(f.SegmentMemory); err != nil {
		return c, fmt.Errorf("--segment-memory: %w", err)
	}
	return c, nil
}

func (c segmentConfig) apply(to *cluster.Config) {
	to.SegmentMemory, to.SegmentEvent, to.SegmentSecond, to.SegmentBuild = c.Memory, c.Event, c.Second, c.Build
	to.SegmentStop, to.Skip = c.Stop, c.Skip
}
