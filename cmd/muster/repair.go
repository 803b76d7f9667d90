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
	SkipEntry []string `name:"skip-entry" help:"Go on without this entry of a log; muster check and the end of a node name it." placeholder:"GROUP/INDEX"`
	Yes       bool     `help:"Do it. Without it is said what would be done."`
	Quiet     bool     `help:"Do not tell what is being read."`
}

// Run mends a data directory that no node uses.
func (c *repairCommand) Run(ctx context.Context, a *app) (err error) {
	lock, err := lockNode(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.unlock()) }()
	config := cluster.ExamineConfig{Dir: c.Data, Progress: a.progressOf("reading", c.Quiet)}
	now := time.Now()
	findings, err := c.examine(ctx, &config, now)
	if err != nil {
		return fmt.Errorf("repair %s: %w", c.Data, err)
	}
	work, hopeless := c.plan(a, findings, config.Skip)
	switch {
	case hopeless != "":
		return fmt.Errorf("repair %s: %s", c.Data, hopeless)
	case work == 0:
		fmt.Fprintf(a.stdout, "%s needs no repair\n", c.Data)
		return nil
	case !c.Yes:
		fmt.Fprintln(a.stdout, "nothing was changed; --yes does it")
		return nil
	}
	done, err := c.mend(ctx, a, config, now)
	for _, what := range done {
		fmt.Fprintln(a.stdout, "done:", harmless(what))
	}
	if err != nil {
		return fmt.Errorf("repair %s: %w", c.Data, err)
	}
	fmt.Fprintf(a.stdout, "%s is repaired; muster check --data %s looks at it again\n", c.Data, c.Data)
	return nil
}

// examine looks at the directory as it would be without the entries that are to be skipped.
func (c *repairCommand) examine(ctx context.Context, config *cluster.ExamineConfig, now time.Time) (findings []cluster.Finding, err error) {
	shadow, err := openShadow(c.Data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, shadow.Close()) }()
	for _, text := range c.SkipEntry {
		group, index, err := cluster.ParseEntry(text)
		if err != nil {
			return nil, usageError{err}
		}
		what, err := cluster.DescribeEntry(ctx, shadow, group, index)
		if err != nil {
			return nil, err
		}
		config.Skip = append(config.Skip, cluster.Repair{Kind: cluster.SkippedEntry, Group: group, Index: index, At: now.UnixMilli(), What: what})
	}
	config.Archive = shadow
	return cluster.Examine(ctx, *config)
}

// plan says what is wrong and what would be done about it. work is the number of things to do; hopeless
// says why none is to be done.
func (c *repairCommand) plan(a *app, findings []cluster.Finding, skip []cluster.Repair) (work int, hopeless string) {
	for _, f := range findings {
		fmt.Fprintln(a.stdout, harmless(f.String()))
		switch f.Mend {
		case cluster.Rebuild:
			work++
		case cluster.Skip:
			hopeless = fmt.Sprintf("an entry cannot be applied: add --skip-entry %s to go on without it", f.Entry)
		case cluster.NoMend:
			hopeless = cluster.ErrNoRepair.Error()
		}
	}
	if hopeless != "" {
		return 0, hopeless
	}
	if work > 0 {
		fmt.Fprintln(a.stdout, "to do: rebuild the damaged shards from their facts; what is there now stays as older snapshots")
	}
	for _, r := range skip {
		fmt.Fprintf(a.stdout, "to do: skip entry %d of %s for ever: what it brought is lost (%s)\n", r.Index, r.Group, harmless(r.What))
		work++
	}
	return work, ""
}

func (c *repairCommand) mend(ctx context.Context, a *app, config cluster.ExamineConfig, now time.Time) (done []string, err error) {
	archive, err := openArchive(c.Data, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	config.Archive, config.Progress = archive, a.progressOf("repairing", c.Quiet)
	return cluster.RepairDirectory(ctx, config, now)
}

// progressOf prints what is being done, unless quiet.
func (a *app) progressOf(doing string, quiet bool) func(string) {
	return func(what string) {
		if !quiet {
			fmt.Fprintln(a.stderr, doing, what)
		}
	}
}
