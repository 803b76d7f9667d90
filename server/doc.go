// Package server is Muster over HTTP: it takes messages as the usual SDKs send them, answers
// statements and questions about profiles, segments and names, and tells how the node is.
//
// Its nouns: Server (an http.Handler with its limits), Node (what it needs of a running node), route
// (one line of the table that serves and documents), intake (messages of one request on their way
// into the node), reject (a message that could not be taken). What bytes mean is in server/decode,
// how answers are written in server/render.
//
// It must not know raft, the disk, or how the node answers. Start reading at routes.go: everything
// that can be asked is in that table; then ingest.go and query.go.
package server
