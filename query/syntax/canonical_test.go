package syntax

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/musterdb/muster/query/tree"
)

// sameTree compares trees without their spans.
func sameTree(a, b any) string {
	return cmp.Diff(a, b, cmpopts.IgnoreTypes(tree.Span{}))
}

// canonicalCases reads the texts and canonical texts of testdata/canonical.txt.
func canonicalCases(t testing.TB) (texts, canonical []string) {
	t.Helper()
	data, err := os.ReadFile("testdata/canonical.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		last := len(texts) - 1
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "=> "):
			canonical[last] = line[3:]
		case strings.HasPrefix(line, "line\""): // the only text that spans two lines
			texts[last] += "\n" + line
		default:
			texts, canonical = append(texts, line), append(canonical, line)
		}
	}
	return texts, canonical
}

func TestCanonical(t *testing.T) {
	texts, canonical := canonicalCases(t)
	if len(texts) < 80 {
		t.Fatalf("read only %d cases", len(texts))
	}
	for i, text := range texts {
		q, err := Parse(text, Limits{})
		if err != nil {
			t.Errorf("parse %s:\n%s", text, Render(err.(*tree.Diagnostic), text))
			continue
		}
		got := Format(q)
		if got != canonical[i] {
			t.Errorf("format\n %s\n  is %s\nwant %s", text, got, canonical[i])
		}
		again, err := Parse(got, Limits{})
		if err != nil {
			t.Errorf("parse formatted text %s: %v", got, err)
			continue
		}
		if diff := sameTree(q, again); diff != "" {
			t.Errorf("the canonical text of %s gives a different tree:\n%s", text, diff)
		}
		if twice := Format(again); twice != got {
			t.Errorf("format is not stable:\n%s\n%s", got, twice)
		}
	}
}
