// Package codes is the table of error codes: what every error says that leaves a node, in a problem, in an answer
// about messages or on a stream. Mistakes in statements have codes of the language's own, which query/tree has.
//
// Its nouns: the code (a constant) and Code (its line in the table, with the HTTP status). Start reading at codes.go.
//
// It stands apart from package api so that code deep in a node can return an error with a code. It must not know
// JSON, HTTP beyond the status, or any other package.
package codes
