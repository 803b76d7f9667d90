package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A node may be told to skip segments (Config.Skip), so that it opens though one of them does not let it.
// What was skipped and is dropped still lies in the logs: the next start, which skips nothing, would build it
// on its way to the drop. So snapshots are taken behind it.

// skipSegments says which segments are skipped, and takes care of those that are gone.
func (n *Node) skipSegments(ctx context.Context) error {
	gone := false
	state := n.registry.state.Load()
	for _, name := range n.config.Skip {
		if _, ok := state.SegmentText(name); ok {
			n.config.Log.Warn("SEGMENT IS SKIPPED: it keeps the members it had, and neither it nor what asks it is evaluated; "+
				"drop it, then start without skipping it", "segment", name)
			continue
		}
		gone = true
		n.config.Log.Warn("there is no segment of this name to skip", "segment", name)
	}
	if !gone {
		return nil
	}
	return n.snapshotAll(ctx)
}

// isSkipped tells whether a segment is skipped by its own name.
func (n *Node) isSkipped(name string) bool {
	for _, s := range n.config.Skip {
		if s == name {
			return true
		}
	}
	return false
}

// skippedText names what is skipped and still there, "" if nothing is.
func (n *Node) skippedText() string {
	state := n.registry.state.Load()
	var names []string
	for _, name := range n.config.Skip {
		if _, ok := state.SegmentText(name); ok {
			names = append(names, fmt.Sprintf("%q", name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "segments are skipped, and have the members they had: " + strings.Join(names, ", ")
}

// snapshotAll takes a snapshot of every group, so that the next start reads nothing of what was before.
func (n *Node) snapshotAll(ctx context.Context) error {
	errs := []error{n.group.snapshot(ctx)}
	for _, s := range n.shards {
		errs = append(errs, s.group.snapshot(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take a snapshot behind a segment that was skipped: %w", err)
	}
	return nil
}
