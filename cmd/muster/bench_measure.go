package main

import (
	"context"
	"os"
	"time"

	"github.com/musterdb/muster/bench"
)

// measureFlags are the flags that all measuring commands have in common.
type measureFlags struct {
	Results string `help:"Directory of the reports; a new report is compared with the latest of its kind." default:"bench/results" placeholder:"DIR"`
}

// sizeFlags describe the generated data.
type sizeFlags struct {
	Size string `help:"XS, S, M or L: 100k, 1M, 10M, 100M profiles with 2M, 20M, 200M, 500M events." default:"S"`
	Seed uint64 `help:"Equal seeds make equal data." default:"1"`
}

type benchQueries struct {
	measureFlags
	sizeFlags
	Repeat  int    `help:"How many times each statement is timed, at least." default:"7"`
	Profile string `help:"Directory for CPU profiles, one per statement." type:"existingdir" placeholder:"DIR"`
}

// Run measures the engine alone. `make bench-peers` compares it with other databases.
func (c *benchQueries) Run(ctx context.Context, a *app) error {
	size, err := bench.SizeByName(c.Size)
	if err != nil {
		return usageError{err}
	}
	planMemory(0, os.ReadFile).apply() // as a node does, so that size L fits into memory
	muster, err := bench.NewMuster(bench.MusterConfig{})
	if err != nil {
		return err
	}
	return bench.RunQueries(ctx, bench.QueriesConfig{
		Compare: bench.CompareConfig{Size: size, Seed: c.Seed, Repeat: c.Repeat, Subjects: []bench.Subject{muster}, Touched: muster.Touched, Profile: c.Profile},
		Results: c.Results, Out: a.stdout, Flags: []string{"--size", size.Name},
	})
}

type benchProfile struct {
	measureFlags
	sizeFlags
	Segments []int `help:"Numbers of saved segments, ascending." default:"100,1000"`
	Asked    int   `help:"Number of answers of each kind." default:"20_000"`
}

// Run measures answers about single profiles.
func (c *benchProfile) Run(ctx context.Context, a *app) error {
	size, err := bench.SizeByName(c.Size)
	if err != nil {
		return usageError{err}
	}
	return bench.RunFigures(ctx, bench.FiguresConfig{Name: "profile-" + size.Name, Results: c.Results, Out: a.stdout, Flags: []string{"--size", size.Name},
		Measure: func(ctx context.Context, log func(string, ...any)) ([]bench.Figure, error) {
			return bench.MeasureProfile(ctx, bench.ProfileConfig{Size: size, Seed: c.Seed, Segments: c.Segments, Asked: c.Asked, Log: log})
		}})
}

// nodeBenchFlags are the flags of commands that start a separate node.
type nodeBenchFlags struct {
	measureFlags
	Scratch string `help:"Directory for files and the node's data, on the disk to be measured (default: the system's temporary directory)." type:"existingdir" placeholder:"DIR"`
}

// measure runs a measurement with this binary as the node and a temporary directory.
func (f nodeBenchFlags) measure(ctx context.Context, a *app, name string, flags []string, run func(context.Context, bench.NodeConfig) ([]bench.Figure, error)) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(f.Scratch, "muster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return bench.RunFigures(ctx, bench.FiguresConfig{Name: name, Results: f.Results, Out: a.stdout, Flags: flags,
		Measure: func(ctx context.Context, log func(string, ...any)) ([]bench.Figure, error) {
			return run(ctx, bench.NodeConfig{Binary: binary, Dir: dir, Log: log})
		}})
}

// trafficFlags describe live events.
type trafficFlags struct {
	Batch   int `help:"Events per request." default:"500"`
	Senders int `help:"Connections, each with one request at a time." default:"8"`
	Users   int `help:"Profiles the events are about." default:"200_000"`
}

func (f trafficFlags) config(duration time.Duration) bench.TrafficConfig {
	return bench.TrafficConfig{Batch: f.Batch, Senders: f.Senders, Users: f.Users, Duration: duration}
}

type benchIngest struct {
	nodeBenchFlags
	trafficFlags
	Duration time.Duration `help:"How long events are sent over each path." default:"15s"`
}

// Run measures durable ingest over both paths.
func (c *benchIngest) Run(ctx context.Context, a *app) error {
	return c.measure(ctx, a, "ingest", nil, func(ctx context.Context, node bench.NodeConfig) ([]bench.Figure, error) {
		return bench.MeasureIngest(ctx, bench.LoadConfig{NodeConfig: node, Traffic: c.config(c.Duration)})
	})
}

type benchSnapshots struct {
	nodeBenchFlags
	trafficFlags
	Duration time.Duration `help:"How long events are sent at half rate; long enough for every shard to take a snapshot or two." default:"90s"`
}

// Run measures ingest during snapshots.
func (c *benchSnapshots) Run(ctx context.Context, a *app) error {
	return c.measure(ctx, a, "snapshots", nil, func(ctx context.Context, node bench.NodeConfig) ([]bench.Figure, error) {
		return bench.MeasureSnapshots(ctx, bench.LoadConfig{NodeConfig: node, Traffic: c.config(c.Duration), Snapshot: c.Duration})
	})
}

type benchStored struct {
	nodeBenchFlags
	sizeFlags
}

// Run measures a node with a lot of data.
func (c *benchStored) Run(ctx context.Context, a *app) error {
	return c.measureShop(ctx, a, c.sizeFlags, "stored", func(ctx context.Context, shop bench.ShopConfig) ([]bench.Figure, error) {
		return bench.MeasureStored(ctx, bench.StoredConfig{ShopConfig: shop})
	})
}

type benchConcurrent struct {
	nodeBenchFlags
	sizeFlags
	Askers   int           `help:"Number of concurrent clients." default:"20"`
	Think    time.Duration `help:"Pause of a client between an answer and its next statement." default:"500ms"`
	Duration time.Duration `help:"Duration of each phase." default:"20s"`
}

// Run measures many concurrent clients, with and without ingest.
func (c *benchConcurrent) Run(ctx context.Context, a *app) error {
	return c.measureShop(ctx, a, c.sizeFlags, "concurrent", func(ctx context.Context, shop bench.ShopConfig) ([]bench.Figure, error) {
		return bench.MeasureConcurrent(ctx, bench.ConcurrentConfig{ShopConfig: shop, Askers: c.Askers, Think: c.Think, Duration: c.Duration})
	})
}

// measureShop is measure for a generated shop of the given size.
func (f nodeBenchFlags) measureShop(ctx context.Context, a *app, flags sizeFlags, name string, run func(context.Context, bench.ShopConfig) ([]bench.Figure, error)) error {
	size, err := bench.SizeByName(flags.Size)
	if err != nil {
		return usageError{err}
	}
	return f.measure(ctx, a, name+"-"+size.Name, []string{"--size", size.Name}, func(ctx context.Context, node bench.NodeConfig) ([]bench.Figure, error) {
		return run(ctx, bench.ShopConfig{NodeConfig: node, Size: size, Seed: flags.Seed})
	})
}
