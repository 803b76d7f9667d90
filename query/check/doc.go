// Package check resolves a tree against a catalog: names that are known, types that fit, segments
// expanded, dates that were quoted. What it lets through, the evaluators can answer.
//
// Its nouns: checker (one statement being checked), place (what names stand for: attributes, or the
// properties of an event), Diagnostic (of package tree: errors and warnings with their position).
//
// It must not know data nor how predicates are evaluated, and it does not resolve what depends on
// now. Start reading at check.go, then pred.go.
package check
