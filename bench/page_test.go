package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPerformancePage compares the table of questions in docs/PERFORMANCE.md with the reports that the page
// names.
func TestPerformancePage(t *testing.T) {
	page, err := os.ReadFile("../docs/PERFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("Reports: `bench/(results/[^`]+)`").FindSubmatch(page)
	if named == nil {
		t.Fatal("docs/PERFORMANCE.md names no reports: Reports: `bench/results/…`")
	}
	small, medium := peersReport(t, string(named[1]), "s"), peersReport(t, string(named[1]), "m")
	for i, s := range small.Rows {
		m := medium.Rows[i]
		row := fmt.Sprintf("| %s | %s | %s | %.0f× |", s.Name, figures(s), figures(m), s.Goal)
		if !strings.Contains(string(page), row+"\n") {
			t.Errorf("docs/PERFORMANCE.md has no row\n%s\nas %s has it", row, named[1])
		}
	}
	means := fmt.Sprintf("| geometric mean | | %.1f× | | | %.1f× | |", small.GeoMean, medium.GeoMean)
	if !strings.Contains(string(page), means) {
		t.Errorf("docs/PERFORMANCE.md has no row that begins\n%s", means)
	}
}

func peersReport(t *testing.T, dir, size string) *Comparison {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "peers-"+size+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r.Comparison
}

// figures returns the cells of a question at one size: milliseconds, ratio, times the limit.
func figures(c Compared) string {
	return fmt.Sprintf("%.3g | %.1f× | %.1f", c.Timings[0].Median, c.Ratio, c.Distance)
}
