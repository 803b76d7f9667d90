// Package syntax is the text side of MQL: text to tree, tree to canonical text, tree to JSON and
// back, highlighting, completion, and messages for common mistakes.
//
// Its nouns: token (a lexeme with its position), grammar (participle's statement productions), parser
// (the hand-written productions below them: predicates, events, windows), mistake (an error with its
// hint and, where there is only one sensible fix, the edit that makes it), Candidate (a completion).
//
// It must not know what is in a catalog or what type an attribute has: here a name is only text, which
// query/check resolves. Start reading at parse.go, then grammar.go and pred.go.
//
// Participle parses the statements with one token of lookahead. Predicates, events and windows need more
// lookahead or their own hints, so they are hand-written Parseable productions over the same tokens. The
// scanner treats every keyword as a plain word, because almost any word can be a name.
package syntax
