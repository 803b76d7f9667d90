package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/persist"
)

// isData tells whether there is anything of a node in a directory.
func isData(dir string) bool {
	for _, part := range []string{"cluster.meta", "raft", "db"} {
		if _, err := os.Stat(filepath.Join(dir, part)); err == nil {
			return true
		}
	}
	return false
}

// checkCommand is `muster check`.
type checkCommand struct {
	Data  string `help:"Data directory." default:"./muster-data" env:"MUSTER_DATA" placeholder:"DIR"`
	Quiet bool   `help:"Print problems only."`
}

// Run verifies a data directory that no node uses: first its bytes, then, if they are whole, the state
// that they make. Every problem is one line on stdout; the exit code is 1 if there is any.
func (c *checkCommand) Run(ctx context.Context, a *app) (err error) {
	lock, err := lockNode(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.unlock()) }()
	started := time.Now()
	const hopeless = "keep the directory as it is and restore a copy"
	parts, err := cluster.CheckMeta(c.Data)
	if err != nil {
		return fmt.Errorf("check %s: %w; %s", c.Data, err, hopeless)
	}
	progress := a.progressOf("checking", c.Quiet)
	problems, err := persist.Check(ctx, c.Data, parts, progress)
	for _, p := range problems {
		fmt.Fprintln(a.stdout, harmless(p.String()))
	}
	if err != nil {
		return fmt.Errorf("check %s: %w", c.Data, err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("check %s: %s; %s", c.Data, plural(len(problems), "problem"), hopeless)
	}
	found, way, err := c.state(ctx, a, progress)
	if err != nil {
		return fmt.Errorf("check %s: %w", c.Data, err)
	}
	if found > 0 {
		return fmt.Errorf("check %s: %s; %s", c.Data, plural(found, "problem"), way)
	}
	if !c.Quiet {
		fmt.Fprintf(a.stdout, "%s is whole (checked in %s)\n", c.Data, time.Since(started).Round(time.Millisecond))
	}
	return nil
}

// state examines what the directory makes of its bytes, and returns the number of problems and the way
// out of them.
func (c *checkCommand) state(ctx context.Context, a *app, progress func(string)) (found int, way string, err error) {
	shadow, err := openShadow(c.Data)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, shadow.Close()) }()
	findings, err := cluster.Examine(ctx, cluster.ExamineConfig{Dir: c.Data, Archive: shadow, Progress: progress})
	worst := cluster.Told
	for _, f := range findings {
		fmt.Fprintln(a.stdout, harmless(f.String()))
		if f.Mend == cluster.Told {
			continue
		}
		found++
		switch {
		case f.Mend == cluster.NoMend:
			worst, way = cluster.NoMend, "keep the directory as it is and restore a copy"
		case f.Mend == cluster.Skip && worst != cluster.NoMend:
			worst, way = cluster.Skip, fmt.Sprintf("muster repair --data %s --skip-entry %s goes on without it", c.Data, f.Entry)
		case f.Mend == cluster.Rebuild && worst == cluster.Told:
			worst, way = cluster.Rebuild, fmt.Sprintf("muster repair --data %s mends it", c.Data)
		}
	}
	return found, way, err
}

// lockNode locks the data directory of a node that has ended.
func lockNode(dir string) (*dirLock, error) {
	if !isData(dir) {
		return nil, fmt.Errorf("%s is no data directory of a node: it has none of cluster.meta, raft and db", dir)
	}
	return lockDir(dir)
}
