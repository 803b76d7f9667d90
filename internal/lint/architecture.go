package lint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ArchitecturePage is the page whose two tables are the import rules of the module.
const ArchitecturePage = "docs/ARCHITECTURE.md"

// Architecture is the content of docs/ARCHITECTURE.md: every package with the packages it may import and
// those it must not know, and the libraries that only some packages may use.
type Architecture struct {
	packages  map[string]packageRow
	libraries map[string][]string // by prefix of import paths: the packages that may use it
}

// packageRow is one row of the table of packages.
type packageRow struct {
	imports []string // packages of this module
	all     bool     // it may import everything
	unknown []string // packages that it must not reach, directly or indirectly
}

var code = regexp.MustCompile("`([^`]+)`")

// ParseArchitecture reads the tables of the page.
func ParseArchitecture(page string) (*Architecture, error) {
	a := &Architecture{packages: map[string]packageRow{}, libraries: map[string][]string{}}
	for _, row := range rows(page, "package") {
		names := quoted(row["package"])
		if len(names) != 1 {
			return nil, fmt.Errorf("%s: %q is not one package in backticks", ArchitecturePage, row["package"])
		}
		if _, twice := a.packages[names[0]]; twice {
			return nil, fmt.Errorf("%s: %s has two rows", ArchitecturePage, names[0])
		}
		r := packageRow{imports: quoted(row["may import"]), all: row["may import"] == "everything"}
		if len(r.imports) == 0 && !r.all && row["may import"] != "nothing" {
			return nil, fmt.Errorf("%s: %s may import %q; write packages in backticks, nothing or everything", ArchitecturePage, names[0], row["may import"])
		}
		r.unknown = quoted(row["must not know"])
		if strings.Contains(row["must not know"], "any other package") && (r.all || len(r.imports) > 0) {
			return nil, fmt.Errorf("%s: %s must not know any other package, and may import %s", ArchitecturePage, names[0], row["may import"])
		}
		a.packages[names[0]] = r
	}
	for _, row := range rows(page, "library") {
		for _, name := range quoted(row["library"]) {
			a.libraries[name] = quoted(row["used by"])
		}
	}
	if len(a.packages) == 0 || len(a.libraries) == 0 {
		return nil, fmt.Errorf("%s: no table with a column %q, or none with a column %q", ArchitecturePage, "package", "library")
	}
	return a, nil
}

// rows returns the rows of the first table whose first column is called first, as maps from column name to cell.
func rows(page, first string) []map[string]string {
	var columns []string
	var found []map[string]string
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if columns != nil {
				return found
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case columns == nil && cells[0] == first:
			columns = cells
		case columns != nil && strings.Trim(cells[0], "-:") != "":
			row := map[string]string{}
			for i, c := range columns {
				if i < len(cells) {
					row[c] = cells[i]
				}
			}
			found = append(found, row)
		}
	}
	return found
}

func quoted(cell string) []string {
	var names []string
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		names = append(names, m[1])
	}
	return names
}

// Imports compares the imports of every file with the tables: each package has a row, imports only what its row
// allows, and uses everything that its row allows. Tests may import more, except in a package that has only
// tests.
func (a *Architecture) Imports(files []*File) []Finding {
	onlyTests := map[string]bool{}
	for _, f := range files {
		if only, seen := onlyTests[f.Dir]; f.Name != "doc.go" {
			onlyTests[f.Dir] = f.IsTest() && (only || !seen)
		}
	}
	var found []Finding
	edges := map[string][]string{} // from a package to the packages it imports
	users := map[string][]string{} // from a library to the packages that use it
	for _, f := range files {
		if _, seen := edges[f.Dir]; !seen {
			edges[f.Dir] = nil
		}
		if f.IsTest() && !onlyTests[f.Dir] {
			continue
		}
		for _, spec := range f.AST.Imports {
			path := importPath(spec)
			if inside, ours := strings.CutPrefix(path, Module+"/"); ours {
				edges[f.Dir] = append(edges[f.Dir], inside)
				found = append(found, a.inside(f, f.at(spec.Pos()), inside)...)
				continue
			}
			if library := a.library(path); library != "" && !f.IsTest() {
				users[library] = append(users[library], f.Dir)
				found = append(found, a.outside(f, f.at(spec.Pos()), path, library)...)
			}
		}
	}
	found = append(found, a.missing(edges)...)
	found = append(found, a.unused(edges, users)...)
	return append(found, a.reached(edges)...)
}

func (a *Architecture) inside(f *File, where, target string) []Finding {
	r, known := a.packages[f.Dir]
	if !known || r.all || slices.Contains(r.imports, target) {
		return nil
	}
	return []Finding{{where, f.Dir + " imports " + target,
		"its row in " + ArchitecturePage + " allows " + orNothing(r.imports) + "; define an interface here and let cmd fill it, or change the row if the architecture is to change"}}
}

// library returns the longest row of the table of libraries that path falls under.
func (a *Architecture) library(path string) string {
	var best string
	for name := range a.libraries {
		if (path == name || strings.HasPrefix(path, name+"/")) && len(name) > len(best) {
			best = name
		}
	}
	return best
}

func (a *Architecture) outside(f *File, where, path, library string) []Finding {
	users := a.libraries[library]
	if slices.Contains(users, f.Dir) {
		return nil
	}
	return []Finding{{where, f.Dir + " imports " + path,
		ArchitecturePage + " leaves it to " + orNothing(users) + "; take what you need through an interface"}}
}

// missing finds packages without a row, and rows without a package.
func (a *Architecture) missing(edges map[string][]string) []Finding {
	var found []Finding
	for _, dir := range slices.Sorted(maps.Keys(edges)) {
		if _, known := a.packages[dir]; !known {
			found = append(found, Finding{dir, "has no row in " + ArchitecturePage,
				"say there what it is, what it must not know and what it may import"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.packages)) {
		if _, exists := edges[name]; !exists {
			found = append(found, Finding{ArchitecturePage, "there is no package " + name, "remove its row"})
		}
	}
	return found
}

// unused finds what a row allows but nothing needs.
func (a *Architecture) unused(edges, users map[string][]string) []Finding {
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(a.packages)) {
		for _, allowed := range a.packages[name].imports {
			if _, exists := edges[name]; exists && !slices.Contains(edges[name], allowed) {
				found = append(found, Finding{ArchitecturePage, name + " may import " + allowed + " but does not",
					"remove " + allowed + " from its row"})
			}
		}
	}
	for _, library := range slices.Sorted(maps.Keys(a.libraries)) {
		for _, user := range a.libraries[library] {
			if !slices.Contains(users[library], user) {
				found = append(found, Finding{ArchitecturePage, user + " may use " + library + " but does not",
					"remove " + user + " from the row of the library"})
			}
		}
	}
	return found
}

// reached finds packages that reach, directly or indirectly, a package they must not know.
func (a *Architecture) reached(edges map[string][]string) []Finding {
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(a.packages)) {
		for _, unknown := range a.packages[name].unknown {
			if way := pathTo(edges, name, unknown); way != nil {
				found = append(found, Finding{name, "must not know " + unknown + " and imports it: " + strings.Join(way, " → "),
					"move what is needed into a package that both may know"})
			}
		}
	}
	return found
}

// pathTo returns the shortest chain of imports from one package to another, nil if there is none.
func pathTo(edges map[string][]string, from, to string) []string {
	cameFrom := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range edges[queue[0]] {
			if _, seen := cameFrom[next]; seen {
				continue
			}
			cameFrom[next] = queue[0]
			if next != to {
				queue = append(queue, next)
				continue
			}
			way := []string{to}
			for at := queue[0]; at != ""; at = cameFrom[at] {
				way = append(way, at)
			}
			slices.Reverse(way)
			return way
		}
	}
	return nil
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
