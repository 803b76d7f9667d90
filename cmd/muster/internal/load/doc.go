// Package load reads files of events and profiles and sends them to a node, in the order of their
// lines, so that it can be run again after anything went wrong without counting a line twice.
//
// Its nouns: Plan (what the columns of a file mean), Format and input (how its bytes become lines),
// Batch (the next stretch of lines, encoded as NDJSON, with the lines that were refused before
// sending), Report (what became of all lines). An api.Importer sends the batches.
//
// A line is known by the file's identity and its number, never by its content; see open.go.
//
// It must not know the terminal, the command line or the node's insides; it speaks POST /v1/events.
// Start reading at run.go, then plan.go and csv.go.
package load
