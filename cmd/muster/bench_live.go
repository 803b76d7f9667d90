package main

import (
	"context"
	"time"

	"github.com/musterdb/muster/bench"
)

// benchLive is `muster bench live`.
type benchLive struct {
	Latency benchLatency `cmd:"" help:"Time from the acknowledgement of a request to the change it causes on a WebSocket."`
	Cost    benchCost    `cmd:"" help:"Ingest rate with more and more live segments."`
	Lapses  benchLapses  `cmd:"" help:"Delay of changes when many profiles leave a segment because time passes, and the effect on ingest."`
	Stalls  benchStalls  `cmd:"" help:"Sockets that do not read and a webhook that does not answer: memory, ingest, and whether all catch up."`
}

// liveFlags describe the data of a live measurement.
type liveFlags struct {
	nodeBenchFlags
	Users  int    `help:"Profiles of a generated shop that the node has at the start." default:"200_000"`
	Events int    `help:"Events of the shop's last 90 days (default: 5 per profile)." placeholder:"N"`
	Seed   uint64 `help:"Equal seeds make equal shops and segments." default:"1"`
}

func (f liveFlags) config(node bench.NodeConfig, segments, rate int) bench.LiveConfig {
	return bench.LiveConfig{NodeConfig: node, Users: f.Users, Events: f.Events, Seed: f.Seed, Segments: segments, Rate: rate}
}

type benchLatency struct {
	liveFlags
	Segments int           `help:"Live segments; each of them has a reader." default:"100"`
	Rate     int           `help:"Events a second." default:"10_000"`
	Duration time.Duration `help:"How long events are sent." default:"60s"`
}

// Run measures latency.
func (c *benchLatency) Run(ctx context.Context, a *app) error {
	return c.measure(ctx, a, "live-latency", nil, func(ctx context.Context, node bench.NodeConfig) ([]bench.Figure, error) {
		return bench.MeasureLatency(ctx, bench.LatencyConfig{LiveConfig: c.config(node, c.Segments, c.Rate), Duration: c.Duration})
	})
}

type benchCost struct {
	liveFlags
	Segments []int         `help:"Numbers of live segments; each is measured on a new node." default:"0,1,100,1000,10000"`
	Duration time.Duration `help:"How long events are sent for each number." default:"15s"`
}

// Run measures what live segments cost ingest.
func (c *benchCost) Run(ctx context.Context, a *app) error {
	return c.measure(ctx, a, "live-cost", nil, func(ctx context.Context, node bench.NodeConfig) ([]bench.Figure, error) {
		return bench.MeasureCost(ctx, bench.CostConfig{LiveConfig: c.config(node, 0, 0), Counts: c.Segments, Duration: c.Duration})
	})
}

type benchLapses struct {
	liveFlags
	Profiles int           `help:"Profiles that leave." default:"1_000_000"`
	Spread   time.Duration `help:"Period over which they leave, when it is not at a single instant." default:"60s"`
	Rate     int           `help:"Events per second meanwhile." default:"5_000"`
	Midnight bool          `help:"Also wait for a real midnight in some time zone (up to an hour)." negatable:"" default:"true"`
}

// Run measures the delay of changes that time causes.
func (c *benchLapses) Run(ctx context.Context, a *app) error {
	return c.measure(ctx, a, "live-lapses", nil, func(ctx context.Context, node bench.NodeConfig) ([]bench.Figure, error) {
		return bench.MeasureLapses(ctx, bench.LapseConfig{LiveConfig: c.config(node, 0, c.Rate), Profiles: c.Profiles, Spread: c.Spread, Midnight: c.Midnight})
	})
}

type benchStalls struct {
	liveFlags
	Sockets  int           `help:"Sockets that subscribe and never read." default:"1_000"`
	Segments int           `help:"Live segments in addition to the one they follow." default:"20"`
	Rate     int           `help:"Events a second." default:"5_000"`
	Duration time.Duration `help:"How long they stall; the node gives up on a write after 30s." default:"60s"`
	Before   time.Duration `help:"How long ingest is measured without them." default:"20s"`
}

// Run measures the effect of stalled readers.
func (c *benchStalls) Run(ctx context.Context, a *app) error {
	return c.measure(ctx, a, "live-stalls", nil, func(ctx context.Context, node bench.NodeConfig) ([]bench.Figure, error) {
		return bench.MeasureStalls(ctx, bench.StallConfig{LiveConfig: c.config(node, c.Segments, c.Rate), Sockets: c.Sockets, Duration: c.Duration, Before: c.Before})
	})
}
