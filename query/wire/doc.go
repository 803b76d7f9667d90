// Package wire is the binary encoding shared by commands, catalog changes, snapshot pages and partial
// answers: varints, length-prefixed bytes, values and sets.
//
// Its nouns: Reader (decodes, with one sticky error) and the Append functions (encode).
//
// It must not know what the bytes mean. A Reader never panics on hostile bytes. It never returns a
// count that the remaining bytes could not contain, so callers allocate in proportion to the input. It
// checks no checksums: values of the database, pages of a snapshot and entries of a log have them, and
// their readers check them first. Start reading at reader.go.
package wire
