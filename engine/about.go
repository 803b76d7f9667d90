package engine

import "github.com/musterdb/muster/query/tree"

// About is what is known of one profile at one seq: the answer to "who is this".
type About struct {
	ID           string // canonical
	UserID       string // "" for an anonymous profile
	AnonymousIDs []string
	Attributes   []NamedField // in ascending order of name
	Events       []EventCount // in ascending order of name
	FirstSeen    int64        // Unix ms over all events; 0 without events
	LastSeen     int64
	Segments     []string // it is a member of, in ascending order
	Building     []string // segments of which that is not known yet
	Shard        int
	Seq          uint64
}

// EventCount tells how often a profile did an event, and when first and last (Unix ms).
type EventCount struct {
	Name        string
	Count       int64
	First, Last int64
}

// Received is one message of a profile's timeline, as history keeps it.
type Received struct {
	Incoming
	Shard int
	Seq   uint64 // with N the position in the shard's log
	N     int
}

// NameInfo describes one attribute, event or property for the catalog page.
type NameInfo struct {
	Name        string
	Type        tree.Type // of attributes and properties
	Cardinality int64     // distinct values held, -1 where it is not known
	Hashes      []uint64  // of the distinct values, ascending, where Cardinality is known: shards may hold the same ones
	Examples    []tree.Value
	Count       int64 // profiles with the attribute, events of the name, rows with the property
	FirstSeen   int64 // events, Unix ms
	LastSeen    int64
	MemoryBytes int64
	Overflowed  bool  // not all values are held in memory: asking for it is an error
	Mismatched  int64 // values dropped because they had another type
	Properties  []NameInfo
}

// MemoryLine is the memory of one structure.
type MemoryLine struct {
	Name  string
	Bytes int64
}
