// Package server is Muster's HTTP API: it accepts messages as the usual SDKs send them, answers
// statements and requests for profiles, segments and names, and reports the state of the node.
//
// Its nouns: Server (an http.Handler with its limits), Node (the interfaces of a running node that it
// uses), route (one line of the table that serves and documents), intake (the messages of one request on
// their way into the node), reject (a message that was not accepted). server/decode knows what bytes
// mean, and server/render how answers are written.
//
// It must not know raft, the disk, or how the node computes answers. Start reading at routes.go, whose
// table has every request; then ingest.go and query.go.
package server
