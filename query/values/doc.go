// Package values has the conditions on single values that all evaluators share: whether a string matches a
// text form, and whether an id is in a share of a sample.
//
// Its nouns: Matcher (a compiled text form), Share (a part of a sample). It must not know profiles,
// columns or time. Start reading at text.go.
package values
