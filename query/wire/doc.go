// Package wire is the binary form shared by commands, catalog changes, snapshot pages and partial
// answers: varints, length-prefixed bytes and values.
//
// Its nouns: Reader (decodes, with one sticky error) and the Append functions (encode).
//
// It must not know what the bytes mean. A Reader never panics on hostile bytes and never hands out a
// count that the remaining bytes could not hold, so that callers allocate in proportion to the input.
// Start reading at reader.go.
package wire
