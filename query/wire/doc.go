// Package wire is the binary form shared by commands, catalog changes, snapshot pages and partial
// answers: varints, length-prefixed bytes, values and sets.
//
// Its nouns: Reader (decodes, with one sticky error) and the Append functions (encode).
//
// It must not know what the bytes mean. A Reader never panics on hostile bytes and never hands out a
// count that the remaining bytes could not hold, so that callers allocate in proportion to the input. It
// compares no checksum: values of the database, pages of a snapshot and entries of a log have one, which
// whoever reads them compares first.
// Start reading at reader.go.
package wire
