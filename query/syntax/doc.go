// Package syntax is the text side of MQL: text to tree, tree to canonical text, tree to JSON and
// back, highlighting, completion, and the messages for what people write by mistake.
//
// Its nouns: token (a lexeme with its place), grammar (participle's statement productions), parser
// (the hand-written productions below them: predicates, events, windows), mistake (what is wrong,
// with its hint and, where one is certain, the edit that mends it), Candidate (a completion).
//
// It must not know what a catalog holds, nor what an attribute's type is: names are only spelled
// here and resolved in query/check. Start reading at parse.go, then grammar.go and pred.go.
//
// Participle parses the statements with one token of lookahead. What depends on more than that, or
// needs a hint of its own (predicates, events, windows), are Parseable productions over the same
// tokens. All keywords are plain words to the scanner, because nearly every word may be a name.
package syntax
