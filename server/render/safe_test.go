package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

func TestSafeCells(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "a=b": "a=b", "a@b.example": "a@b.example", "2026-11-05": "2026-11-05", "well-known": "well-known",
		"-5": "-5", "+5": "+5", "-5.25": "-5.25", "-1e9": "-1e9", "+49301234": "+49301234", "-": "'-", "-5+3": "'-5+3", "+1 (555)": "'+1 (555)", "-.5.": "'-.5.", "-e9": "'-e9",
		"=1+1": "'=1+1", "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "@SUM(1)": "'@SUM(1)", "+cmd|x": "'+cmd|x", "-2+3+cmd|x": "'-2+3+cmd|x",
		"\t=1": "'\t'=1", "\r=1": "'\r'=1", "\n=1": "'\n'=1", "\tx": "'\tx", " =1": "' =1", "\u00a0=1": "'\u00a0=1", "\"=1": "'\"=1", "＝1": "'＝1", "＠x": "'＠x",
		"a;=1": "a;'=1", "a\t=1": "a\t'=1", "a\n=1": "a\n'=1", "a;-5;b": "a;-5;b", `["=1"]`: `["=1"]`,
	} {
		if got := safeCell(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestSafeTable(t *testing.T) {
	columns := []query.Column{{Name: "=name", Type: "string"}, {Name: "n", Type: "number"}, {Name: "tags", Type: "list"}}
	rows := AllRows(&query.Answer{Rows: [][]tree.Value{{tree.Str("=1+1"), tree.NumInt(-5), tree.ListOf(tree.Str("=1;=2"))}, {tree.Str("-5"), {}, {}}}})
	for format, want := range map[Format]string{
		CSV:     "=name,n,tags\n=1+1,-5,\"[\"\"=1;=2\"\"]\"\n-5,,\n",
		SafeCSV: "'=name,n,tags\n'=1+1,-5,\"[\"\"=1;'=2\"\"]\"\n-5,,\n",
	} {
		var out bytes.Buffer
		if err := Table(&out, format, columns, rows); err != nil || out.String() != want {
			t.Errorf("%q, %v, want %q", out.String(), err, want)
		}
	}
}

func FuzzSafeCell(f *testing.F) {
	for _, seed := range []string{"=1", "a;=1", "\t\r\n", "'=1", "+-+-", "-5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := safeCell(text)
		if safeCell(got) != got && !strings.ContainsAny(text, "\t\r\n") {
			t.Errorf("%q becomes %q, and that %q", text, got, safeCell(got))
		}
		if strings.ReplaceAll(got, "'", "") != strings.ReplaceAll(text, "'", "") {
			t.Errorf("%q becomes %q: not only apostrophes were added", text, got)
		}
		for _, part := range strings.FieldsFunc(got, func(r rune) bool { return strings.ContainsRune(";\t\r\n", r) }) {
			if strings.Contains("=@", part[:1]) {
				t.Errorf("%q becomes %q, in which %q begins a cell", text, got, part)
			}
		}
	})
}
