// Package api is the public contract of a Muster server: the JSON types of its requests and answers, and a
// client. The error codes are in api/codes.
//
// Its nouns: Problem (an error), Answer (the result of a statement), Profile, Segment, Catalog, IngestResult
// (what happened to messages), Client (sends requests over HTTP) and Importer (sends the lines of a file
// with a Client until all are certain).
//
// It is a leaf: it must not depend on the engine, the language or the server, so that it can be imported
// alone. Start reading at client.go; the server's side of every type is in package server.
package api
