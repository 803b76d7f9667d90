package lint

import (
	"go/ast"
	"go/token"
	"strings"
)

// Codes demands that an error code is a constant of its table, api/codes or query/tree, wherever one is given or
// compared: as a field called Code, beside one in a comparison, and as an argument for a parameter called code.
func Codes(files []*File) []Finding {
	takes := map[string]map[string]int{} // by directory: functions and which of their parameters is a code
	for _, f := range files {
		if takes[f.Dir] == nil {
			takes[f.Dir] = map[string]int{}
		}
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				if at := codeParameter(fn.Type.Params); at >= 0 {
					takes[f.Dir][fn.Name.Name] = at
				}
			}
		}
	}
	var found []Finding
	for _, f := range files {
		if f.IsTest() {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			for _, e := range codesIn(n, takes[f.Dir]) {
				if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING && lit.Value != `""` {
					found = append(found, Finding{f.at(lit.Pos()), "the error code " + lit.Value + " is a literal",
						"use the constant of api/codes, or of query/tree for a mistake in a statement; a new code needs its line in the table and in docs/API.md"})
				}
			}
			return true
		})
	}
	return found
}

// codeParameter returns which parameter is a string called code, -1 for none.
func codeParameter(params *ast.FieldList) int {
	at := 0
	for _, field := range params.List {
		t, ok := field.Type.(*ast.Ident)
		for _, name := range field.Names {
			if ok && t.Name == "string" && name.Name == "code" {
				return at
			}
			at++
		}
	}
	return -1
}

// codesIn returns the expressions of a node that are error codes.
func codesIn(n ast.Node, takes map[string]int) []ast.Expr {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && strings.EqualFold(key.Name, "code") {
			return []ast.Expr{n.Value}
		}
	case *ast.BinaryExpr:
		if (n.Op == token.EQL || n.Op == token.NEQ) && (isCode(n.X) || isCode(n.Y)) {
			return []ast.Expr{n.X, n.Y}
		}
	case *ast.AssignStmt:
		for i := range n.Lhs {
			if isCode(n.Lhs[i]) && len(n.Rhs) == len(n.Lhs) {
				return n.Rhs[i : i+1]
			}
		}
	case *ast.CallExpr:
		name := ""
		switch fun := n.Fun.(type) {
		case *ast.Ident:
			name = fun.Name
		case *ast.SelectorExpr:
			name = fun.Sel.Name
		}
		if at, ok := takes[name]; ok && at < len(n.Args) {
			return n.Args[at : at+1]
		}
	}
	return nil
}

// isCode reports whether an expression is a field called Code.
func isCode(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Code"
}
