package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// FiguresConfig says what RunFigures measures and where it writes the results.
type FiguresConfig struct {
	Name    string // of the report
	Measure func(ctx context.Context, log func(format string, args ...any)) ([]Figure, error)
	Results string // directory for reports; "" for none
	Out     io.Writer
	Flags   []string
}

// Validate reports all faults.
func (c *FiguresConfig) Validate() error {
	var faults []error
	if c.Name == "" {
		faults = append(faults, errors.New("no name"))
	}
	if c.Measure == nil {
		faults = append(faults, errors.New("nothing to measure"))
	}
	if c.Out == nil {
		faults = append(faults, errors.New("no output"))
	}
	return errors.Join(faults...)
}

// RunFigures measures, writes the figures and the report, and prints the changes since the last report.
func RunFigures(ctx context.Context, c FiguresConfig) error {
	if err := c.Validate(); err != nil {
		return err
	}
	began := time.Now()
	report := NewReport(c.Name, c.Flags)
	figures, err := c.Measure(ctx, func(format string, args ...any) {
		fmt.Fprintf(c.Out, "%6.1fs "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
	})
	if err != nil {
		return err
	}
	report.Figures = figures
	fmt.Fprintln(c.Out)
	for _, f := range figures {
		goal := ""
		if f.Goal > 0 {
			goal = "≤ " + formatNumber(f.Goal)
			if f.More {
				goal = "≥ " + formatNumber(f.Goal)
			}
			if !f.Met() {
				goal += " missed"
			}
		}
		value := formatNumber(f.Value) + " " + f.Unit
		if f.Unit == "B" && f.Value >= 1<<20 {
			value = formatBytes(int64(f.Value))
		}
		fmt.Fprintf(c.Out, "%-72s %18s  %-18s %s\n", f.Name, value, goal, f.Note)
	}
	return publish(report, c.Results, c.Out)
}
