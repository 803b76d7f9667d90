package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/musterdb/muster/cluster"
)

// repairCommand is `muster repair`.
type repairCommand struct {
	Data      string   `help:"Data directory." default:"./muster-data" env:"MUSTER_DATA" placeholder:"DIR"`
	SkipEntry []string `name:"skip-entry" help:"Continue without this log entry; muster check names it, and so does a node that ends because of it." placeholder:"GROUP/INDEX"`
	Yes       bool     `help:"Do the repair (default: only say what would be done)."`
	Quiet     bool     `help:"Do not print progress."`
}

// Run repairs a data directory that no node is using.
func (c *repairCommand) Run(ctx context.Context, a *app) (err error) {
	lock, err := lockNode(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.unlock()) }()
	config := cluster.ExamineConfig{Dir: c.Data, Progress: a.progressPrinter("reading", c.Quiet)}
	now := time.Now()
	findings, err := c.examine(ctx, &config, now)
	if err != nil {
		return fmt.Errorf("repair %s: %w", c.Data, err)
	}
	work, refusal := c.plan(a, findings, config.Skip)
	switch {
	case refusal != "":
		return fmt.Errorf("repair %s: %s", c.Data, refusal)
	case work == 0:
		fmt.Fprintf(a.stdout, "%s needs no repair\n", c.Data)
		return nil
	case !c.Yes:
		fmt.Fprintln(a.stdout, "nothing was changed; --yes does the repair")
		return nil
	}
	done, err := c.repair(ctx, a, config, now)
	for _, what := range done {
		fmt.Fprintln(a.stdout, "done:", sanitize(what))
	}
	if err != nil {
		return fmt.Errorf("repair %s: %w", c.Data, err)
	}
	fmt.Fprintf(a.stdout, "%s is repaired; muster check --data %s checks it again\n", c.Data, c.Data)
	return nil
}

// examine returns what is wrong with the directory when the given entries are skipped. It adds these to config.
func (c *repairCommand) examine(ctx context.Context, config *cluster.ExamineConfig, now time.Time) (findings []cluster.Finding, err error) {
	archive, err := openReadOnlyArchive(c.Data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	for _, text := range c.SkipEntry {
		group, index, err := cluster.ParseEntry(text)
		if err != nil {
			return nil, usageError{err}
		}
		what, err := cluster.DescribeEntry(ctx, archive, group, index)
		if err != nil {
			return nil, err
		}
		config.Skip = append(config.Skip, cluster.Repair{Kind: cluster.SkippedEntry, Group: group, Index: index, At: now.UnixMilli(), What: what})
	}
	config.Archive = archive
	return cluster.Examine(ctx, *config)
}

// plan prints what is wrong and what would be done about it. It returns the number of things to do, or in
// refusal why no repair is possible.
func (c *repairCommand) plan(a *app, findings []cluster.Finding, skip []cluster.Repair) (work int, refusal string) {
	for _, f := range findings {
		fmt.Fprintln(a.stdout, sanitize(f.String()))
		switch f.Fix {
		case cluster.Rebuild:
			work++
		case cluster.Skip:
			refusal = fmt.Sprintf("an entry cannot be applied: add --skip-entry %s to continue without it", f.Entry)
		case cluster.NoFix:
			refusal = cluster.ErrNoRepair.Error()
		}
	}
	if refusal != "" {
		return 0, refusal
	}
	if work > 0 {
		fmt.Fprintln(a.stdout, "to do: rebuild the damaged shards from their facts; the current state is kept as older snapshots")
	}
	for _, r := range skip {
		fmt.Fprintf(a.stdout, "to do: skip entry %d of %s permanently: its content is lost (%s)\n", r.Index, r.Group, sanitize(r.What))
		work++
	}
	return work, ""
}

// repair repairs the directory and returns what it has done.
func (c *repairCommand) repair(ctx context.Context, a *app, config cluster.ExamineConfig, now time.Time) (done []string, err error) {
	archive, err := openWritableArchive(c.Data, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	config.Archive, config.Progress = archive, a.progressPrinter("repairing", c.Quiet)
	return cluster.RepairDirectory(ctx, config, now)
}

// progressPrinter returns a function that prints what is being done, unless quiet.
func (a *app) progressPrinter(doing string, quiet bool) func(string) {
	return func(what string) {
		if !quiet {
			fmt.Fprintln(a.stderr, doing, what)
		}
	}
}
