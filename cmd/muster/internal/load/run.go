package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/query/tree"
)

// bodyBytes is how much is sent with one request: large enough that the answer's round trip does not
// matter, small enough to show progress and to be sent again.
const bodyBytes = 16 << 20

// Config says what to import, and where to.
type Config struct {
	Files  []string // "-" is Stdin
	Plan   Plan
	Format string // csv, ndjson, parquet; "" finds out
	Source string // identity instead of file name and checksum
	DryRun bool
	Stdin  io.Reader
	Client *api.Client // of the node; none is needed for a DryRun

	OnReject   func(Reject) error // in the order of lines
	OnProgress func(Progress)     // after each batch
	OnWait     func(why string, wait time.Duration)
}

func (c Config) withDefaults() Config {
	if c.OnReject == nil {
		c.OnReject = func(Reject) error { return nil }
	}
	if c.OnProgress == nil {
		c.OnProgress = func(Progress) {}
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.Files) == 0 {
		fault("no file: name one, or - for stdin")
	}
	if err := tree.CheckLine("--source", c.Source, tree.MaxNameBytes); err != nil {
		faults = append(faults, err)
	}
	if c.Source != "" && len(c.Files) > 1 {
		fault("--source names one file, not %d: lines are known by it and their number", len(c.Files))
	}
	if c.Format != "" && !slices.Contains([]string{"csv", "ndjson", "parquet"}, c.Format) {
		fault("--format %s: want csv, ndjson or parquet", c.Format)
	}
	faults = append(faults, c.Plan.Validate())
	if c.Client == nil && !c.DryRun {
		fault("no client of a node to send to")
	}
	return errors.Join(faults...)
}

// Progress tells how far one file is. Size is 0 when it is not known.
type Progress struct {
	File         string
	Offset, Size int64
	Report
}

// Report says what became of a file's lines.
type Report struct {
	Lines, Accepted, Duplicate, Rejected uint64
	Elapsed                              time.Duration
	Columns                              []ColumnReport
	Source                               string // the identity lines are known by
}

// Import reads one file and sends its lines, or only reads it when DryRun is set. Lines are sent in
// the order of the file, one request at a time, and the next is encoded meanwhile.
//
// REQUIRES: c has been validated.
func (c Config) Import(ctx context.Context, path string) (Report, error) {
	c = c.withDefaults()
	started := time.Now()
	file, err := open(ctx, path, &c)
	if err != nil {
		return Report{}, err
	}
	defer file.Close()
	report := Report{Source: file.source}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	full := make(chan *Batch)
	read := make(chan error, 1)
	go func() { read <- fill(ctx, file, full) }()
	sender := &api.Importer{Client: c.Client, Source: file.source, Waiting: c.OnWait}
	for batch := range full {
		if err == nil {
			err = c.deliver(ctx, sender, batch, &report)
			report.Elapsed = time.Since(started)
			c.OnProgress(Progress{File: file.name, Offset: min(batch.Offset, file.size), Size: file.size, Report: report})
		}
		if err != nil {
			cancel() // and drain, so that fill ends before the file is closed
		}
	}
	if readErr := <-read; err == nil && readErr != nil {
		err = fmt.Errorf("%s: %w", path, readErr)
	}
	report.Elapsed = time.Since(started)
	report.Columns = file.input.schema()
	return report, err
}

// fill reads batches until the end of the file, an error or the end of ctx, and closes full. Two
// batches take turns: one is sent while the other is filled, which the unbuffered channel guards.
func fill(ctx context.Context, file *opened, full chan<- *Batch) error {
	defer close(full)
	batches := [2]Batch{}
	for turn := 0; ; turn++ {
		b := &batches[turn%len(batches)]
		b.reset()
		var err error
		for err == nil && len(b.Body) < bodyBytes && b.Lines < 1<<18 {
			err = file.input.read(b)
		}
		b.Offset = file.offset.Load()
		if b.Lines > 0 {
			select {
			case full <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// deliver sends a batch, counts what became of it, and hands on its rejects in the order of lines.
func (c *Config) deliver(ctx context.Context, s *api.Importer, b *Batch, report *Report) error {
	rejects := b.Rejects
	var answered api.IngestResult
	var err error
	if !c.DryRun && len(b.sent) > 0 {
		answered, err = s.Send(ctx, b)
		for _, p := range answered.Problems {
			content, _ := b.find(p.Line)
			rejects = append(rejects, Reject{Line: p.Line, Reason: p.Reason, Content: content})
		}
	}
	if err != nil {
		return err
	}
	slices.SortStableFunc(rejects, func(x, y Reject) int { return int(x.Line) - int(y.Line) })
	report.Lines += uint64(b.Lines)
	report.Accepted += answered.Accepted
	if c.DryRun {
		report.Accepted += uint64(len(b.sent))
	}
	report.Duplicate += answered.Duplicate
	report.Rejected += uint64(len(b.Rejects)) + answered.Rejected
	for _, r := range rejects {
		if err := c.OnReject(r); err != nil {
			return err
		}
	}
	return nil
}
