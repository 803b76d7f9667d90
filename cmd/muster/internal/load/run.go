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

// bodyBytes is the size of one request: large enough that the round trip does not matter, small enough
// to show progress and to be sent again.
const bodyBytes = 16 << 20

// Config says what to import, and where to.
type Config struct {
	Files  []string // "-" is Stdin
	Plan   Plan
	Format string // csv, ndjson, parquet; "" detects it
	Source string // identity instead of file name and checksum
	DryRun bool
	Stdin  io.Reader
	Client *api.Client // of the node; may be nil for a DryRun

	OnReject   func(Reject) error // called in line order
	OnProgress func(Progress)     // called after each batch
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

// Validate reports all faults, joined into one error.
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
		fault("--source names one file, not %d: it identifies the lines of that file", len(c.Files))
	}
	if c.Format != "" && !slices.Contains([]string{"csv", "ndjson", "parquet"}, c.Format) {
		fault("--format %s: want csv, ndjson or parquet", c.Format)
	}
	faults = append(faults, c.Plan.Validate())
	if c.Client == nil && !c.DryRun {
		fault("no client for the node; set Client or DryRun")
	}
	return errors.Join(faults...)
}

// Progress is how far the import of one file is. Size is 0 when it is not known.
type Progress struct {
	File         string
	Offset, Size int64
	Report
}

// Report is the outcome of a file's lines.
type Report struct {
	Lines, Accepted, Duplicate, Rejected uint64
	Elapsed                              time.Duration
	Columns                              []ColumnReport
	Source                               string // the identity of the file, which identifies its lines
}

// Import reads one file and sends its lines, or only reads it when DryRun is set. Lines are sent in
// file order, one request at a time. The next batch is encoded while one is being sent.
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
			cancel() // keep draining full, so that fill ends before the file is closed
		}
	}
	if readErr := <-read; err == nil && readErr != nil {
		err = fmt.Errorf("%s: %w", path, readErr)
	}
	report.Elapsed = time.Since(started)
	report.Columns = file.input.schema()
	return report, err
}

// fill reads batches and sends them to full until the end of the file, an error or the end of ctx; then
// it closes full. It alternates between two batches, one being filled while the other is being sent.
// This is safe because full is unbuffered: the receiver is done with a batch before it takes the next.
func fill(ctx context.Context, file *inputFile, full chan<- *Batch) error {
	defer close(full)
	batches := [2]Batch{}
	for i := 0; ; i++ {
		b := &batches[i%len(batches)]
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

// deliver sends a batch, adds its outcome to the report, and passes its rejects to OnReject in line order.
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
