// Package querytest tests implementations of MQL. It has a slow and simple oracle, generators of random
// histories and predicates to compare with it, and acceptance scripts with answers worked out by hand.
//
// Its nouns: History (profiles and their events), Oracle (the meaning of a predicate or statement, taken
// directly from docs/QUERY.md), Gen (random histories, predicates and statements), Source and Schema (a
// history as query interfaces, in random encodings), Engine and Script (the acceptance suite, for any
// implementation).
//
// It must not know how the other evaluators work. It shares only values and trees with them, and has its
// own calendar, sums and searches. Start reading at history.go, then oracle.go.
package querytest
