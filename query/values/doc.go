// Package values decides what does not depend on how profiles are searched: whether a string matches
// a text form, and which part of a sample an id falls into.
//
// Its nouns: Matcher (a compiled text form), Share (the part of a sample). It must not know profiles,
// columns or time. Start reading at text.go.
package values
