package main

import (
	"os"
	"strings"
	"testing"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/tree"
)

// TestReferenceExamples runs the examples of the language reference on a node, in the order of the page,
// except for drop statements. Unknown names are only warnings. Questions about memberships before the segments
// existed fail with an error that says so.
func TestReferenceExamples(t *testing.T) {
	data, err := os.ReadFile("../../docs/QUERY.md")
	if err != nil {
		t.Fatal(err)
	}
	n := openTest(t, testConfig(t.TempDir()))
	ingest(t, n, engine.Accepted,
		identify("m1", "user-1", field("country", tree.Str("BR")), field("plan", tree.Str("pro")), field("ltv", tree.NumInt(120))),
		track("m2", "user-1", "Order Completed", field("amount", tree.NumInt(50))), track("m3", "user-1", "Product Added"))
	for _, segment := range []string{"VIP", "Regular", "Churned"} {
		queryValue(t, n, `create segment "`+segment+`" as country = "BR"`)
	}
	for _, list := range []string{"newsletter-2026", "newsletter"} {
		if err := n.ListEdit(t.Context(), list, []string{"user-1"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	answered := 0
	for _, block := range strings.Split(string(data), "```mql\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for _, text := range strings.Split(strings.TrimSpace(block), "\n") {
			if strings.HasPrefix(text, "drop") { // the examples after it still use what it drops
				continue
			}
			text = strings.Replace(text, "create segment", "create or replace segment", 1)
			_, err := n.Query(t.Context(), node.Ask{Text: text})
			switch {
			case err == nil:
				answered++
			case !strings.Contains(text, "was in segment") || !strings.Contains(err.Error(), "did not exist yet"):
				t.Errorf("%s\n  %v", text, err)
			}
		}
	}
	if answered < 70 {
		t.Errorf("only %d examples were answered", answered)
	}
}
