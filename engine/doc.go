// Package engine is the state of one shard, in memory: profiles, attributes, events, what has been
// applied already, and immutable views of all that for readers.
//
// Its nouns: Message (a fact about one profile), Shard (the state; commands in log order change it),
// View (what a reader sees at one seq; it implements query.Source), Page (512 rows of a column,
// copied on first write while an older view lives), series (the events of one name and one chunk:
// leaves and tails), dictionary (strings and lists by code).
//
// It is deterministic and pure: no clock, randomness, disk, network, logger or goroutine of its own.
// Equal commands in equal order give equal state hashes, whatever was read or maintained between
// them. It must not know raft, JSON, HTTP or files. Sub-packages: catalog (names, types, segments,
// lists), identity (how profiles are joined).
//
// Start reading at message.go, then shard.go and apply.go; DESIGN.md says why.
package engine
