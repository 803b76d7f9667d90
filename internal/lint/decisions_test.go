package lint

import (
	"maps"
	"strings"
	"testing"
)

// TestDecisionsFind makes each fault in a decision page, and checks that it is found.
func TestDecisionsFind(t *testing.T) {
	const body = "\n## Context\nc\n\n## Decision\nd\n\n## Consequences\ne\n"
	sound := map[string]string{
		"docs/adr/0001-record.md": "# 1. Record\n\n**Status:** superseded by [ADR 3](0003-forget.md)\n" + body,
		"docs/adr/0002-keep.md":   "# 2. Keep\n\n**Status:** accepted\n" + body,
		"docs/adr/0003-forget.md": "# 3. Forget\n\n**Status:** accepted\n**Supersedes:** [ADR 1](0001-record.md)\n" + body,
		"docs/adr/README.md":      "| 1 | [Record](0001-record.md) | superseded by 3 |\n| 2 | [Keep](0002-keep.md) | accepted |\n| 3 | [Forget](0003-forget.md) | accepted |\n",
		"docs/OTHER.md":           "no decision",
	}
	for _, c := range []struct {
		name, file, from, to string
		want                 []string // a substring of each finding
	}{
		{name: "sound pages"},
		{name: "a number that differs from the file's", file: "docs/adr/0002-keep.md", from: "# 2.", to: "# 4.", want: []string{"no page 2", "the same number"}},
		{name: "no status", file: "docs/adr/0002-keep.md", from: "**Status:** accepted\n", want: []string{"third line"}},
		{name: "an unknown status", file: "docs/adr/0002-keep.md", from: "accepted", to: "maybe", want: []string{"third line"}},
		{name: "no context", file: "docs/adr/0002-keep.md", from: "## Context\n", want: []string{"its headings are"}},
		{name: "another heading", file: "docs/adr/0002-keep.md", from: "## Decision", to: "## Rejected\n\n## Decision", want: []string{"its headings are"}},
		{name: "more than a page", file: "docs/adr/0002-keep.md", from: "d\n", to: strings.Repeat("d\n", 100), want: []string{"more than one page"}},
		{name: "a gap", file: "docs/adr/0002-keep.md", from: sound["docs/adr/0002-keep.md"], to: "-", want: []string{"no page 2"}},
		{name: "a number given twice", file: "docs/adr/0002-again.md", to: sound["docs/adr/0002-keep.md"], want: []string{"two pages with the number 2"}},
		{name: "superseded, but the other page does not say so", file: "docs/adr/0003-forget.md", from: "**Supersedes:**", to: "Instead of", want: []string{"0003: does not say that it supersedes ADR 1"}},
		{name: "supersedes, but the other page does not say so", file: "docs/adr/0001-record.md", from: "superseded by [ADR 3](0003-forget.md)", to: "accepted",
			want: []string{"0001: does not say that ADR 3", "no row for ADR 1"}},
		{name: "not in the index", file: "docs/adr/README.md", from: "| 2 | [Keep]", to: "| 2 | [Keeping]", want: []string{"no row for ADR 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pages := maps.Clone(sound)
			if c.file != "" {
				pages[c.file] = strings.Replace(pages[c.file], c.from, c.to, 1)
			}
			if pages[c.file] == "-" {
				delete(pages, c.file)
			}
			var texts []string
			for _, f := range (&Tree{pages: pages}).Decisions() {
				texts = append(texts, f.String())
			}
			all := strings.Join(texts, "\n")
			if len(texts) < len(c.want) || len(c.want) == 0 && all != "" {
				t.Fatalf("found %q, want %q", all, c.want)
			}
			for _, want := range c.want {
				if !strings.Contains(all, want) {
					t.Errorf("found %q, want %q", all, want)
				}
			}
		})
	}
}
