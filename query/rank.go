package query

import "github.com/musterdb/muster/query/tree"

// RankKey is the key that decides one profile's place: its value (for a time, its milliseconds) and its
// canonical id.
type RankKey struct {
	Value tree.Number
	ID    string
}

// Cut is the key at the last place within a rank. None is set if no profile is within.
type Cut struct {
	None bool
	Last RankKey
}
