package syntax

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// mistakeOfText returns the mistake in a text, or nil if there is none.
func mistakeOfText(text string) *mistake {
	tokens, m := tokenize(text, Limits{})
	if m == nil {
		_, m = parseStatement(tokens)
	}
	return m
}

func (e *edit) apply(text string) string {
	return text[:e.at.Offset] + e.text + text[e.at.Offset+e.at.Length:]
}

// TestMistakes compares the message for every text in testdata/mistakes.txt with the golden one. A block
// is the text, a line ----, the rendered message, and the fixed text if the mistake has an edit.
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
		got := strings.TrimSuffix(renderMistake(t, text), "\n")
		if got != want && !*rewrite {
			t.Errorf("%s\n----\n%s\nwant\n%s", text, got, want)
		}
		out = append(out, text+"\n----\n"+got)
	}
	if len(blocks) < 60 {
		t.Errorf("the file covers only %d mistakes", len(blocks))
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// renderMistake returns the rendered mistake of a text and checks that its edit, if any, fixes the text.
func renderMistake(t *testing.T, text string) string {
	m := mistakeOfText(text)
	if m == nil {
		t.Errorf("%s: no mistake found", text)
		return ""
	}
	d := m.diagnostic(text)
	rendered := Render(d, text)
	if d.Hint == "" && len(d.Suggestions) == 0 {
		t.Errorf("no hint: %s", text)
	}
	if m.edit == nil {
		return rendered
	}
	fixed := m.edit.apply(text)
	if left := mistakeOfText(fixed); left != nil {
		t.Errorf("%s\n%smended to %s\n%s", text, rendered, fixed, Render(left.diagnostic(fixed), fixed))
	}
	return rendered + "  fixed: " + fixed
}
