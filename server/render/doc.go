// Package render writes answers of the language as JSON, CSV, NDJSON and Parquet, and changes in the
// formats of their receivers.
//
// Its nouns: Format (one of those four), Rows (an iterator over the rows of a table), Change (a profile
// that entered or left a segment), ChangeFormat (how a change is written).
//
// It must not know HTTP, nor how an answer was computed. Start reading at json.go, which says how each
// value is written.
package render
