package lint

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// ConcurrencyPage is the page that lists the goroutines of Muster.
const ConcurrencyPage = "docs/CONCURRENCY.md"

// Goroutines compares the page with the code: each function that starts a goroutine (a go statement, or a
// call of a method Go) must be named in the column "started by", and each function named there must start
// one. Tests and benchmarks are exempt.
func (t *Tree) Goroutines(files []*File) []Finding {
	const hint = "say in its row what it does, who owns it and what ends it"
	listed := map[string]bool{} // name in the page → whether the function starts one
	page := t.pages[ConcurrencyPage]
	for found := true; found; {
		var table []map[string]string
		table, page, found = nextTable(page, "goroutine")
		for _, row := range table {
			for _, name := range quoted(row["started by"]) {
				listed[name] = false
			}
		}
	}
	var found []Finding
	for _, f := range files {
		if f.IsTest() || f.Top() == "bench" || f.Top() == "internal" {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !starts(fn) {
				continue
			}
			name := f.Dir + "." + receiver(fn) + fn.Name.Name
			if _, known := listed[name]; !known {
				found = append(found, Finding{f.at(fn.Pos()), fmt.Sprintf("starts a goroutine, but %s has no row started by `%s`", ConcurrencyPage, name), hint})
			}
			listed[name] = true
		}
	}
	for name, does := range listed {
		if !does {
			found = append(found, Finding{ConcurrencyPage, "no goroutine is started by " + name, "remove it, or name the function that starts it now"})
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return found
}

// nextTable returns the rows of the next table whose first column is called first, and the page after it.
func nextTable(page, first string) (table []map[string]string, rest string, found bool) {
	at := strings.Index(page, "| "+first+" |")
	if at < 0 {
		return nil, "", false
	}
	page = page[at:]
	rest = ""
	if end := strings.Index(page, "\n\n"); end >= 0 {
		page, rest = page[:end], page[end:]
	}
	return rows(page, first), rest, true
}

func starts(fn *ast.FuncDecl) (yes bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			yes = true
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" && len(n.Args) == 1 {
				yes = true
			}
		}
		return !yes
	})
	return yes
}

// receiver returns the type of a method followed by a dot, "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}
