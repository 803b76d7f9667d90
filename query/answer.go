package query

import "github.com/musterdb/muster/query/tree"

// Answer is what a statement answers: columns and rows, and how it was reached.
type Answer struct {
	Columns  []Column
	Rows     [][]tree.Value // a Missing value is (not set), JSON null
	Stats    Stats
	Warnings []tree.Diagnostic
}

// Column names one column; Type is "string", "number", "boolean", "time", "list" or "date" (a bucket
// start, a string like 2026-01-31 or 2026-01-31T10:00:00Z).
type Column struct{ Name, Type string }

// Stats says what an answer stands on.
type Stats struct {
	ElapsedMillis float64
	Profiles      int64 // profiles looked at
	EventsScanned int64 // rows of events read, blocks skipped not counted
	Now           int64 // Unix ms
	Shards        []ShardStat
}

// ShardStat is the position of one shard's view.
type ShardStat struct {
	Shard     int
	Seq       uint64
	Time      int64 // the shard's replicated time, Unix ms
	SettledTo int64 // live memberships are complete up to this time
}
