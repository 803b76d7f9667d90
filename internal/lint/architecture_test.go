package lint

import (
	"maps"
	"strings"
	"testing"
)

// smallPage has ~ where the page has backticks.
const smallPage = `
Text before | with a bar.

| package | what it is | must not know | may import |
|---|---|---|---|
| ~tree~ | values | everything | nothing |
| ~match~ | one profile | ~eval~ | ~tree~ |
| ~exec~ | statements | where sources are | ~match~ ~tree~ |
| ~cmd~ | the binary | nothing is hidden | everything |
| ~sys~ | processes | ~eval~ | ~tree~ |

| library | what for | used by |
|---|---|---|
| ~example.com/raft~ | agreement | ~exec~ |
`

// ours returns imports of packages of this module.
func ours(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString("import _ \"" + Module + "/" + n + "\"\n")
	}
	return b.String()
}

const useRaft = "import _ \"example.com/raft/v2\"\n"

// sound is a module that conforms to the page.
var sound = map[string]string{
	"tree/a.go":      "",
	"match/a.go":     ours("tree"),
	"exec/a.go":      ours("tree", "match") + useRaft,
	"exec/a_test.go": ours("cmd"),
	"cmd/a.go":       ours("exec", "match"),
	"sys/doc.go":     "",
	"sys/a_test.go":  ours("tree"),
}

var importCases = []struct {
	name         string
	path, source string // a file to add or replace
	from, to     string // text to replace in the page
	want         string // substring of the only finding; "" for none
}{
	{name: "a sound module"},
	{name: "an import that the row does not allow", path: "tree/b.go", source: ours("exec"), want: "tree imports exec"},
	{name: "an import of a test only", path: "tree/b_test.go", source: ours("exec")},
	{name: "of a package that is only tests", path: "sys/b_test.go", source: ours("match"), want: "sys imports match"},
	{name: "a parent's row does not cover its child", path: "match/deep/a.go", source: ours("tree"), want: "match/deep: has no row"},
	{name: "a child is not its parent", path: "match/b.go", source: ours("tree/deep"), want: "match imports tree/deep"},
	{name: "a package without a row", path: "eval/a.go", source: "", want: "eval: has no row"},
	{name: "a row without a package", from: "| ~tree~", to: "| ~gone~ | | | nothing |\n| ~tree~", want: "there is no package gone"},
	{name: "an unused allowance", path: "exec/a.go", source: ours("match") + useRaft, want: "exec may import tree but does not"},
	{name: "a library of others", path: "match/b.go", source: useRaft, want: "match imports example.com/raft/v2"},
	{name: "a library with another's beginning", path: "match/b.go", source: "import _ \"example.com/raft-wal\"\n"},
	{name: "an unused library", path: "exec/a.go", source: ours("tree", "match"), want: "exec may use example.com/raft but does not"},
	{name: "a package that must not be known, indirectly", from: "where sources are", to: "~tree~, for a test", want: "exec: must not know tree"},
	{name: "a package that must not be known, over several imports", from: "| ~exec~ | statements | where sources are | ~match~ ~tree~ |\n| ~cmd~ | the binary | nothing is hidden |",
		to: "| ~exec~ | statements | where sources are | ~match~ ~tree~ |\n| ~cmd~ | the binary | ~tree~ |", want: "cmd → exec → tree"},
}

// TestImportsFind makes each violation in a small module and its page, and checks that it is found.
func TestImportsFind(t *testing.T) {
	for _, c := range importCases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.ReplaceAll(strings.Replace(smallPage, c.from, c.to, 1), "~", "`")
			a, err := ParseArchitecture(text)
			if err != nil {
				t.Fatal(err)
			}
			var files []*File
			sources := maps.Clone(sound)
			if c.path != "" {
				sources[c.path] = c.source
			}
			for path, source := range sources {
				f, err := Parse(path, []byte("package p\n"+source))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, f)
			}
			found := a.Imports(files)
			switch {
			case c.want == "" && len(found) > 0:
				t.Errorf("found %v, want nothing", found)
			case c.want != "" && (len(found) != 1 || !strings.Contains(found[0].String(), c.want)):
				t.Errorf("found %v, want %q alone", found, c.want)
			}
		})
	}
}

func TestArchitectureRefuses(t *testing.T) {
	const libraries = "\n| library | used by |\n|---|---|\n| `x` | `a` |\n"
	for name, page := range map[string]string{
		"no table":               "text",
		"no libraries":           "| package | may import |\n|---|---|\n| `a` | nothing |\n",
		"two packages in a row":  "| package | may import |\n|---|---|\n| `a` `b` | nothing |\n" + libraries,
		"two rows for a package": "| package | may import |\n|---|---|\n| `a` | nothing |\n| `a` | `b` |\n" + libraries,
		"nothing and something":  "| package | must not know | may import |\n|---|---|---|\n| `a` | any other package | `b` |\n" + libraries,
		"an empty cell":          "| package | may import |\n|---|---|\n| `a` | |\n" + libraries,
	} {
		if _, err := ParseArchitecture(page); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
