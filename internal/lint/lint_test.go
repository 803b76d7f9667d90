package lint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestHouse applies the house rules to this module.
func TestHouse(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("find the module: %v", err)
	}
	files, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go files found")
	}
	for _, f := range Check(files, architecture(t, root)) {
		t.Error(f)
	}
	tree, err := LoadTree(root, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range slices.Concat(tree.References(files), tree.Decisions(), tree.Goroutines(files)) {
		t.Error(f)
	}
}

func architecture(t *testing.T, root string) *Architecture {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(ArchitecturePage)))
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseArchitecture(string(page))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestRulesFind gives each rule a file that breaks it and one that does not.
func TestRulesFind(t *testing.T) {
	long := strings.Repeat("\t_ = 1\n", maxFunctionLines)
	cases := []struct {
		name, path, source string
		want               string // substring of the finding; "" for none
	}{
		{"no clock in engine", "engine/a.go", "import \"time\"\nvar _ = time.Now", "uses time.Now"},
		{"durations in engine", "engine/a.go", "import \"time\"\nvar _ = time.Second", ""},
		{"no goroutine in engine", "engine/a.go", "func f() { go f() }", "starts a goroutine"},
		{"no sleep in tests", "api/a_test.go", "import \"time\"\nfunc f() { time.Sleep(1) }", "uses time.Sleep"},
		{"no exit in a library", "cmd/muster/a.go", "import \"os\"\nfunc f() { os.Exit(1) }", "uses os.Exit"},
		{"no printing in a library", "server/a.go", "import \"fmt\"\nfunc f() { fmt.Println() }", "uses fmt.Println"},
		{"a renamed import is seen", "server/a.go", "import f \"fmt\"\nfunc g() { f.Println() }", "uses f.Println"},
		{"no init", "server/a.go", "func init() {}", "init function"},
		{"a method called init is allowed", "server/a.go", "type t int\nfunc (t) init() {}", ""},
		{"long function", "server/a.go", "func f() {\n" + long + "}", "function f has 72 lines"},
		{"long file", "server/a.go", strings.Repeat("\n", maxFileLines+1), "lines, more than 600"},
		{"meaningless file name", "server/helpers_test.go", "", "meaningless"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file, err := Parse(c.path, []byte("package p\n"+c.source+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, rule := range Rules() {
				for _, f := range rule(file) {
					found = append(found, f.String())
				}
			}
			got := strings.Join(found, "\n")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestDocsFind(t *testing.T) {
	const whole = "// Package b is documented.\n//\n// Its nouns: B.\n//\n// It must not know a. Start reading at\n// b.go.\npackage b\n"
	for _, c := range []struct{ path, source, want string }{
		{"b/doc.go", whole, ""},
		{"b/b.go", "package b\n", "b: no doc.go with a package comment"},
		{"b/doc.go", strings.Replace(whole, "Its nouns: B.", "It has B.", 1), `b/doc.go: does not say "Its nouns"`},
		{"b/doc.go", strings.Replace(whole, "It must not know a.", "", 1), `b/doc.go: does not say "must not"`},
		{"b/doc.go", strings.Replace(whole, "Start reading at", "See", 1), `b/doc.go: does not say "Start reading at"`},
	} {
		f, err := Parse(c.path, []byte(c.source))
		if err != nil {
			t.Fatal(err)
		}
		found := Docs([]*File{f})
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.HasPrefix(found[0].String(), c.want+"\n")) {
			t.Errorf("%q: found %v, want %q", c.source, found, c.want)
		}
	}
}

func TestCodesFind(t *testing.T) {
	for source, want := range map[string]int{
		"var a = E{Code: \"x\"}": 1,
		"var a = E{Code: x}":     0,
		"func f(e E) bool { return e.Code == \"x\" || e.Code == \"\" }": 1,
		"func f(e *E) { e.Code = \"x\" }":                               1,
		"func f(at int, code string) {}\nfunc g() { f(1, \"x\") }":      1,
		"func f(at int, code string) {}\nfunc g() { f(1, x) }":          0,
		"func f(codes string) {}\nfunc g() { f(\"x\") }":                0,
	} {
		file, err := Parse("a/a.go", []byte("package a\n"+source+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if found := Codes([]*File{file}); len(found) != want {
			t.Errorf("%s: found %v, want %d", source, found, want)
		}
	}
}
