// Package persist stores bytes on disk so that acknowledged data is still there after a crash, and so that
// damage is noticed before the data is used.
//
// Its nouns:
//
//   - Log: one raft group's log and stable store: raft-wal with a checksum chain and a high-water
//     mark around it.
//   - DB: the one Badger database of a node, with a checksum around every value and a check of the
//     free disk space.
//   - Snapshots: a raft.SnapshotStore that stores pages by content, so that a snapshot writes only
//     what changed since the last one.
//   - History: the messages a group has received, as compressed blobs in log order, with sorted
//     locator runs to find the messages of one id.
//   - Changes: the blocks of a group's change log, and Table: small values by name.
//   - PageWriter, PageReader: the framing of a snapshot stream.
//
// Persist must not depend on the meaning of a page, a message or a command: no engine, no cluster, no JSON.
// Keys and data are opaque bytes.
//
// Start reading at log.go (how an entry becomes durable), then verify.go (how damage is noticed),
// then snapshots.go. DESIGN.md says why it is built this way; docs/format draws every byte.
//
// On disk: <data>/raft/<group>/ holds a Log, <data>/db/ holds the DB.
package persist
