package query

import "github.com/musterdb/muster/query/tree"

// RankKey is one profile's place: its value (a time as the number of its milliseconds) and its
// canonical id.
type RankKey struct {
	Value tree.Number
	ID    string
}

// Cut is the last place within a rank; None if nobody is inside.
type Cut struct {
	None bool
	Last RankKey
}
