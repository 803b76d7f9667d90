package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/musterdb/muster/bench/gen"
)

// benchCommand is `muster bench`.
type benchCommand struct {
	Gen       benchGen       `cmd:"" help:"Write a generated shop as NDJSON, for muster import."`
	Queries   benchQueries   `cmd:"" help:"Run the benchmark statements over a generated shop in this process."`
	Ingest    benchIngest    `cmd:"" help:"Send live events to a separate node as fast as it accepts them."`
	Snapshots benchSnapshots `cmd:"" help:"Send live events while a separate node takes snapshots."`
	Stored    benchStored    `cmd:"" help:"Import a generated shop into a separate node: import, memory, HTTP, restarts."`

	Profile    benchProfile    `cmd:"" help:"Look up single profiles in this process: their segments, and why."`
	Concurrent benchConcurrent `cmd:"" help:"Query a separate node with a generated shop: one client, many clients, during ingest."`
	Live       benchLive       `cmd:"" help:"Live segments: latency, cost, changes by time, stalled readers."`
}

// shopFlags describe a generated shop.
type shopFlags struct {
	Users int    `help:"Number of profiles." default:"1_000_000"`
	Seed  uint64 `help:"Equal seeds make equal shops." default:"1"`
}

type benchGen struct {
	shopFlags
	Events int    `help:"Number of events." default:"20_000_000"`
	Days   int    `help:"Days the events span." default:"90"`
	End    string `help:"Time of the last event, RFC 3339; now by default." placeholder:"TIME"`
	Output string `short:"o" help:"File to write; stdout without it." placeholder:"FILE"`
}

// Run writes the profiles, then the events in time order.
func (c *benchGen) Run(ctx context.Context, a *app) error {
	config := gen.Config{Users: c.Users, Events: c.Events, Seed: c.Seed, Days: c.Days, End: time.Now().UTC().Truncate(time.Second)}
	if c.End != "" {
		end, err := time.Parse(time.RFC3339, c.End)
		if err != nil {
			return usageError{fmt.Errorf("--end: %w", err)}
		}
		config.End = end
	}
	shop, err := gen.New(config)
	if err != nil {
		return usageError{err}
	}
	out := a.stdout
	if c.Output != "" {
		file, err := os.Create(c.Output)
		if err != nil {
			return err
		}
		defer file.Close()
		out = file
	}
	return writeShop(ctx, out, shop)
}

// writeShop writes all messages of a shop as NDJSON.
func writeShop(ctx context.Context, to io.Writer, shop *gen.Shop) error {
	out := bufio.NewWriterSize(to, 1<<20)
	var line []byte
	n := 0
	put := func() error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		_, err := out.Write(line)
		return err
	}
	for p := range shop.Profiles() {
		line = p.AppendMessage(line[:0])
		if err := put(); err != nil {
			return err
		}
	}
	for e := range shop.Events() {
		line = e.AppendMessage(line[:0])
		if err := put(); err != nil {
			return err
		}
	}
	return out.Flush()
}
