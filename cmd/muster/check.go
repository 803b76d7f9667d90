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

// isData reports whether a directory contains any part of a node's data.
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
	Quiet bool   `help:"Print only problems."`
}

// Run verifies a data directory that no node is using: first its bytes and then, if they are intact, the state
// that a node makes from them. It prints one line per problem to stdout and fails if there are any.
func (c *checkCommand) Run(ctx context.Context, a *app) (err error) {
	lock, err := lockNode(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.unlock()) }()
	started := time.Now()
	const restoreAdvice = "keep the directory as it is and restore a copy"
	parts, err := cluster.CheckMeta(c.Data)
	if err != nil {
		return fmt.Errorf("check %s: %w; %s", c.Data, err, restoreAdvice)
	}
	progress := a.progressPrinter("checking", c.Quiet)
	problems, err := persist.Check(ctx, c.Data, parts, progress)
	for _, p := range problems {
		fmt.Fprintln(a.stdout, sanitize(p.String()))
	}
	if err != nil {
		return fmt.Errorf("check %s: %w", c.Data, err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("check %s: %s; %s", c.Data, plural(len(problems), "problem"), restoreAdvice)
	}
	found, advice, err := c.checkState(ctx, a, progress)
	if err != nil {
		return fmt.Errorf("check %s: %w", c.Data, err)
	}
	if found > 0 {
		return fmt.Errorf("check %s: %s; %s", c.Data, plural(found, "problem"), advice)
	}
	if !c.Quiet {
		fmt.Fprintf(a.stdout, "%s is intact (checked in %s)\n", c.Data, time.Since(started).Round(time.Millisecond))
	}
	return nil
}

// checkState examines the state in the directory. It prints the findings, and returns the number of problems
// and advice on what to do about them.
func (c *checkCommand) checkState(ctx context.Context, a *app, progress func(string)) (found int, advice string, err error) {
	archive, err := openReadOnlyArchive(c.Data)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	findings, err := cluster.Examine(ctx, cluster.ExamineConfig{Dir: c.Data, Archive: archive, Progress: progress})
	worst := cluster.Noted
	for _, f := range findings {
		fmt.Fprintln(a.stdout, sanitize(f.String()))
		if f.Fix == cluster.Noted {
			continue
		}
		found++
		switch {
		case f.Fix == cluster.NoFix:
			worst, advice = cluster.NoFix, "keep the directory as it is and restore a copy"
		case f.Fix == cluster.Skip && worst != cluster.NoFix:
			worst, advice = cluster.Skip, fmt.Sprintf("muster repair --data %s --skip-entry %s continues without it", c.Data, f.Entry)
		case f.Fix == cluster.Rebuild && worst == cluster.Noted:
			worst, advice = cluster.Rebuild, fmt.Sprintf("muster repair --data %s repairs it", c.Data)
		}
	}
	return found, advice, err
}

// lockNode locks an existing data directory that no node is using.
func lockNode(dir string) (*dirLock, error) {
	if !isData(dir) {
		return nil, fmt.Errorf("%s is not a data directory of a node: it has none of cluster.meta, raft and db", dir)
	}
	return lockDir(dir)
}
