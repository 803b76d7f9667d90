// Package render writes answers of the language: as JSON, CSV, NDJSON and Parquet.
//
// Its nouns: Format (one of the four), Rows (what a table is made of, row by row).
//
// It must not know HTTP, nor how an answer was reached. Start reading at json.go, which says how each
// value is written.
package render
