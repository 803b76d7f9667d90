// Package load reads files of events and profiles and sends their lines to a node in file order. An
// import that failed can be run again: no line is counted twice.
//
// Its nouns: Plan (what the columns of a file mean), input (how the bytes of a file become lines),
// Batch (the next lines, encoded as NDJSON, and the lines that were rejected before sending), Report
// (the outcome of all lines). An api.Importer sends the batches.
//
// A line is identified by its file's identity and its line number, never by its content; see open.go.
//
// It must not know the terminal, the command line or the node's insides; it only calls POST /v1/events.
// Start reading at run.go, then plan.go and csv.go.
package load
