package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/bench"
	"github.com/musterdb/muster/bench/gen"
	"github.com/musterdb/muster/cmd/muster/internal/load"
	"github.com/musterdb/muster/internal/retrylog"
)

// demoCommand is `muster demo`.
type demoCommand struct {
	nodeFlags
	Data   string `help:"Data directory to keep (default: a temporary one, removed at the end)." placeholder:"DIR"`
	Users  int    `help:"Profiles of the shop." default:"200_000"`
	Events int    `help:"Events over the last 90 days (default: 12 per profile)." placeholder:"N"`
	Seed   uint64 `help:"Equal seeds make equal shops." default:"1"`
	Live   int    `help:"Events per second of live traffic, 0 for none." default:"20"`
}

// demoSegments are saved after the shop has been loaded.
var demoSegments = []string{
	`create or replace segment "VIP" described "Spent more than 500 in the last 90 days" as sum(amount) of "Order Completed" in last 90 days > 500`,
	`create or replace segment "Abandoned cart" described "Added something this week, bought nothing" as did "Product Added" in last 7 days and did not "Order Completed" in last 7 days`,
	`create or replace segment "Slipping away" described "Bought before, not seen for two weeks" as did "Order Completed" and last did "App Opened" more than 14 days ago`,
	`create or replace segment "Mobile free riders" described "Free plan, on a phone, active" as plan = "free" and platform in ("ios", "android") and days of "App Opened" in last 30 days >= 5`,
}

// demoQuestions are statements that are suggested to the user.
var demoQuestions = []string{
	`count where country = "BR" and did "Order Completed" at least 2 times in last 30 days`,
	`count where in segment "Abandoned cart" by country limit 5`,
	`list email, ltv where in segment "VIP" order by ltv desc limit 10`,
	`trend "Order Completed" in last 14 days by day of users`,
	`stats count, avg(age), median(ltv) where opt_in by plan`,
}

// Run serves a shop until ctx ends.
func (c *demoCommand) Run(ctx context.Context, a *app) (err error) {
	if c.Users < 1 || c.Events < 0 || c.Live < 0 {
		return usageError{errors.New("--users must be 1 or more, --events and --live must be 0 or more")}
	}
	if c.Events == 0 {
		c.Events = 12 * c.Users
	}
	dir := c.Data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "muster-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if c.LogLevel == "info" {
		c.LogLevel = "warn" // the logs of raft and the database would distract
	}
	return a.serve(ctx, c.nodeFlags, dir, c.fill)
}

// fill loads the shop through the HTTP API like any other data, saves segments, and then sends live traffic.
func (c *demoCommand) fill(ctx context.Context, p *nodeProcess) error {
	started := time.Now()
	to := &api.Client{BaseURL: p.url}
	shop, err := gen.New(gen.Config{Users: c.Users, Events: c.Events, Seed: c.Seed, End: started.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	existing, err := countProfiles(ctx, to)
	if err != nil {
		return err
	}
	if existing > 0 {
		fmt.Fprintf(p.app.stdout, "The data directory already has %s profiles; nothing is generated.\n", humanize.Comma(existing))
	} else if err := c.load(ctx, p, shop); err != nil {
		return err
	}
	for _, statement := range demoSegments {
		if _, err := to.Query(ctx, api.QueryRequest{Query: statement}); err != nil {
			return fmt.Errorf("save a sample segment: %w", err)
		}
	}
	fmt.Fprintf(p.app.stdout, "\nReady after %s. Try these in another terminal:\n\n", time.Since(started).Round(100*time.Millisecond))
	server := ""
	if p.url != "http://127.0.0.1:8484" {
		server = " --server " + p.url
	}
	for _, q := range demoQuestions {
		fmt.Fprintf(p.app.stdout, "  muster query%s '%s'\n", server, q)
	}
	fmt.Fprintf(p.app.stdout, "\nor open a prompt with  muster query%s  — %d events per second keep arriving. Press Ctrl-C to stop.\n", server, c.Live)
	return c.sendTraffic(ctx, p, to, shop)
}

// countProfiles returns the number of profiles of the node.
func countProfiles(ctx context.Context, to *api.Client) (int64, error) {
	got, err := to.Query(ctx, api.QueryRequest{Query: "count"})
	if err != nil {
		return 0, err
	}
	if len(got.Rows) != 1 || len(got.Rows[0]) != 1 {
		return 0, errors.New("the answer to count is not a number")
	}
	n, _ := got.Rows[0][0].(json.Number)
	return n.Int64()
}

// load imports the generated messages, as muster import would.
func (c *demoCommand) load(ctx context.Context, p *nodeProcess, shop *gen.Shop) error {
	fmt.Fprintf(p.app.stdout, "Loading %s profiles and %s events …\n", humanize.Comma(int64(c.Users)), humanize.Comma(int64(c.Events)))
	lines, write := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { write.CloseWithError(writeShop(ctx, write, shop)) }()
	defer lines.Close() // so that the writer ends, whatever happens here
	bar := newProgressBar(p.app.stdout)
	total := int64(c.Users + c.Events)
	config := load.Config{Files: []string{"-"}, Stdin: lines, Format: "ndjson", Client: &api.Client{BaseURL: p.url, Patience: 2 * time.Minute},
		Source: fmt.Sprintf("demo-%d-%d-%d", c.Seed, c.Users, c.Events),
		OnProgress: func(at load.Progress) {
			at.File, at.Offset, at.Size = "shop", int64(at.Lines), total
			bar.show(at)
		}}
	if err := config.Validate(); err != nil {
		return err
	}
	report, err := config.Import(ctx, "-")
	bar.clear()
	if err != nil {
		return fmt.Errorf("load the shop: %w", err)
	}
	if report.Rejected > 0 {
		return fmt.Errorf("load the shop: %d lines were rejected", report.Rejected)
	}
	audit := bench.ShopAudit(c.Users, c.Events, bench.AskHTTP(&api.Client{BaseURL: p.url}, ""))
	if err := audit.Run(ctx); err != nil {
		return fmt.Errorf("load the shop: %w", err)
	}
	fmt.Fprintf(p.app.stdout, "Loaded %s lines in %s (%s lines/s).\n", humanize.Comma(int64(report.Lines)),
		report.Elapsed.Round(100*time.Millisecond), humanize.Comma(int64(float64(report.Lines)/report.Elapsed.Seconds())))
	return nil
}

// sendTraffic sends current events, ten times per second, until ctx ends.
func (c *demoCommand) sendTraffic(ctx context.Context, p *nodeProcess, to *api.Client, shop *gen.Shop) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	r := rand.New(rand.NewPCG(c.Seed, uint64(time.Now().UnixNano())))
	due := 0.0
	var body []byte
	var tries retrylog.Tries
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		body = body[:0]
		for due += float64(c.Live) / 10; due >= 1; due-- {
			e := shop.Draw(r, time.Now().UnixMilli())
			body = e.AppendMessage(body)
		}
		if len(body) == 0 {
			continue
		}
		if _, err := to.Events(ctx, bytes.NewReader(body), ""); ctx.Err() == nil {
			tries.Note(p.log, "sending live traffic", err)
		}
	}
}
