package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

const (
	maxFileLines     = 600
	maxFunctionLines = 70
)

// Rules returns every rule that looks at one file at a time.
func Rules() []func(*File) []Finding {
	return []func(*File) []Finding{Sizes, Names, Calls, Purity, Logs}
}

// Check runs all rules on the files of a module.
func Check(files []*File, a *Architecture) []Finding {
	found := a.Imports(files)
	for _, f := range files {
		for _, rule := range Rules() {
			found = append(found, rule(f)...)
		}
	}
	found = append(append(found, Docs(files)...), Configs(files)...)
	return append(found, Codes(files)...)
}

// Sizes limits the length of files and functions.
func Sizes(f *File) []Finding {
	var found []Finding
	if f.Lines > maxFileLines {
		found = append(found, Finding{f.Path(), fmt.Sprintf("%d lines, more than %d", f.Lines, maxFileLines),
			"split it by noun or by flow into files with clear names"})
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		var name string
		var body *ast.BlockStmt
		switch n := n.(type) {
		case *ast.FuncDecl:
			name, body = n.Name.Name, n.Body
		default:
			return true
		}
		if body == nil {
			return true
		}
		lines := f.Fset.Position(body.End()).Line - f.Fset.Position(n.Pos()).Line + 1
		if lines > maxFunctionLines {
			found = append(found, Finding{f.at(n.Pos()), fmt.Sprintf("function %s has %d lines, more than %d", name, lines, maxFunctionLines),
				"make its steps functions of their own; move a long table out of the function"})
		}
		return true
	})
	return found
}

// Names forbids meaningless file names.
func Names(f *File) []Finding {
	stem := strings.TrimSuffix(strings.TrimSuffix(f.Name, ".go"), "_test")
	bad := slices.Contains([]string{"util", "utils", "helper", "helpers", "common", "misc"}, stem)
	if bad || strings.HasSuffix(stem, "_v2") {
		return []Finding{{f.Path(), "a meaningless file name", "name the file after the noun or the flow in it"}}
	}
	return nil
}

// Docs requires a doc.go in every package, with a package comment that says what a reader needs first.
func Docs(files []*File) []Finding {
	documented := map[string]bool{}
	var dirs []string
	var found []Finding
	for _, f := range files {
		if f.IsTest() {
			continue
		}
		if !slices.Contains(dirs, f.Dir) {
			dirs = append(dirs, f.Dir)
		}
		if f.Name == "doc.go" && f.AST.Doc != nil {
			documented[f.Dir] = true
			text := strings.Join(strings.Fields(f.AST.Doc.Text()), " ")
			for _, part := range []string{"Its nouns", "must not", "Start reading at "} {
				if !strings.Contains(text, part) {
					found = append(found, Finding{f.Path(), "does not say \"" + strings.TrimSpace(part) + "\"", docsHint})
				}
			}
		}
	}
	for _, dir := range dirs {
		if !documented[dir] {
			found = append(found, Finding{dir, "no doc.go with a package comment", docsHint})
		}
	}
	return found
}

const docsHint = "say what the package is, its 3 to 6 nouns, what it must not know, and where to start reading"

// call is a forbidden function; allowed reports whether a file may use it nevertheless.
type call struct {
	pkg, prefix string // import path, and a prefix of the function's name
	allowed     func(*File) bool
	hint        string
}

func nowhere(*File) bool { return false }

func forbiddenCalls() []call {
	inMain := func(f *File) bool { // a test may act as the process it starts
		return f.AST.Name.Name == "main" && f.Name == "main.go" || f.IsTest()
	}
	inCommand := func(f *File) bool { return f.Top() == "cmd" || f.IsTest() }
	return []call{
		{"time", "Sleep", nowhere, "wait for a condition: a channel, a timer in a select with ctx.Done(), testing/synctest in tests"},
		{"os", "Exit", inMain, "return an error; only main may end the process"},
		{"log", "Fatal", nowhere, "return an error; only main may end the process"},
		{"log", "Print", nowhere, "take a *slog.Logger in the Config"},
		{"fmt", "Print", inCommand, "return the text, or take an io.Writer or a *slog.Logger"},
	}
}

// Calls forbids calls that hide waiting, ending the process or printing.
func Calls(f *File) []Finding {
	names := importNames(f)
	var found []Finding
	ast.Inspect(f.AST, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, c := range forbiddenCalls() {
			if names[pkg.Name] == c.pkg && strings.HasPrefix(selector.Sel.Name, c.prefix) && !c.allowed(f) {
				found = append(found, Finding{f.at(n.Pos()), "uses " + pkg.Name + "." + selector.Sel.Name, c.hint})
			}
		}
		return true
	})
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, Finding{f.at(fn.Pos()), "has an init function", "do the work in a constructor"})
		}
	}
	return found
}

// Purity forbids clock, randomness, goroutines, disk, network and loggers in the engine, so that equal
// commands give equal states on every replica.
func Purity(f *File) []Finding {
	if f.Top() != "engine" || f.IsTest() {
		return nil
	}
	const hint = "the engine is deterministic and pure: let the caller do this and pass in the result"
	names := importNames(f)
	var found []Finding
	for _, path := range names {
		if slices.Contains([]string{"math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "os", "net", "net/http"}, path) {
			found = append(found, Finding{f.Path(), "imports " + path, hint})
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, Finding{f.at(n.Pos()), "starts a goroutine", hint})
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
			if ok && names[pkg.Name] == "time" && slices.Contains(clock, n.Sel.Name) {
				found = append(found, Finding{f.at(n.Pos()), "uses time." + n.Sel.Name, hint})
			}
		}
		return true
	})
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return found
}

// importNames maps the names of a file's imports to their paths.
func importNames(f *File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.AST.Imports {
		path := importPath(spec)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = path
	}
	return names
}

func importPath(spec *ast.ImportSpec) string {
	if spec.Path.Kind != token.STRING {
		return ""
	}
	return strings.Trim(spec.Path.Value, "`\"")
}
