// Package disk is what a node keeps and finds again: the types and interfaces that both those who decide what is
// kept (cluster, live, server/webhook) and those who keep it (persist) name, each of them once.
//
// Its nouns are the history (of the messages a shard has received, a record each), the pages of a snapshot and the
// table (small values by name). Start reading at history.go.
//
// It must not know what a record, a page or a value means, nor how it lies on the disk: it imports nothing of ours.
package disk
