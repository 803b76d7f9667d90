// Package persist keeps bytes on disk so that what was acknowledged is still there after a crash,
// and so that what has rotted is noticed before anybody relies on it.
//
// Its nouns:
//
//   - Log: one raft group's log and stable store, raft-wal with a checksum chain and a high-water
//     mark around it.
//   - DB: the one Badger database of a node, with a checksum around every value and a watch on the
//     free space of its disk.
//   - Snapshots: a raft.SnapshotStore that keeps pages by content, so that a snapshot writes only
//     what changed since the last one.
//   - History: the messages a group has received, as compressed blobs in log order with sorted
//     locator runs to find those of one id.
//   - Changes: the blocks of a group's change log, and Table: small values by name.
//   - PageWriter, PageReader: the framing of a snapshot stream, used by whoever writes or reads one.
//
// It must not know what a page, a message or a command means: no engine, no cluster, no JSON. Keys
// and data are opaque bytes here.
//
// Start reading at log.go (how an entry becomes durable), then verify.go (how damage is noticed),
// then snapshots.go. DESIGN.md says why it is built this way; docs/format draws every byte.
//
// On disk: <data>/raft/<group>/ holds a Log, <data>/db/ holds the DB.
package persist
