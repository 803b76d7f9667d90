// Command muster is the one binary: it serves a node, and it is the client that imports, asks,
// exports and looks after segments.
//
// Its nouns: app (one run of the command with its streams), a command (one file each, named after
// it: serve.go, import.go, query.go, …), nodeProcess (a node with its listener and its locked
// directory, from start to stop).
//
// Only this package knows all others. Each command but serve, demo and check speaks HTTP through
// package api and must not know what is behind it. Start reading at main.go, then app.go.
package main
