package syntax

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// mistakeOfText returns the mistake of a text, nil if it has none.
func mistakeOfText(text string) *mistake {
	tokens, m := admit(text, Limits{})
	if m == nil {
		_, m = parseStatement(tokens)
	}
	return m
}

func (e *edit) apply(text string) string {
	return text[:e.at.Offset] + e.text + text[e.at.Offset+e.at.Length:]
}

// TestMistakes holds the message of every text in testdata/mistakes.txt against the golden one. A
// block is the text, a line ----, the rendered message, and the mended text if the mend is certain.
func TestMistakes(t *testing.T) {
	const file = "testdata/mistakes.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n\n")
	var out []string
	for _, block := range blocks {
		text, want, _ := strings.Cut(block, "\n----\n")
		got := strings.TrimSuffix(examine(t, text), "\n")
		if got != want && !*rewrite {
			t.Errorf("%s\n----\n%s\nwant\n%s", text, got, want)
		}
		out = append(out, text+"\n----\n"+got)
	}
	if len(blocks) < 60 {
		t.Errorf("only %d mistakes are covered", len(blocks))
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// examine returns the block's answer and checks that the mend, if any, mends.
func examine(t *testing.T, text string) string {
	m := mistakeOfText(text)
	if m == nil {
		t.Errorf("%s: no mistake was found", text)
		return ""
	}
	d := m.diagnostic(text)
	rendered := Render(d, text)
	if d.Hint == "" && len(d.Suggestions) == 0 {
		t.Errorf("no hint: %s", text)
	}
	if m.mend == nil {
		return rendered
	}
	mended := m.mend.apply(text)
	if left := mistakeOfText(mended); left != nil {
		t.Errorf("%s\n%smended to %s\n%s", text, rendered, mended, Render(left.diagnostic(mended), mended))
	}
	return rendered + "  mended: " + mended
}
