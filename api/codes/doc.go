// Package codes is the table of error codes that a node returns to clients: in a problem, in an answer about
// messages or on a stream. Mistakes in statements have codes of the language, which are in query/tree.
//
// Its nouns: the codes (constants) and Code (a line of the table, with the HTTP status). Start reading at
// codes.go.
//
// It is separate from package api so that code deep in a node can return an error with a code. It must not
// depend on JSON, HTTP beyond the status, or any other package.
package codes
