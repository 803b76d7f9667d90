package bench

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is all results of one run, with its machine and commit.
type Report struct {
	Name       string      `json:"name"` // kind of report: queries-s, ingest, …
	When       time.Time   `json:"when"`
	Commit     string      `json:"commit"`
	Machine    Machine     `json:"machine"`
	Flags      []string    `json:"flags"`
	Comparison *Comparison `json:"comparison,omitempty"`
	Figures    []Figure    `json:"figures,omitempty"`
}

// Figure is one measured number, with its goal if it has one.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  float64 `json:"goal,omitempty"`
	More  bool    `json:"more"` // more is better
	Note  string  `json:"note,omitempty"`
}

// Met reports whether a figure with a goal meets it.
func (f Figure) Met() bool {
	if f.More {
		return f.Value >= f.Goal
	}
	return f.Value <= f.Goal
}

// NewReport begins a report of this machine and commit.
func NewReport(name string, flags []string) *Report {
	return &Report{Name: strings.ToLower(name), When: time.Now().UTC().Truncate(time.Second), Commit: Commit(), Machine: DescribeMachine(), Flags: flags}
}

// Write writes the report as JSON and HTML under dir, in a directory named after its day and commit, and returns
// that directory.
func (r *Report) Write(dir string) (string, error) {
	dir = filepath.Join(dir, r.When.Format(time.DateOnly)+"-"+r.Commit)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	page, err := r.HTML()
	if err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, r.Name+".json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, r.Name+".html"), page, 0o644))
	return dir, err
}

// Last returns the newest report of a kind under dir, nil if there is none.
func Last(dir, name string) (*Report, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", strings.ToLower(name)+".json"))
	if err != nil {
		return nil, err
	}
	var all []*Report
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the last report: %w", err)
		}
		r := &Report{}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return slices.MaxFunc(all, func(a, b *Report) int { return cmp.Or(a.When.Compare(b.When), cmp.Compare(a.Commit, b.Commit)) }), nil
}

// measures returns all numbers by which two reports are compared.
func (r *Report) measures() []Figure {
	all := slices.Clone(r.Figures)
	if c := r.Comparison; c != nil {
		for _, row := range c.Rows {
			if row.Ratio > 0 {
				all = append(all, Figure{Name: row.Name, Value: row.Ratio, Unit: "×", More: true})
			} else {
				all = append(all, Figure{Name: row.Name, Value: row.Timings[0].Median, Unit: "ms"})
			}
		}
		for _, m := range c.Subjects[0].Memory {
			all = append(all, Figure{Name: "memory: " + m.Name, Value: float64(m.Bytes), Unit: "B"})
		}
	}
	return all
}

// tolerated is the factor up to which two runs count as equal: machines are shared.
const tolerated = 1.15

// Regressions prints what has become worse or better since the last report. It returns how many figures are
// worse.
func (r *Report) Regressions(w io.Writer, last *Report) int {
	if last == nil {
		fmt.Fprintln(w, "There is no earlier report of this kind to compare with.")
		return 0
	}
	before := map[string]Figure{}
	for _, f := range last.measures() {
		before[f.Name+f.Unit] = f
	}
	worse, same := 0, 0
	fmt.Fprintf(w, "Against the report of %s, commit %s:\n", last.When.Format(time.DateTime), last.Commit)
	for _, f := range r.measures() {
		old, known := before[f.Name+f.Unit]
		if !known || old.Value <= 0 || f.Value <= 0 {
			continue
		}
		gain := old.Value / f.Value
		if f.More {
			gain = 1 / gain
		}
		switch {
		case gain < 1/tolerated:
			worse++
			fmt.Fprintf(w, "  worse   %-66s %.4g → %.4g %s (%.2f×)\n", f.Name, old.Value, f.Value, f.Unit, gain)
		case gain > tolerated:
			fmt.Fprintf(w, "  better  %-66s %.4g → %.4g %s (%.2f×)\n", f.Name, old.Value, f.Value, f.Unit, gain)
		default:
			same++
		}
	}
	fmt.Fprintf(w, "  %d figures changed by less than %.0f %%\n", same, 100*(tolerated-1))
	return worse
}
