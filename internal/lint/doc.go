// Package lint checks the house rules: the length of files and functions, which calls are forbidden where, that
// every package documents what it is, that the docs match the code, and that packages import each other as
// docs/ARCHITECTURE.md says. Its test runs the rules on this module, so that `go test ./internal/lint` (part of
// `make check`) fails with a hint if a rule is broken.
//
// Its nouns: File (one parsed Go file and the directory of its package), Finding (what is wrong, where, and what
// to do), rule (a function from a File to Findings), Architecture (the tables of docs/ARCHITECTURE.md, which
// are the import rules).
//
// It must not depend on what the packages do; it reads only names and sizes. Start reading at rules.go, then
// architecture.go.
package lint
