// Package engine is the state of one shard, in memory: profiles, attributes, events, the messages
// that have been applied, and immutable views of all of it for readers.
//
// Its nouns: Message (a fact about one profile), Shard (the state; commands in log order change it),
// View (what a reader sees at one seq; it implements query.Source), page (512 rows of a column,
// copied on first write while an older view lives), series (the events of one name and one chunk:
// leaves and tails), dictionary (strings and lists by code).
//
// It is deterministic and pure: it uses no clock, randomness, disk, network or logger and starts no
// goroutines. Equal commands in equal order give equal state hashes, whatever was read or maintained
// between them. It must not know raft, JSON, HTTP or files. Sub-packages: catalog (names, types,
// segments, lists), identity (how profiles are joined), member (how memberships of segments are kept
// current).
//
// Start reading at message.go, then shard.go and apply.go; DESIGN.md says why.
package engine
