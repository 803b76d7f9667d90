package tree

import (
	"os"
	"strings"
	"testing"
)

// TestCodesAreDocumented: docs/API.md names every code, and no code stands twice.
func TestCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, code := range Codes() {
		if seen[code] || !strings.Contains(string(text), "`"+code+"`") {
			t.Errorf("%s stands twice, or is not in docs/API.md", code)
		}
		seen[code] = true
	}
}
