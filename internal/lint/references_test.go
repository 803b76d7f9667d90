package lint

import (
	"strings"
	"testing"
)

// TestReferencesFind has broken references next to correct ones.
func TestReferencesFind(t *testing.T) {
	doc, err := Parse("store/doc.go", []byte(`// Package store keeps things. Start reading at disk.go, then store/deep/a.go.
package store

// Disk is drawn in docs/disk.md (ADR 1).
type Disk struct{}
`))
	if err != nil {
		t.Fatal(err)
	}
	tested, err := Parse("store/disk_test.go", []byte("package store\nfunc TestDisk() {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, page, comment string
		want                string // substring of the only finding; "" for none
	}{
		{name: "a sound page", page: "# Page\n[disk](disk.md#on-disk-format), [web](https://a.b/c.md), `store/disk.go` beside `deep/a.go` and `disk.go`; ADR 0001.\n"},
		{name: "a link", page: "[disk](disks.md)", want: "page.md:1: links to disks.md"},
		{name: "a heading", page: "[disk](disk.md#off-disk)", want: "links to disk.md#off-disk"},
		{name: "a heading of the same page", page: "# Top\n[up](#top) [down](#bottom)", want: "links to #bottom"},
		{name: "a file", page: "text\n\nsee `store/dusk.go`", want: "page.md:3: names store/dusk.go"},
		{name: "a file of a directory that another paragraph names", page: "`store/disk.go`\n\n`deep.md`", want: "names deep.md"},
		{name: "a file of another row", page: "| `store/disk.go` |\n| `a.go` |", want: "names a.go"},
		{name: "a design document in another repository", page: "as reliability.md says", want: "names reliability.md"},
		{name: "text that is not a reference", page: "`/openapi.json`, `<dir>/a.go`, `*.go`, http://x/y.go, `DESIGN.md`\n```\nnone.go\n```\n"},
		{name: "a decision", page: "decided in ADR 7", want: "names ADR 7"},
		{name: "a directory", page: "`store/shallow`", want: "names store/shallow"},
		{name: "a path outside this module", page: "`other/shallow`"},
		{name: "a name", page: "`store.Disk`, `store.Tape` and `muster.tape`", want: "names store.Tape"},
		{name: "a name that is not exported", page: "`store.tape`", want: "names store.tape"},
		{name: "a name of a package outside this module", page: "`bytes.Buffer`"},
		{name: "a lock", page: "`Disk.mu`, `Tape.mu`", want: "names the lock Tape.mu"},
		{name: "a test", page: "`TestDisk`, `TestTape`", want: "names TestTape"},
		{name: "a target", page: "`make test` `make coffee`", want: "names make coffee"},
		{name: "a run of tests", page: "`go test ./store -run Disk`, `go test ./store -run 'Tape|Punch'`", want: "runs no test"},
		{name: "a comment", comment: "// see tape.go", want: "store/a.go:2: names tape.go"},
		{name: "a decision in a comment", comment: "// why: ADR 12", want: "names ADR 12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse("store/a.go", []byte("package store\n"+c.comment+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			tree := &Tree{
				paths: map[string]bool{"store": true, "store/disk.go": true, "store/deep/a.go": true, "docs": true, "docs/disk.md": true,
					"docs/page.md": true, "docs/adr/0001-record.md": true},
				pages:   map[string]string{"docs/page.md": c.page, "docs/disk.md": "## On-disk format\n"},
				targets: map[string]bool{"test": true},
			}
			files := []*File{doc, tested, f}
			tree.declare(files)
			found := tree.References(files)
			switch {
			case c.want == "" && len(found) > 0:
				t.Errorf("found %v, want nothing", found)
			case c.want != "" && (len(found) != 1 || !strings.Contains(found[0].String(), c.want)):
				t.Errorf("found %v, want %q alone", found, c.want)
			}
		})
	}
}
