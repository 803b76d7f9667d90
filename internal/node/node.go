package node

import (
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
)

// Ask is one statement with its options.
type Ask struct {
	Text        string
	Consistency string // one of the levels; "" is Leader
	MaxRows     int    // 0: the default
}

// The levels of consistency.
const (
	Leader       = "leader"       // what the leaders of the shards have applied
	Linearizable = "linearizable" // everything that was acknowledged before the request
	Stale        = "stale"        // what any replica has applied
)

// SegmentText is a saved segment as text, with its state and its price.
type SegmentText struct {
	Name      string
	Predicate string // canonical MQL
	Described string
	Zone      string
	Refresh   time.Duration
	Version   uint64 // of the catalog that last changed it
	State     string // building, live, waiting or failed: the worst state of any shard
	Reason    string // why it failed
	Price     engine.Price
}

// Person is what is known of a profile besides its canonical id.
type Person struct {
	UserID       string
	AnonymousIDs []string
	Fields       []engine.NamedField // in the order requested, without those that have no value
}

// Membership is the members of a segment in a shard as of one seq. The caller that receives it owns it.
type Membership struct {
	Seq      uint64
	At       int64 // the shard's time, Unix ms
	Ordinals *roaring.Bitmap
}

// SegmentSize is the number of members of a segment in a shard, as of a seq.
type SegmentSize struct {
	Seq     uint64
	Members int64
}

// Status is the health of a node.
type Status struct {
	Ready    bool
	Reason   string // why not ready, or what is degraded
	Degraded bool   // serving, but e.g. refusing writes
	Profiles int64
	Events   int64
	Shards   []ShardStatus
	Memory   []engine.MemoryLine
	DiskFree int64
	Counters map[string]int64 // monotonic, for metrics; keys like "duplicates"
	Skipped  []SkippedEntry   // log entries that are never applied
	Prices   Prices           // of live segments
}

// ShardStatus is the state of one replica.
type ShardStatus struct {
	query.ShardStat
	Leader   bool
	Profiles int64
	Events   int64
	LogBytes int64
	Hash     string // hex of the state hash
}

// SkippedEntry is an entry of a log that `muster repair` was told to skip.
type SkippedEntry struct {
	Group string
	Index uint64
	At    int64 // when the skip was recorded, Unix ms
	What  string
}

// Prices are the costs of all live segments together.
type Prices struct {
	engine.Price
	Reserved int64 // bytes of segments that are being built
	Limit    engine.Price
}
