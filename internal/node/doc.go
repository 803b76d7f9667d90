// Package node holds the types of a node's interface: those that two or more of cluster, live, server and
// cmd use. Each is defined here once.
//
// Its nouns: Ask (one statement with its options), SegmentText (a saved segment as text), Person (what is
// known of a profile besides its id), Membership (the members of a segment in a shard), Status (the health
// of a node), Delivery (messages that wait for their outcomes) and Error (an error with a code that clients
// see). Start reading at node.go. An interface that only one package uses is defined in that package. What
// a node stores on disk is in node/disk.
//
// Apart from Delivery, everything here is plain data: no value points into a process, holds a view, or
// closes over local state. So each can be sent to another node.
//
// The package must not know how anything is done: it imports the data types of query, engine and api/codes,
// and nothing else of this module.
package node
