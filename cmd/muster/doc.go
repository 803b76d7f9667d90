// Command muster is the only binary. It serves a node, and it is the client that imports, queries,
// exports and manages segments.
//
// Its nouns: app (one run of the command with its streams), a command (one file each, named after
// it: serve.go, import.go, query.go, …), nodeProcess (a running node with its listener and its locked
// directory).
//
// Only this package knows all others. The commands that work on a data directory (serve, demo, check,
// repair and segment drop --offline) use them; all other commands speak HTTP through package api and must
// not know how the node answers. Start reading at main.go, then app.go.
package main
