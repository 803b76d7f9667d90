package cluster

import (
	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/engine"
)

// place returns the shard of a literal id. It can never change: data on disk depends on it. The
// multiplier (2^64 ÷ golden ratio) keeps it independent of the bits that choose an engine's tables.
func place(id string, shards int) int {
	h := xxh3.HashString(id) * 0x9e3779b97f4a7c15
	return int(h >> 32 * uint64(shards) >> 32)
}

// literalID returns the id that a message names: the user id if it has both.
func literalID(userID, anonymousID string) string {
	if userID != "" {
		return userID
	}
	return anonymousID
}

// historyKey returns the key of the messages of a literal id in a shard's history.
func historyKey(id string) uint64 { return xxh3.HashString(id) }

// messageSize estimates the bytes of a message in an entry.
func messageSize(m *engine.Message) int {
	n := 24 + len(m.MessageID) + len(m.Source) + len(m.UserID) + len(m.AnonymousID) + len(m.PreviousID) + len(m.EventName) + len(m.Context)
	for i := range m.Fields {
		n += 8 + len(m.Fields[i].Value.Str) + 16*len(m.Fields[i].Value.List)
		for _, item := range m.Fields[i].Value.List {
			n += len(item.Str)
		}
	}
	return n
}
