package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func report(t *testing.T, when time.Time, ms time.Duration, rate float64) *Report {
	t.Helper()
	c, err := Compare(t.Context(), CompareConfig{Size: small(), Repeat: 1, Subjects: []Subject{&fake{"Muster", 5, ms}, &fake{"DuckDB", 5, 100 * time.Millisecond}}}, 1e9)
	if err != nil {
		t.Fatal(err)
	}
	return &Report{Name: "test", When: when, Commit: "abc", Comparison: c, Flags: []string{"<flag>"},
		Figures: []Figure{{Name: "rate", Value: rate, Unit: "events/s", Goal: 100, More: true}}}
}

func TestReportComesBack(t *testing.T) {
	dir := t.TempDir()
	day := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	for _, r := range []*Report{report(t, day.Add(time.Hour), 2*time.Millisecond, 120), report(t, day, time.Millisecond, 150)} {
		r.Commit = r.When.Format("1504")
		at, err := r.Write(dir)
		if err != nil {
			t.Fatal(err)
		}
		html, err := os.ReadFile(filepath.Join(at, "test.html"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"<svg", "&lt;flag&gt;", "geometric mean", "distinct profiles per day", "events/s"} {
			if !strings.Contains(string(html), want) {
				t.Errorf("the page has no %q", want)
			}
		}
		for _, never := range []string{"http://", "https://", "<script"} {
			if strings.Contains(string(html), never) {
				t.Errorf("the page has %q", never)
			}
		}
	}
	last, err := Last(dir, "TEST")
	if err != nil || last == nil {
		t.Fatalf("last report %v, %v", last, err)
	}
	if !last.When.Equal(day.Add(time.Hour)) {
		t.Errorf("the last report is that of %s", last.When)
	}
	if none, err := Last(dir, "other"); none != nil || err != nil {
		t.Errorf("report of another kind: %v, %v", none, err)
	}
}

func TestRegressions(t *testing.T) {
	day := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	old, now := report(t, day, 2*time.Millisecond, 150), report(t, day.Add(time.Hour), time.Millisecond, 100)
	var out strings.Builder
	if worse := now.Regressions(&out, old); worse != 1 {
		t.Errorf("%d figures are worse, want the rate alone:\n%s", worse, out.String())
	}
	if got := strings.Count(out.String(), "better "); got != len(Questions()) {
		t.Errorf("%d figures are better, want %d:\n%s", got, len(Questions()), out.String())
	}
	out.Reset()
	if worse := now.Regressions(&out, nil); worse != 0 {
		t.Errorf("%d figures are worse than nothing", worse)
	}
}

func TestSizes(t *testing.T) {
	for _, s := range Sizes() {
		if got, err := SizeByName(strings.ToLower(s.Name)); err != nil || got != s {
			t.Errorf("%s: %v, %v", s.Name, got, err)
		}
	}
	if _, err := SizeByName("XXL"); err == nil {
		t.Error("XXL was accepted")
	}
}
