package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Config.Skip names segments that a node does not evaluate, so that it opens although one of them
// prevents that. After such a segment is dropped it is still in the logs: the next start, which skips
// nothing, would build it before it reaches the drop. So snapshots are taken after the drop.

// reportSkipped logs which segments are skipped, and takes snapshots if one of them has been dropped.
func (n *Node) reportSkipped(ctx context.Context) error {
	gone := false
	state := n.registry.state.Load()
	for _, name := range n.config.Skip {
		if _, ok := state.SegmentText(name); ok {
			n.config.Log.Warn("SEGMENT IS SKIPPED: it keeps the members it had, and neither it nor segments that use it are evaluated; "+
				"drop it, then start without skipping it", "segment", name)
			continue
		}
		gone = true
		n.config.Log.Warn("the segment to skip does not exist", "segment", name)
	}
	if !gone {
		return nil
	}
	return n.snapshotAll(ctx)
}

// isSkipped reports whether a segment is in Config.Skip.
func (n *Node) isSkipped(name string) bool {
	for _, s := range n.config.Skip {
		if s == name {
			return true
		}
	}
	return false
}

// skippedText names the segments that are skipped and still exist, or returns "".
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
	return "segments are skipped and keep the members they had: " + strings.Join(names, ", ")
}

// snapshotAll takes a snapshot of every group, so that the next start does not apply earlier entries.
func (n *Node) snapshotAll(ctx context.Context) error {
	errs := []error{n.group.snapshot(ctx)}
	for _, s := range n.shards {
		errs = append(errs, s.group.snapshot(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take a snapshot after the drop of a skipped segment: %w", err)
	}
	return nil
}
