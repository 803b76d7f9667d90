package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Module is the prefix of the import paths of this module.
const Module = "github.com/musterdb/muster"

// File is one Go file of the module. Dir is the directory of its package and Name its base name, both with
// slashes and relative to the module ("" is the module's own directory).
type File struct {
	Dir   string
	Name  string
	Lines int
	Fset  *token.FileSet
	AST   *ast.File
}

// Finding is one violation of a rule.
type Finding struct {
	Where string // file, or file:line
	What  string
	Hint  string
}

// String prints the finding with its hint on a second line.
func (f Finding) String() string { return f.Where + ": " + f.What + "\n    hint: " + f.Hint }

// Path returns the file's path relative to the module.
func (f *File) Path() string { return path.Join(f.Dir, f.Name) }

// IsTest reports whether the file is compiled only for tests.
func (f *File) IsTest() bool { return strings.HasSuffix(f.Name, "_test.go") }

// Top returns the first part of the directory.
func (f *File) Top() string {
	top, _, _ := strings.Cut(f.Dir, "/")
	return top
}

func (f *File) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", f.Path(), f.Fset.Position(p).Line)
}

// Parse parses a Go source text as the file at name, relative to the module.
func Parse(name string, source []byte) (*File, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	dir := path.Dir(name)
	if dir == "." {
		dir = ""
	}
	lines := bytes.Count(source, []byte("\n"))
	return &File{Dir: dir, Name: path.Base(name), Lines: lines, Fset: fset, AST: syntax}, nil
}

// Load parses every Go file below root, except those that Go itself leaves out (testdata, vendor, hidden
// directories) and nested modules.
func Load(root string) ([]*File, error) {
	var files []*File
	walk := func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipDir(root, name, entry.Name())
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		file, err := Parse(filepath.ToSlash(relative), source)
		if err != nil {
			return err
		}
		files = append(files, file)
		return nil
	}
	if err := filepath.WalkDir(root, walk); err != nil {
		return nil, fmt.Errorf("load %s: %w", root, err)
	}
	return files, nil
}

func skipDir(root, name, base string) error {
	if name == root {
		return nil
	}
	if base == "testdata" || base == "vendor" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}
