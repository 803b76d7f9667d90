package query

import "github.com/musterdb/muster/query/tree"

// Answer is the result of a statement: columns and rows, and statistics.
type Answer struct {
	Columns  []Column
	Rows     [][]tree.Value // a Missing value is (not set), JSON null
	Stats    Stats
	Warnings []tree.Diagnostic
}

// Column names one column; Type is "string", "number", "boolean", "time", "list" or "date" (a bucket
// start, a string like 2026-01-31 or 2026-01-31T10:00:00Z).
type Column struct{ Name, Type string }

// Stats describes the data an answer is based on, and the work it took.
type Stats struct {
	ElapsedMillis float64
	Profiles      int64 // profiles evaluated
	EventsScanned int64 // rows of events read, without those of skipped blocks
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
