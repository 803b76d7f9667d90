package query

import "github.com/musterdb/muster/query/tree"

// NameInfo describes one attribute, event, property or list with what memory holds of it. It is plain data.
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

// Describer is a source that describes its names.
type Describer interface {
	// NameInfo describes all names of a kind; of segments it knows none.
	NameInfo(kind NameKind) []NameInfo
}
