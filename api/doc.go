// Package api is the public contract of a Muster server: the JSON types of its requests and answers,
// and a client. The error codes are in api/codes.
//
// Its nouns: Problem (what went wrong), Answer (what a statement answers), Profile, Segment,
// Catalog, IngestResult (what became of messages), Client (asks a server over HTTP), Importer (sends the lines of a
// file with it until all are certain).
//
// It is a leaf: it must not know the engine, the language or the server, so that anybody can import
// it alone. Start reading at client.go; the server's side of every type is in package server.
package api
