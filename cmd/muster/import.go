package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/musterdb/muster/cmd/muster/internal/load"
)

// importCommand is `muster import`.
type importCommand struct {
	remote
	Files     []string      `arg:"" sep:"none" name:"file" help:"NDJSON, CSV or Parquet, also gz or zst; - is stdin."`
	Profiles  bool          `help:"Lines are profiles: their columns become attributes." xor:"mode"`
	Events    bool          `help:"Lines are events: their columns become properties." xor:"mode"`
	ID        string        `name:"id" help:"Column of the user id." placeholder:"COLUMN"`
	Event     string        `help:"Column of the event name." placeholder:"COLUMN" xor:"event"`
	EventName string        `help:"Event name for all lines." placeholder:"NAME" xor:"event"`
	Time      string        `help:"Column of the time: RFC 3339, YYYY-MM-DD[ hh:mm:ss], Unix s or ms; UTC without a zone." placeholder:"COLUMN"`
	Map       []string      `help:"Rename columns." placeholder:"COLUMN=NAME,..."`
	Columns   []string      `help:"Import only these columns." placeholder:"COLUMN,..."`
	Types     []string      `help:"string, number, bool or time (default for CSV: inferred from the first 10,000 lines)." placeholder:"COLUMN=TYPE,..."`
	Format    string        `help:"csv, ndjson or parquet (default: by file name or content)." enum:",csv,ndjson,parquet" default:""`
	Source    string        `help:"Identity of the file instead of its name and checksum; lines are identified by it and their number." placeholder:"NAME"`
	Rejects   string        `help:"Write rejected lines to this file, one JSON object per line." placeholder:"FILE"`
	DryRun    bool          `help:"Show the columns and the first problems; send nothing."`
	Patience  time.Duration `help:"How long to retry without progress." default:"2m"`
}

// maxShownRejects is how many rejected lines are printed when they are not written to a file.
const maxShownRejects = 5

// Run imports the files one after the other.
func (c *importCommand) Run(ctx context.Context, a *app) (err error) {
	config, err := c.config(a)
	if err != nil {
		return usageError{err}
	}
	out := rejectWriter{app: a, several: len(c.Files) > 1}
	if c.Rejects != "" {
		file, err := os.Create(c.Rejects)
		if err != nil {
			return err
		}
		out.file = bufio.NewWriter(file)
		defer func() {
			if closed := out.close(file); closed != nil && (err == nil || err == errRejected) {
				err = closed
			}
		}()
	}
	bar := newProgressBar(a.stderr)
	config.OnReject = out.add
	config.OnProgress = bar.show
	config.OnWait = bar.wait
	rejected := false
	for _, name := range c.Files {
		out.name = name
		report, err := config.Import(ctx, name)
		bar.clear()
		c.printReport(a, name, report, err)
		if err != nil {
			return err
		}
		rejected = rejected || report.Rejected > 0
		out.printHint()
	}
	if rejected {
		return errRejected
	}
	return nil
}

// config returns the configuration of package load for the flags.
func (c *importCommand) config(a *app) (*load.Config, error) {
	types, err := load.ParseTypes(c.Types)
	if err != nil {
		return nil, err
	}
	names, err := load.ParseRenames(c.Map)
	if err != nil {
		return nil, err
	}
	client := c.client()
	client.Patience = c.Patience
	config := &load.Config{Files: c.Files, Format: c.Format, Source: c.Source, DryRun: c.DryRun, Stdin: a.stdin, Client: client}
	config.Plan = load.Plan{ID: c.ID, Event: c.Event, EventName: c.EventName, Time: c.Time, Rename: names, Keep: c.Columns, Types: types}
	switch {
	case c.Events:
		config.Plan.Mode = load.Events
	case c.Profiles:
		config.Plan.Mode = load.Profiles
	}
	return config, config.Validate()
}

// printReport prints the outcome of one file.
func (c *importCommand) printReport(a *app, name string, r load.Report, err error) {
	if c.DryRun && err == nil {
		printColumns(a.stdout, r.Columns)
	}
	for _, col := range r.Columns {
		if col.Mismatched > 0 {
			fmt.Fprintf(a.stderr, "note: %s: %s values of column %s are not of its type (%s) and count as missing\n", sanitize(name), humanize.Comma(col.Mismatched), sanitize(col.Column), col.Kind)
		}
	}
	if err != nil && r.Lines == 0 {
		return
	}
	what := "imported"
	switch {
	case err != nil:
		what = "stopped after"
	case c.DryRun:
		what = "read, nothing sent:"
	}
	rate := float64(r.Lines) / max(r.Elapsed.Seconds(), 1e-9)
	fmt.Fprintf(a.stdout, "%s: %s %s lines in %s (%s lines/s): %s accepted, %s duplicate, %s rejected\n", sanitize(name), what,
		humanize.Comma(int64(r.Lines)), r.Elapsed.Round(10*time.Millisecond), humanize.Comma(int64(rate)),
		humanize.Comma(int64(r.Accepted)), humanize.Comma(int64(r.Duplicate)), humanize.Comma(int64(r.Rejected)))
	if name == "-" && c.Source == "" && !c.DryRun {
		fmt.Fprintln(a.stderr, "note: stdin has no identity, so importing it again would count every line again; --source NAME gives it one")
	}
}

// printColumns prints how each column is sent.
func printColumns(w io.Writer, columns []load.ColumnReport) {
	t := newTable(w)
	t.AppendHeader(table.Row{"column", "becomes", "type", "values", "example"})
	for _, c := range columns {
		becomes, kind := c.Name, c.Kind.String()
		if c.Role != "" {
			becomes, kind = "("+c.Role+")", ""
		}
		t.AppendRow(table.Row{sanitize(c.Column), sanitize(becomes), kind, humanize.Comma(int64(c.Seen)), sanitize(c.Example)})
	}
	t.Render()
}

// rejectWriter writes rejected lines to a file or, without a file, prints the first ones to stderr.
type rejectWriter struct {
	app     *app
	file    *bufio.Writer
	name    string
	several bool // more than one file is imported
	count   int
}

func (w *rejectWriter) add(r load.Reject) error {
	w.count++
	if w.file == nil {
		if w.count <= maxShownRejects {
			fmt.Fprintf(w.app.stderr, "rejected: %s line %d: %s\n", sanitize(w.name), r.Line, sanitize(r.Reason))
		}
		return nil
	}
	if w.several {
		r.File = w.name
	}
	text, err := json.Marshal(r)
	if err == nil {
		_, err = w.file.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}

// printHint says how to get all rejected lines, if some were not printed.
func (w *rejectWriter) printHint() {
	if w.file == nil && w.count > maxShownRejects {
		fmt.Fprintf(w.app.stderr, "… and %s more; --rejects FILE writes all of them to a file\n", humanize.Comma(int64(w.count-maxShownRejects)))
		w.count = maxShownRejects
	}
}

func (w *rejectWriter) close(file io.Closer) error {
	err := w.file.Flush()
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}
