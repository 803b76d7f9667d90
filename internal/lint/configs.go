package lint

import (
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
)

// Configs requires the same form of all configurations: a type Config, or one whose name ends in Config, has zero
// values that mean the defaults and a method Validate() error on the value that reports all faults. The
// workloads of bench are exempt, since they are not part of a node.
func Configs(files []*File) []Finding {
	type place struct{ at, name string }
	types := map[string]place{} // by package and name
	valid := map[string]bool{}
	for _, f := range files {
		if f.IsTest() || f.Top() == "bench" || f.Top() == "" {
			continue
		}
		dir := path.Dir(f.Path())
		for _, d := range f.AST.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					t, ok := spec.(*ast.TypeSpec)
					if !ok || d.Tok != token.TYPE || !t.Name.IsExported() || !strings.HasSuffix(t.Name.Name, "Config") {
						continue
					}
					if _, ok := t.Type.(*ast.StructType); ok {
						types[dir+"."+t.Name.Name] = place{f.at(t.Pos()), t.Name.Name}
					}
				}
			case *ast.FuncDecl:
				if d.Recv == nil || d.Name.Name != "Validate" || d.Type.Params.NumFields() > 0 || d.Type.Results.NumFields() != 1 {
					continue
				}
				if of, ok := d.Recv.List[0].Type.(*ast.Ident); ok {
					valid[dir+"."+of.Name] = true
				}
			}
		}
	}
	var found []Finding
	for _, key := range slices.Sorted(maps.Keys(types)) {
		if t := types[key]; !valid[key] {
			found = append(found, Finding{t.at, t.name + " has no method Validate() error on the value",
				"let zero values stand for the defaults (withDefaults), and report all faults together"})
		}
	}
	return found
}
