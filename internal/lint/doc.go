// Package lint holds the house rules as code: how long files and functions may be, which calls are
// forbidden where, that every package says what it is, and that packages import each other as
// docs/ARCHITECTURE.md says. Its test runs the rules over this module, so that `go test ./internal/lint`
// (part of `make check`) fails with a hint where a rule is broken.
//
// Its nouns: File (one parsed Go file and the package directory it stands in), Finding (what is
// wrong, where, and what to do), rule (a function from a File to Findings), Architecture (the tables of
// docs/ARCHITECTURE.md, which are the import rules).
//
// It must not know what the packages do; it reads names and sizes only. Start reading at rules.go, then
// architecture.go.
package lint
