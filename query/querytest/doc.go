// Package querytest judges implementations of MQL: a slow and obvious oracle, random histories and
// predicates to disagree about, and acceptance scripts with answers worked out by hand.
//
// Its nouns: History (who exists, what they did), Oracle (the meaning of a predicate or statement,
// read straight from docs/QUERY.md), Gen (random histories, predicates and statements), Source
// and Schema (a history behind the query interfaces, in deliberately varied encodings), Engine and
// Script (the acceptance suite, for any implementation).
//
// It must not know how the other evaluators work: it shares values and trees with them and nothing
// else; its calendar, sums and searches are its own. Start reading at history.go, then oracle.go.
package querytest
