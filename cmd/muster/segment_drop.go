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
	Name    []string `arg:"" help:"Name of the segment; several are dropped one after the other."`
	Offline bool     `help:"Drop it from a data directory that no node is using, without evaluating it: for one that does not let the node start."`
	Data    string   `help:"Data directory, with --offline." default:"./muster-data" env:"MUSTER_DATA" placeholder:"DIR"`
}

// Run drops segments.
func (c *segmentDrop) Run(ctx context.Context, a *app) error {
	if c.Offline {
		return c.offline(ctx, a)
	}
	client := c.client()
	return c.each(ctx, a, client.DropSegment)
}

// each drops one segment after the other. One that another one asks waits until that is gone.
func (c *segmentDrop) each(ctx context.Context, a *app, drop func(context.Context, string) error) error {
	for left := c.Name; len(left) > 0; {
		var waits []string
		var failure error
		for _, name := range left {
			if err := drop(ctx, name); err != nil {
				waits, failure = append(waits, name), errors.Join(failure, err)
				continue
			}
			if _, err := fmt.Fprintf(a.stdout, "dropped segment %s\n", harmless(name)); err != nil {
				return err
			}
		}
		if len(waits) == len(left) {
			return failure
		}
		left = waits
	}
	return nil
}

// offline opens the node of a directory without its listener, skips the segments, drops them as the node would,
// and closes it. Broken off, it can be run again.
func (c *segmentDrop) offline(ctx context.Context, a *app) (err error) {
	if _, err := os.Stat(filepath.Join(c.Data, "raft")); err != nil {
		return fmt.Errorf("%s is no data directory of a node: %w", c.Data, err)
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
	there := segmentDrop{}
	for _, name := range c.Name {
		if _, ok, err := node.Segment(ctx, name); err != nil {
			return err
		} else if ok {
			there.Name = append(there.Name, name)
			continue
		}
		if _, err := fmt.Fprintf(a.stdout, "there is no segment %s, and the next start reads nothing of one\n", harmless(name)); err != nil {
			return err
		}
	}
	return there.each(ctx, a, node.DropSegment)
}
