package syntax

import (
	"os"
	"strings"
	"testing"

	"github.com/musterdb/muster/query/tree"
)

// TestReference parses every example of the language reference, one per line, and compares the error
// message shown there with the parser's.
func TestReference(t *testing.T) {
	data, err := os.ReadFile("../../docs/QUERY.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, block := range strings.Split(string(data), "```mql\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for _, text := range strings.Split(strings.TrimSpace(block), "\n") {
			examples++
			q, err := Parse(text, Limits{})
			if err != nil {
				t.Errorf("%s", Render(err.(*tree.Diagnostic), text))
				continue
			}
			if _, err := Parse(Format(q), Limits{}); err != nil {
				t.Errorf("the canonical text of %s: %v", text, err)
			}
		}
	}
	if examples < 70 {
		t.Errorf("found only %d examples", examples)
	}
	shown := `count where did "Order Completed" where amount > 50`
	if _, err := Parse(shown, Limits{}); !strings.Contains(string(data), "```\n"+Render(err.(*tree.Diagnostic), shown)+"```") {
		t.Error("the error shown in the reference is not the one the parser gives")
	}
}
