package lint

import (
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Tree is everything that references may name: the paths of the repository, its Markdown pages, the targets
// of its Makefile and the names that its packages declare.
type Tree struct {
	paths    map[string]bool   // files and directories, with slashes
	pages    map[string]string // the text of each Markdown page
	targets  map[string]bool
	declared map[string]map[string]bool // by directory: the names at the top level of its files, tests included
}

// LoadTree reads the repository at root.
func LoadTree(root string, files []*File) (*Tree, error) {
	t := &Tree{paths: map[string]bool{}, pages: map[string]string{}, targets: map[string]bool{}}
	walk := func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() && name != root && (base == "node_modules" || strings.HasPrefix(base, ".")) {
			return filepath.SkipDir
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		t.paths[relative] = true
		if path.Ext(relative) != ".md" && relative != "Makefile" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if relative != "Makefile" {
			t.pages[relative] = string(text)
			return nil
		}
		for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(string(text), -1) {
			t.targets[m[1]] = true
		}
		return nil
	}
	if err := filepath.WalkDir(root, walk); err != nil {
		return nil, fmt.Errorf("load %s: %w", root, err)
	}
	t.declare(files)
	return t, nil
}

func (t *Tree) declare(files []*File) {
	t.declared = map[string]map[string]bool{}
	for _, f := range files {
		names := t.declared[f.Dir]
		if names == nil {
			names = map[string]bool{}
			t.declared[f.Dir] = names
		}
		for _, d := range f.AST.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				names[d.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						names[spec.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							names[n.Name] = true
						}
					}
				}
			}
		}
	}
}

// References finds references in pages and comments to things that do not exist: links, files, packages,
// names and tests of this module, make targets, and decisions by number. Names count if a page writes them
// as `package.name`, except for `muster.`, which begins names of the binary.
func (t *Tree) References(files []*File) []Finding {
	var found []Finding
	for name, text := range t.pages {
		found = append(found, t.links(name, text)...)
		for _, p := range paragraphs(text) {
			for _, what := range append(t.named(path.Dir(name), wholeLink.ReplaceAllString(p.text, "")), t.spans(p.text)...) {
				found = append(found, Finding{fmt.Sprintf("%s:%d", name, p.line), what, referenceHint})
			}
		}
	}
	for _, f := range files {
		for _, group := range f.AST.Comments {
			for _, what := range t.named(f.Dir, group.Text()) {
				found = append(found, Finding{f.at(group.Pos()), what, referenceHint})
			}
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return found
}

const referenceHint = "name something in this repository by its current name; give a file with its path from the root, or next to a path into its directory"

type paragraph struct {
	line int
	text string
}

// paragraphs splits a page at empty lines, at list items and at table rows, and leaves out code blocks.
func paragraphs(text string) []paragraph {
	var found []paragraph
	fenced, open := false, false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") {
			fenced, open = !fenced, false
			continue
		}
		if fenced || trimmed == "" {
			open = false
			continue
		}
		if !open || startsItem.MatchString(trimmed) {
			found = append(found, paragraph{line: i + 1})
		}
		open = true
		last := &found[len(found)-1]
		last.text += line + "\n"
	}
	return found
}

var (
	startsItem  = regexp.MustCompile(`^(\||[-*] |[0-9]+\. |#)`)
	wholeLink   = regexp.MustCompile(`\[[^\]]*\]\([^)\s]+\)`)
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fileName    = regexp.MustCompile(`(^|[^\w./<>*$-])((?:[\w.-]+/)*[\w-]+\.(?:go|md|s|txt))\b`)
	decision    = regexp.MustCompile(`\bADRs? (\d+)`)
	pathSpan    = regexp.MustCompile(`^(?:\./)?([a-z]\w*(?:/[\w.-]+)+)/?$`)
	nameSpan    = regexp.MustCompile(`^([a-z]\w*(?:/\w+)*)\.([A-Za-z]\w*)`)
	lockSpan    = regexp.MustCompile(`^(\w+)\.mu$`)
	testSpan    = regexp.MustCompile(`^(?:Test|Benchmark|Fuzz)[A-Z]\w*$`)
	makeSpan    = regexp.MustCompile(`^make ([a-z][a-z-]*)`)
	goTestSpan  = regexp.MustCompile(`go test .*\./([\w/]+) .*-run '?([\w|$\\]+)`)
	schemeStart = regexp.MustCompile(`^[a-z]+:`)
)

// links checks the links of a page, including those to headings of other pages.
func (t *Tree) links(name, text string) []Finding {
	var found []Finding
	for i, line := range strings.Split(text, "\n") {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
			if schemeStart.MatchString(m[1]) {
				continue
			}
			target, anchor, _ := strings.Cut(m[1], "#")
			where := name
			if target != "" {
				where = path.Join(path.Dir(name), target)
			}
			page, isPage := t.pages[where]
			if !t.paths[where] || anchor != "" && isPage && !slices.Contains(anchors(page), anchor) {
				found = append(found, Finding{fmt.Sprintf("%s:%d", name, i+1), "links to " + m[1] + ", which does not exist", referenceHint})
			}
		}
	}
	return found
}

// anchors returns the headings of a page in the form that links use.
func anchors(page string) []string {
	var found []string
	for line := range strings.Lines(page) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		var b strings.Builder
		for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				b.WriteRune(r)
			}
		}
		found = append(found, b.String())
	}
	return found
}

// named returns findings for files and decisions that a text names but that do not exist. A file without its path
// may be in dir, at the root, or in a directory that the text names.
func (t *Tree) named(dir, text string) []string {
	dirs := []string{dir, "."}
	for _, word := range regexp.MustCompile(`[\w./-]+`).FindAllString(text, -1) {
		word = strings.Trim(word, "./")
		if d := path.Dir(word); path.Ext(word) == "" && t.paths[word] {
			dirs = append(dirs, word)
		} else if d != "." && t.paths[word] {
			dirs = append(dirs, d)
		}
	}
	var missing []string
	for _, m := range fileName.FindAllStringSubmatch(text, -1) {
		if m[2] == "doc.go" || m[2] == "DESIGN.md" {
			continue // every package may have one
		}
		if !slices.ContainsFunc(dirs, func(d string) bool { return t.paths[path.Join(d, m[2])] }) {
			missing = append(missing, "names "+m[2]+", which does not exist")
		}
	}
	for _, m := range decision.FindAllStringSubmatch(text, -1) {
		number := fmt.Sprintf("docs/adr/%04s-", m[1])
		there := false
		for p := range t.paths {
			there = there || strings.HasPrefix(p, number)
		}
		if !there {
			missing = append(missing, "names ADR "+m[1]+", which is not in docs/adr")
		}
	}
	return missing
}

// spans returns findings for the code spans of a text that name something that does not exist.
func (t *Tree) spans(text string) []string {
	var missing []string
	for _, span := range quoted(text) {
		switch {
		case t.packages(packageOf(span)) != nil:
			if m := nameSpan.FindStringSubmatch(span); m[1] != "muster" && !t.declares(t.packages(m[1]), m[2]) {
				missing = append(missing, "names "+span+", which package "+m[1]+" does not have")
			}
		case pathSpan.MatchString(span):
			p := pathSpan.FindStringSubmatch(span)[1]
			if top, _, _ := strings.Cut(p, "/"); t.paths[top] && !t.paths[p] && !fileName.MatchString(p) {
				missing = append(missing, "names "+span+", which does not exist")
			}
		case lockSpan.MatchString(span):
			if m := lockSpan.FindStringSubmatch(span); !t.declares(slices.Collect(maps.Keys(t.declared)), m[1]) {
				missing = append(missing, "names the lock "+span+", which no type has")
			}
		case testSpan.MatchString(span):
			if !t.declares(slices.Collect(maps.Keys(t.declared)), span) {
				missing = append(missing, "names "+span+", which no package has")
			}
		case makeSpan.MatchString(span):
			if m := makeSpan.FindStringSubmatch(span); !t.targets[m[1]] {
				missing = append(missing, "names "+span+", which the Makefile does not have")
			}
		case goTestSpan.MatchString(span):
			m := goTestSpan.FindStringSubmatch(span)
			if !t.runs(m[1], m[2]) {
				missing = append(missing, "names "+span+", which runs no test")
			}
		}
	}
	return missing
}

// packageOf returns the part before the name in a span such as engine.View, "" for other spans.
func packageOf(span string) string {
	if m := nameSpan.FindStringSubmatch(span); m != nil {
		return m[1]
	}
	return ""
}

// packages returns the directories of a package, given its path or the last part of it.
func (t *Tree) packages(name string) []string {
	var dirs []string
	for dir := range t.declared {
		if dir == name || path.Base(dir) == name {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func (t *Tree) declares(dirs []string, name string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return t.declared[d][name] })
}

func (t *Tree) runs(dir, pattern string) bool {
	tests, err := regexp.Compile(strings.ReplaceAll(pattern, `\|`, "|"))
	if err != nil {
		return false
	}
	for name := range t.declared[dir] {
		if strings.HasPrefix(name, "Test") && tests.MatchString(name) {
			return true
		}
	}
	return false
}
