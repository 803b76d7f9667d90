package tree

import (
	"os"
	"strings"
	"testing"
)

// TestCodesAreDocumented checks that docs/API.md has every code, and that Codes has no duplicates.
func TestCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, code := range Codes() {
		if seen[code] || !strings.Contains(string(text), "`"+code+"`") {
			t.Errorf("%s is a duplicate, or is not in docs/API.md", code)
		}
		seen[code] = true
	}
}
