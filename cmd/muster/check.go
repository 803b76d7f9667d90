package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/musterdb/muster/persist"
)

// checkCommand is `muster check`.
type checkCommand struct {
	Data  string `help:"Data directory." default:"./muster-data" env:"MUSTER_DATA" placeholder:"DIR"`
	Quiet bool   `help:"Print problems only."`
}

// Run verifies a data directory that no node uses. Every problem is one line on stdout; the exit code
// is 1 if there is any.
func (c *checkCommand) Run(ctx context.Context, a *app) (err error) {
	if _, err := os.Stat(filepath.Join(c.Data, "raft")); err != nil {
		return fmt.Errorf("%s is no data directory of a node: %w", c.Data, err)
	}
	lock, err := lockDir(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.unlock()) }()
	started := time.Now()
	if err := haveMeta(c.Data); err != nil {
		return fmt.Errorf("check %s: %w; keep the directory as it is and restore a copy", c.Data, err)
	}
	problems, err := persist.Check(ctx, c.Data, func(what string) {
		if !c.Quiet {
			fmt.Fprintln(a.stderr, "checking", what)
		}
	})
	for _, p := range problems {
		fmt.Fprintln(a.stdout, harmless(p.String()))
	}
	if err != nil {
		return fmt.Errorf("check %s: %w", c.Data, err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("check %s: %s; keep the directory as it is and restore a copy", c.Data, plural(len(problems), "problem"))
	}
	if !c.Quiet {
		fmt.Fprintf(a.stdout, "%s is whole (checked in %s)\n", c.Data, time.Since(started).Round(time.Millisecond))
	}
	return nil
}
