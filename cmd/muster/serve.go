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

// nodeFlags are the flags that serve and demo have in common.
type nodeFlags struct {
	Listen    string `help:"Address to listen on." default:"127.0.0.1:8484" env:"MUSTER_LISTEN" placeholder:"ADDR"`
	Shards    int    `help:"Shards of a new data directory, 1 to 64 (default 8)." env:"MUSTER_SHARDS" placeholder:"N"`
	Insecure  bool   `help:"Allow an address outside loopback, although there are neither keys nor TLS." env:"MUSTER_INSECURE"`
	Memory    size   `help:"Memory to use, like 8GiB (default: what the machine or control group has)." env:"MUSTER_MEMORY" placeholder:"SIZE"`
	DiskFloor size   `help:"Free disk space below which nothing is written, like 1GiB (default: a share of the disk)." env:"MUSTER_DISK_FLOOR" placeholder:"SIZE"`
	Snapshot  size   `name:"snapshot-bytes" help:"Size of a shard's log after which a snapshot is written, like 64MiB." env:"MUSTER_SNAPSHOT_BYTES" placeholder:"SIZE"`
	segmentFlags
	PrivateHooks bool            `name:"private-webhooks" help:"Allow webhooks to addresses of this machine and of private networks." env:"MUSTER_PRIVATE_WEBHOOKS"`
	NewNames     int             `name:"new-names" help:"New names of events and attributes that one sender may introduce in a burst; -1 for any number." default:"1000" env:"MUSTER_NEW_NAMES" placeholder:"N"`
	NewNamesEach int             `name:"new-names-minute" help:"New names that one sender may introduce per minute." default:"100" env:"MUSTER_NEW_NAMES_MINUTE" placeholder:"N"`
	Origins      []string        `help:"Sites whose pages may do everything that the node's own pages may, like https://shop.example." env:"MUSTER_ORIGINS" placeholder:"ORIGIN,..."`
	OpenIdentity bool            `name:"open-identity" help:"Also accept alias and profile messages and imports from pages of other sites." env:"MUSTER_OPEN_IDENTITY"`
	LogLevel     string          `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"MUSTER_LOG_LEVEL"`
	Config       kong.ConfigFlag `help:"YAML file with any of these flags as keys." env:"MUSTER_CONFIG" placeholder:"FILE"`
}

// Validate reports all faults of the flags, joined into one error. The parser calls it.
func (f nodeFlags) Validate() error {
	var faults []error
	if f.Shards < 0 || f.Shards > cluster.MaxShards {
		faults = append(faults, fmt.Errorf("--shards %d: want 1 to %d", f.Shards, cluster.MaxShards))
	}
	return errors.Join(append(faults, f.segmentFlags.Validate())...)
}

// grace is how long running requests may take after the node has been told to stop.
const grace = 15 * time.Second

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, a *app) error {
	return a.serve(ctx, c.nodeFlags, c.Data, nil)
}

// nodeProcess is a running node with its listener and its locked directory.
type nodeProcess struct {
	app      *app
	log      *slog.Logger
	url      string
	lock     *dirLock
	listener net.Listener
	server   *server.Server
}

// turnsPerProcessor is how many steps of ingest may run at the same time per processor. With only one, bodies
// and entries wait for each other at every step, and ingest of Segment batches is a sixth slower.
const turnsPerProcessor = 4

// serve runs a node until ctx ends. If whenReady is not nil it is called once the node is ready; its error ends the
// node.
func (a *app) serve(ctx context.Context, flags nodeFlags, dir string, whenReady func(context.Context, *nodeProcess) error) error {
	if err := server.CheckListen(flags.Listen, flags.Insecure); err != nil {
		return err
	}
	processors := addProcessors()
	gate, err := cluster.NewGate(cluster.GateConfig{Turns: turnsPerProcessor * processors})
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
	go memory.adapt(ctx)
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
		ended <- p.runNode(ctx, config, whenReady, func() error {
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

// giveUp returns the error with which the process ends without closing anything, as if it had been killed. It
// is unknown what a failed write has left on the disk, so anything written or acknowledged now could be lost.
// The next start reads and verifies all data, and clients that got no answer send again.
func (p *nodeProcess) giveUp(cause error, dir string) error {
	if _, poison := cluster.Poison(cause); poison {
		return withAdvice(cause, dir) // the state is lost, but the logs are intact
	}
	p.log.Error("a write to the disk has failed; the node exits", "err", cause)
	return fmt.Errorf("a write to the disk has failed: %w; check the disk, then start the node again: it verifies everything that was acknowledged", cause)
}

// startProcess opens the listener and then locks the directory, so that no directory is created if the address
// is in use.
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

// runNode opens the node, attaches it to the server, waits for the end of ctx, calls stop, which waits until the
// server has finished, and closes the node. Being stopped is not an error.
func (p *nodeProcess) runNode(ctx context.Context, config nodeConfig, whenReady func(context.Context, *nodeProcess) error, stop func() error) error {
	started := time.Now()
	n, changes, err := openNode(ctx, config)
	if err != nil {
		stopped := ctx.Err() != nil && errors.Is(err, context.Canceled)
		err = errors.Join(err, stop())
		if stopped {
			return nil
		}
		return withAdvice(err, config.Dir)
	}
	p.server.Attach(serverNode(n))
	p.server.AttachLive(changes)
	if err := p.server.StartWebhooks(changes.webhooks, changes.shared); err != nil {
		return errors.Join(err, stop(), n.Close())
	}
	p.printReady(config.Dir, time.Since(started))
	if whenReady != nil {
		if err = whenReady(ctx, p); ctx.Err() != nil && errors.Is(err, context.Canceled) {
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

// withAdvice adds to an error what to do about it, if that is known.
func withAdvice(err error, dir string) error {
	poison, ok := cluster.Poison(err)
	if !ok {
		return err
	}
	return fmt.Errorf("%w; the logs have everything that was acknowledged: start a newer build on the directory, or continue without this entry: muster repair --data %s --skip-entry %s",
		err, dir, poison.Entry())
}

// printReady prints the node's address, and warns that it has no keys.
func (p *nodeProcess) printReady(dir string, took time.Duration) {
	fmt.Fprintf(p.app.stdout, "Muster %s is ready at %s (data in %s, opened in %s)\n", version, p.url, dir, took.Round(time.Millisecond))
	fmt.Fprintf(p.app.stderr, "WARNING: there are no keys yet: anyone who can connect to %s can read and change everything\n", p.listener.Addr())
}

// size is a number of bytes, written like 512MiB, 8GiB or 1073741824. 0 means the default.
type size int64

// UnmarshalText parses a size from the command line, the environment or the configuration file.
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
		return fmt.Errorf("%q is not a size: write it like 8GiB or 512MiB", text)
	}
	*s = size(n * float64(unit))
	return nil
}
