// Package check resolves a tree against a catalog: it looks up names, checks types, expands segments, and
// turns quoted dates that are compared with times into dates. The evaluators can answer every statement that
// it accepts.
//
// Its nouns: checker (the check of one statement), place (what names refer to: attributes, or the
// properties of an event), Diagnostic (of package tree: an error or warning with its position).
//
// It must not know data, nor how predicates are evaluated, and it does not resolve what depends on the
// current time. Start reading at check.go, then pred.go.
package check
