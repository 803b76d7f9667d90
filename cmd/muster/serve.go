package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/server"
)

// serveCommand is `muster serve`.
type serveCommand struct {
	nodeFlags
	Data string `help:"Data directory." default:"./muster-data" env:"MUSTER_DATA" placeholder:"DIR"`
}

// nodeFlags are what serve and demo have in common.
type nodeFlags struct {
	Listen    string `help:"Address to listen on." default:"127.0.0.1:8484" env:"MUSTER_LISTEN" placeholder:"ADDR"`
	Shards    int    `help:"Shards of a new data directory, 1 to 64 (default 8)." env:"MUSTER_SHARDS" placeholder:"N"`
	Insecure  bool   `help:"Listen outside loopback though there are neither keys nor TLS." env:"MUSTER_INSECURE"`
	Memory    size   `help:"Memory to use, like 8GiB (default: what the machine or control group has)." env:"MUSTER_MEMORY" placeholder:"SIZE"`
	DiskFloor size   `help:"Free disk space below which nothing is written, like 1GiB (default: a share of the disk)." env:"MUSTER_DISK_FLOOR" placeholder:"SIZE"`
	Snapshot  size   `name:"snapshot-bytes" help:"Log of a shard after which a snapshot of it is written, like 64MiB." env:"MUSTER_SNAPSHOT_BYTES" placeholder:"SIZE"`
	segmentFlags
	PrivateHooks bool            `name:"private-webhooks" help:"Let webhooks go to addresses of this machine and of private networks." env:"MUSTER_PRIVATE_WEBHOOKS"`
	NewNames     int             `name:"new-names" help:"New names of events and attributes that one sender may bring at once; -1 for any number." default:"1000" env:"MUSTER_NEW_NAMES" placeholder:"N"`
	NewNamesEach int             `name:"new-names-minute" help:"And how many every minute." default:"100" env:"MUSTER_NEW_NAMES_MINUTE" placeholder:"N"`
	Origins      []string        `help:"Sites whose pages may do everything that the node's own may, like https://shop.example." env:"MUSTER_ORIGINS" placeholder:"ORIGIN,..."`
	OpenIdentity bool            `name:"open-identity" help:"Take alias and profile messages and imports also from pages of other sites." env:"MUSTER_OPEN_IDENTITY"`
	LogLevel     string          `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"MUSTER_LOG_LEVEL"`
	Config       kong.ConfigFlag `help:"YAML file with any of these flags as keys." env:"MUSTER_CONFIG" placeholder:"FILE"`
}

// Validate reports all faults of the flags at once; it is called when they have been read.
func (f nodeFlags) Validate() error {
	var faults []error
	if f.Shards < 0 || f.Shards > cluster.MaxShards {
		faults = append(faults, fmt.Errorf("--shards %d: want 1 to %d", f.Shards, cluster.MaxShards))
	}
	return errors.Join(append(faults, f.segmentFlags.Validate())...)
}

// grace is how long requests may go on after the node has been told to stop, and then the node.
const grace = 15 * time.Second

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, a *app) error {
	return a.serve(ctx, c.nodeFlags, c.Data, nil)
}

// nodeProcess is a node with its listener and its locked directory.
type nodeProcess struct {
	app      *app
	log      *slog.Logger
	url      string
	lock     *dirLock
	listener net.Listener
	server   *server.Server
}

// turnsEach is how many turns of ingest there are for each processor. With one, bodies and entries wait for each other at
// every step: Segment batches came in a sixth more slowly.
const turnsEach = 4

// serve runs a node until ctx ends. then, if it is given, runs beside it once the node is ready, and
// its error ends all.
func (a *app) serve(ctx context.Context, flags nodeFlags, dir string, then func(context.Context, *nodeProcess) error) error {
	if err := server.CheckListen(flags.Listen, flags.Insecure); err != nil {
		return err
	}
	processors := addProcessors()
	gate, err := cluster.NewGate(cluster.GateConfig{Turns: turnsEach * processors})
	if err != nil {
		return err
	}
	p, err := a.startProcess(flags, dir, gate)
	if err != nil {
		return err
	}
	defer p.lock.unlock()
	memory := planMemory(int64(flags.Memory), os.ReadFile)
	memory.apply()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go memory.collect(ctx)
	served := make(chan error, 1)
	go func() {
		err := p.server.Serve(ctx, p.listener, grace)
		cancel(err)
		served <- err
	}()
	failed := make(chan error, 1)
	config := nodeConfig{
		Dir: dir, Shards: flags.Shards, Processors: processors, MemoryLimit: memory.Refuse, DiskFloor: uint64(flags.DiskFloor), SnapshotBytes: int64(flags.Snapshot),
		Segments: flags.segmentFlags, Gate: gate, Log: p.log,
		Failed: func(err error) {
			select {
			case failed <- err:
			default: // the first reason counts
			}
		},
	}
	ended := make(chan error, 1)
	go func() {
		ended <- p.runNode(ctx, config, then, func() error {
			cancel(nil)
			return <-served
		})
	}()
	select {
	case err := <-ended:
		return err
	case err := <-failed:
		return p.giveUp(err, dir)
	}
}

// giveUp ends the process without closing anything, as a kill would: nobody knows what a write that failed
// has left on the disk, and what would be written or acknowledged now could be lost. The next start reads
// and verifies all of it, and who had no answer sends again.
func (p *nodeProcess) giveUp(cause error, dir string) error {
	if _, poison := cluster.Poison(cause); poison {
		return wayOut(cause, dir) // the state is lost, the logs are whole
	}
	p.log.Error("the node ends: a write to the disk has failed", "err", cause)
	return fmt.Errorf("a write to the disk has failed: %w: look at the disk, then start the node again: it verifies all that was acknowledged", cause)
}

// startProcess takes the address, and then the directory: where the address is not free, none is made.
func (a *app) startProcess(flags nodeFlags, dir string, gate *cluster.Gate) (*nodeProcess, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(flags.LogLevel)); err != nil {
		return nil, usageError{err}
	}
	p := &nodeProcess{app: a, log: slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))}
	var err error
	if p.listener, err = net.Listen("tcp", flags.Listen); err != nil {
		return nil, err
	}
	if p.lock, err = lockDir(dir); err != nil {
		return nil, errors.Join(err, p.listener.Close())
	}
	p.url = "http://" + p.listener.Addr().String()
	p.server, err = server.New(server.Config{Log: p.log, Version: version, Turn: gate.Turn, LocalOnly: server.CheckListen(flags.Listen, false) == nil, PrivateWebhooks: flags.PrivateHooks,
		NewNames: flags.NewNames, NewNamesEach: flags.NewNamesEach, Origins: flags.Origins, OpenIdentity: flags.OpenIdentity})
	if err != nil {
		return nil, errors.Join(err, p.listener.Close(), p.lock.unlock())
	}
	return p, nil
}

// runNode opens the node behind the listener, waits for the end, lets the server finish by stop, and
// closes the node. Being told to stop is no error.
func (p *nodeProcess) runNode(ctx context.Context, config nodeConfig, then func(context.Context, *nodeProcess) error, stop func() error) error {
	started := time.Now()
	n, heard, err := openNode(ctx, config)
	if err != nil {
		told := ctx.Err() != nil && errors.Is(err, context.Canceled)
		err = errors.Join(err, stop())
		if told {
			return nil
		}
		return wayOut(err, config.Dir)
	}
	p.server.Attach(serverNode(n))
	p.server.AttachLive(heard)
	if err := p.server.StartWebhooks(heard.webhooks, heard.shared); err != nil {
		return errors.Join(err, stop(), n.Close())
	}
	p.welcome(config.Dir, time.Since(started))
	if then != nil {
		if err = then(ctx, p); ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil
		}
	}
	if err == nil {
		<-ctx.Done()
		p.log.Info("stopping")
	}
	err = errors.Join(err, stop())
	if closed := n.Close(); closed != nil {
		err = errors.Join(err, fmt.Errorf("close the node: %w", closed))
	}
	return err
}

// wayOut adds to an error what is to be done about it, where that is known.
func wayOut(err error, dir string) error {
	poison, ok := cluster.Poison(err)
	if !ok {
		return err
	}
	return fmt.Errorf("%w; the logs have everything that was acknowledged: start a newer build on the directory, or go on without this entry: muster repair --data %s --skip-entry %s",
		err, dir, poison.Entry())
}

// welcome says where the node is, and that it has no keys.
func (p *nodeProcess) welcome(dir string, took time.Duration) {
	fmt.Fprintf(p.app.stdout, "Muster %s is ready at %s (data in %s, opened in %s)\n", version, p.url, dir, took.Round(time.Millisecond))
	fmt.Fprintf(p.app.stderr, "WARNING: there are no keys yet: whoever can connect to %s can read and change everything\n", p.listener.Addr())
}

// size is a number of bytes, written like 512MiB, 8GiB or 1073741824. 0 stands for the default.
type size int64

// UnmarshalText reads a size of the command line, the environment or the configuration file.
func (s *size) UnmarshalText(text []byte) error {
	number := strings.TrimSpace(string(text))
	if number == "" {
		*s = 0
		return nil
	}
	unit := int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = strings.TrimSpace(rest), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n <= 0 || n*float64(unit) >= 1<<62 {
		return fmt.Errorf("%q is no size: write it like 8GiB or 512MiB", text)
	}
	*s = size(n * float64(unit))
	return nil
}
