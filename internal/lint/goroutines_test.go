package lint

import (
	"strings"
	"testing"
)

// TestGoroutinesFind has goroutines without rows and rows without goroutines.
func TestGoroutinesFind(t *testing.T) {
	const page = "| goroutine | started by |\n|---|---|\n| run | `a.T.Start` |\n\nText.\n\n| goroutine | started by |\n|---|---|\n| wait | `a.wait` |\n"
	const sound = "func (t *T) Start() { go t.run() }\nfunc wait() { var w group; w.Go(func() {}) }\n"
	for _, c := range []struct{ name, path, source, page, want string }{
		{name: "all have rows", page: page},
		{name: "one more", path: "b/b.go", source: "func f() { go f() }", page: page, want: "b/b.go:2: starts a goroutine"},
		{name: "in a test", path: "b/b_test.go", source: "func f() { go f() }", page: page},
		{name: "in a benchmark", path: "bench/b.go", source: "func f() { go f() }", page: page},
		{name: "a row for none", page: strings.Replace(page, "`a.wait`", "`a.wait` `a.rest`", 1), want: "started by a.rest"},
		{name: "a row is gone", page: strings.Replace(page, "`a.wait`", "", 1), want: "no row started by `a.wait`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sources := map[string]string{"a/a.go": sound}
			if c.path != "" {
				sources[c.path] = c.source
			}
			var files []*File
			for path, source := range sources {
				f, err := Parse(path, []byte("package p\n"+source+"\n"))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, f)
			}
			found := (&Tree{pages: map[string]string{ConcurrencyPage: c.page}}).Goroutines(files)
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.Contains(found[0].String(), c.want)) {
				t.Errorf("found %v, want %q", found, c.want)
			}
		})
	}
}
