package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// segmentDrop is `muster segment drop`.
type segmentDrop struct {
	remote
	Name    []string `arg:"" help:"Name of the segment; may be repeated."`
	Offline bool     `help:"Drop it from a data directory that no node is using, without evaluating it: for a segment that keeps the node from starting."`
	Data    string   `help:"Data directory, with --offline." default:"./muster-data" env:"MUSTER_DATA" placeholder:"DIR"`
}

// Run drops segments.
func (c *segmentDrop) Run(ctx context.Context, a *app) error {
	if c.Offline {
		return c.offline(ctx, a)
	}
	client := c.client()
	return c.dropAll(ctx, a, client.DropSegment)
}

// dropAll drops the segments of c.Name. A segment that another segment refers to can only be dropped after
// that one, so the segments that failed are tried again until no more can be dropped.
func (c *segmentDrop) dropAll(ctx context.Context, a *app, drop func(context.Context, string) error) error {
	for left := c.Name; len(left) > 0; {
		var failed []string
		var failure error
		for _, name := range left {
			if err := drop(ctx, name); err != nil {
				failed, failure = append(failed, name), errors.Join(failure, err)
				continue
			}
			if _, err := fmt.Fprintf(a.stdout, "dropped segment %s\n", sanitize(name)); err != nil {
				return err
			}
		}
		if len(failed) == len(left) {
			return failure
		}
		left = failed
	}
	return nil
}

// offline opens the node in a directory without a listener and without evaluating the segments, drops the
// segments as usual, and closes the node. If it is interrupted it can be run again.
func (c *segmentDrop) offline(ctx context.Context, a *app) (err error) {
	if _, err := os.Stat(filepath.Join(c.Data, "raft")); err != nil {
		return fmt.Errorf("%s is not a data directory of a node: %w", c.Data, err)
	}
	lock, err := lockDir(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.unlock()) }()
	planMemory(0, os.ReadFile).apply()
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	node, err := openCluster(ctx, nodeConfig{Dir: c.Data, Segments: segmentFlags{SkipSegment: c.Name}, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	existing := segmentDrop{}
	for _, name := range c.Name {
		if _, ok, err := node.Segment(ctx, name); err != nil {
			return err
		} else if ok {
			existing.Name = append(existing.Name, name)
			continue
		}
		if _, err := fmt.Fprintf(a.stdout, "there is no segment %s, and the next start reads no trace of one\n", sanitize(name)); err != nil {
			return err
		}
	}
	return existing.dropAll(ctx, a, node.DropSegment)
}
