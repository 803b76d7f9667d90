package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// QueriesConfig says what RunQueries measures and where it writes the results.
type QueriesConfig struct {
	Compare CompareConfig
	Results string // directory for reports; "" for none
	Out     io.Writer
	Flags   []string
}

// Validate reports all faults.
func (c *QueriesConfig) Validate() error {
	var out error
	if c.Out == nil {
		out = errors.New("no output")
	}
	return errors.Join(out, c.Compare.Validate())
}

// RunQueries compares the subjects, writes the table and the report, and prints the changes since the last
// report. Nothing is written when answers differ.
func RunQueries(ctx context.Context, c QueriesConfig) error {
	began := time.Now()
	if c.Compare.Log == nil && c.Out != nil {
		c.Compare.Log = func(format string, args ...any) {
			fmt.Fprintf(c.Out, "%6.1fs "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
		}
	}
	if err := c.Validate(); err != nil {
		return err
	}
	report := NewReport(reportName(c.Compare), c.Flags)
	comparison, err := Compare(ctx, c.Compare, report.Machine.Bandwidth)
	if err != nil {
		return err
	}
	report.Comparison = comparison
	comparison.Table(c.Out)
	return publish(report, c.Results, c.Out)
}

// reportName keeps runs with and without peers apart, since their figures are not comparable.
func reportName(c CompareConfig) string {
	if len(c.Subjects) > 1 {
		return "peers-" + c.Size.Name
	}
	return "queries-" + c.Size.Name
}

// publish prints the changes since the last report and writes this one.
func publish(r *Report, results string, out io.Writer) error {
	if results == "" {
		return nil
	}
	last, err := Last(results, r.Name)
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	r.Regressions(out, last)
	dir, err := r.Write(results)
	if err == nil {
		fmt.Fprintf(out, "Report: %s/%s.html\n", dir, r.Name)
	}
	return err
}

// Table writes the comparison for a terminal.
func (c *Comparison) Table(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %d profiles, %d events; ms, median of %d or more, warm\n", c.Size.Name, c.Size.Users, c.Size.Events, c.Repeat)
	fmt.Fprintf(w, "%-66s %12s", "question", "answer")
	for _, s := range c.Subjects {
		name, _, _ := strings.Cut(s.Name, " ")
		fmt.Fprintf(w, " %10s", name)
	}
	fmt.Fprintf(w, " %8s %8s %8s %6s %10s %9s %8s\n", "ratio", "of min", "of cpu", "goal", "touched", "limit ms", "× limit")
	for _, row := range c.Rows {
		fmt.Fprintf(w, "%-66s %12s", row.Name, row.Answer)
		for _, t := range row.Timings {
			fmt.Fprintf(w, " %10.3f", t.Median)
		}
		ratios := fmt.Sprintf(" %7.1f× %7.1f× %7.1f×", row.Ratio, row.RatioOfMinima, row.ProcessorRatio)
		if row.Ratio == 0 { // without peers
			ratios = fmt.Sprintf(" %8s %8s %8s", "–", "–", "–")
		}
		fmt.Fprintf(w, "%s %5.0f× %10s %9.3f %7.1f×\n", ratios, row.Goal, formatBytes(row.Touched), row.LimitMillis, row.Distance)
	}
	if c.GeoMean > 0 {
		fmt.Fprintf(w, "geometric mean of the ratios: %.1f× (goal 100×); of processor time %.1f×\n", c.GeoMean, c.ProcessorGeoMean)
	}
	for _, s := range c.Subjects {
		fmt.Fprintf(w, "%s: loaded in %.1f s;", s.Name, s.LoadSeconds)
		for _, m := range s.Memory {
			fmt.Fprintf(w, " %s %s,", m.Name, formatBytes(m.Bytes))
		}
		fmt.Fprintln(w)
	}
}
