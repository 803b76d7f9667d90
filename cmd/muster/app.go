package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/musterdb/muster/api"
)

// app is one run of the command. Tests replace its streams.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// The exit codes.
const (
	exitDone     = 0
	exitFailed   = 1 // refused or failed, with the reason on stderr
	exitUsage    = 2
	exitRejected = 3 // finished, but some lines were rejected
)

// errRejected means that an import finished, but some lines were rejected.
var errRejected = errors.New("some lines were rejected")

// errReported means that the reason for the failure has been printed to stderr already.
var errReported = errors.New("failed")

// usageError is a mistake in the arguments that the parser cannot find but the command can.
type usageError struct{ error }

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Serve one node: HTTP API on 127.0.0.1:8484, data in ./muster-data."`
	Demo    demoCommand    `cmd:"" help:"Serve a generated shop with sample segments and live traffic."`
	Query   queryCommand   `cmd:"" help:"Run one statement, or open a prompt."`
	Import  importCommand  `cmd:"" help:"Import NDJSON, CSV or Parquet files."`
	Export  exportCommand  `cmd:"" help:"Write the members of a segment or a predicate as CSV, NDJSON or Parquet."`
	Watch   watchCommand   `cmd:"" help:"Print who enters and leaves a segment, as it happens."`
	Segment segmentCommand `cmd:"" help:"List, show, create and drop segments."`
	Profile profileCommand `cmd:"" help:"Show what is known about a profile."`
	Check   checkCommand   `cmd:"" help:"Verify a data directory that no node is using."`
	Repair  repairCommand  `cmd:"" help:"Repair a data directory that no node is using."`
	Bench   benchCommand   `cmd:"" help:"Generate data and run benchmarks."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(a *app) error {
	_, err := fmt.Fprintln(a.stdout, "muster", version)
	return err
}

// run executes one command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	var cli commands
	exited := -1
	parser, err := kong.New(&cli, kong.Name("muster"),
		kong.Description("Muster: in-memory customer segmentation. It answers instantly who is in a segment, based on profiles and their events."),
		kong.Writers(a.stdout, a.stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Configuration(loadYAML), kong.Bind(a))
	if err != nil {
		return a.fail(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		return a.usage(err)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return a.fail(parsed.Run())
}

// usage prints a mistake in the arguments and returns the exit code.
func (a *app) usage(err error) int {
	fmt.Fprintf(a.stderr, "muster: %v\n(see muster --help)\n", oneLine(err))
	return exitUsage
}

// fail prints an error on one line and returns the exit code.
func (a *app) fail(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errRejected):
		return exitRejected
	case errors.As(err, &usage):
		return a.usage(usage.error)
	case errors.Is(err, errReported):
		return exitFailed
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.stderr, "muster: interrupted")
		return exitFailed
	}
	var dial *net.OpError
	hint := ""
	if errors.As(err, &dial) && dial.Op == "dial" {
		hint = " (is `muster serve` running there?)"
	}
	fmt.Fprintf(a.stderr, "muster: %s%s\n", oneLine(err), hint)
	return exitFailed
}

// oneLine joins the lines of an error and sanitizes the result, because its text may come from a server.
func oneLine(err error) string {
	return sanitize(strings.Join(strings.Split(strings.TrimSpace(err.Error()), "\n"), "; "))
}

// remote says how client commands reach the node.
type remote struct {
	Server string `help:"URL of the node." default:"http://127.0.0.1:8484" env:"MUSTER_SERVER"`
	Key    string `help:"Key, if the node requires one." env:"MUSTER_KEY"`
}

// client returns a client of the node.
func (r remote) client() *api.Client { return &api.Client{BaseURL: r.base(), Key: r.Key} }

// base returns the URL with a scheme and without a trailing slash.
func (r remote) base() string {
	url := strings.TrimRight(r.Server, "/")
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	return url
}
