// Package disk holds the types and interfaces of a node's storage: those that both the packages that decide
// what is stored (cluster, live, server/webhook) and the package that stores it (persist) use. Each is
// defined here once.
//
// Its nouns: History (the messages a shard has received, a record each), the pages of a snapshot, and Table
// (small values by name). Start reading at history.go.
//
// The package must not know what a record, a page or a value means, or its layout on disk: it imports
// nothing of this module.
package disk
