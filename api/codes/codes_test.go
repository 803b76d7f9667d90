package codes

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTable checks that no code has two lines, every status exists, and the lines are in order.
func TestTable(t *testing.T) {
	seen, last := map[string]bool{}, 0
	for _, c := range All() {
		if seen[c.Name] || c.Title == "" || c.Status < last || http.StatusText(c.Status) == "" && c.Status != 499 {
			t.Errorf("%+v", c)
		}
		seen[c.Name], last = true, c.Status
		if row, ok := Lookup(c.Name); !ok || row != c {
			t.Errorf("Lookup of %s returned %+v", c.Name, row)
		}
	}
	if _, ok := Lookup("none"); ok {
		t.Error("Lookup of an unknown code returned a row")
	}
}

// TestDocumented compares the table with the one in docs/API.md, in both directions.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, ok := strings.Cut(string(text), "| status | codes |\n")
	if !ok {
		t.Fatal("docs/API.md has no table of status and codes")
	}
	rows, _, _ = strings.Cut(rows, "\n\n")
	name := regexp.MustCompile("`([a-z_0-9]+)`")
	var documented, want []string
	for row := range strings.Lines(rows) {
		cells := strings.Split(row, "|")
		for _, m := range name.FindAllStringSubmatch(cells[len(cells)-2], -1) {
			documented = append(documented, strings.TrimSpace(cells[1])+" "+m[1])
		}
	}
	for _, c := range All() {
		want = append(want, fmt.Sprint(c.Status, " ", c.Name))
	}
	slices.Sort(documented)
	slices.Sort(want)
	for _, line := range want {
		if !slices.Contains(documented, line) {
			t.Errorf("docs/API.md does not have %s", line)
		}
	}
	for _, line := range documented {
		if !slices.Contains(want, line) {
			t.Errorf("docs/API.md has %s, the table does not", line)
		}
	}
}
