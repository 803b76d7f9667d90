// Package node is what a node is to those around it: the types that two or more of cluster, live, server and
// cmd name, each of them once.
//
// Its nouns are the ask (one statement with its wishes), the segment as text, the status, the person (what is
// known of a profile beside its id) and the membership (of a segment in a shard). Start reading at node.go. An
// interface that one package alone asks for stands in that package. What a node keeps on disk is in node/disk, which
// knows nothing of ours.
//
// Everything here is plain data: no value points into a process, holds a view, or closes over what only one
// process has. So each can be sent to another node.
//
// It must not know how anything is done: it imports the data types of query and engine, and nothing else of ours.
package node
