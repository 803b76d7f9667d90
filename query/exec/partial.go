package exec

import (
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// Partial is what some chunks contribute to one round. It is plain data: AppendPartial and ReadPartial take it
// over a network.
type Partial struct {
	Round    int
	Profiles int64 // looked at
	Scanned  int64 // rows of events read
	Members  int64 // profiles that satisfy where; inside, for insights
	Others   int64 // outside, for insights
	Ranks    []eval.RankPart
	IDs      [][]string // by rank, of those who have the value at which it ends
	Groups   []Group
	Counts   *Counts // those that are only counted
	Rows     []Row
	Spenders Spenders
	Skipped  []string // attributes with too many values to compare
	Clauses  []Clause // of explain analyze
	Beyond   bool     // a sum came upon a value beyond ±10^18; sums in cells tell that themselves
	LeftOut  []int64  // values that were, by sum
	Sets     []MemberSet
	Names    []ShardNames
}

// Group is one row of a breakdown while it is being added up.
type Group struct {
	Key   []tree.Value
	Cells []Cell
}

// Counts are groups that are only counted, of which there may be very many: their keys as texts of appendKey,
// one behind the other, and how many profiles each has.
type Counts struct {
	text    []byte
	ends    []int
	n       []int64
	charged int // bytes
}

// key returns the text of a number.
func (c *Counts) key(i int) []byte {
	from := 0
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.text[from:c.ends[i]]
}

// Cell is one number of a group. What is used of it depends on what is computed; most breakdowns
// only count, and there may be a million of them, so that the rest stands apart.
type Cell struct {
	N    int64    // values that took part
	Sum  tree.Sum // of sum and avg
	More *Values  // of the other measures, and of a sum or average that left a value out
}

// Values are those a measure has to keep.
type Values struct {
	Best tree.Value            // of min and max
	Set  map[eval.Key]struct{} // of distinct, and of days as whole numbers
	All  []tree.Number         // of median and percentile
	// Beyond is of a sum or average that left out a value beyond ±10^18.
	Beyond bool
}

// Spenders are the profiles of `rfm`, as keys that are in order with those of others: of the latest event,
// how many there are, and the float64 of their sum, which is in order with its Number.
type Spenders struct {
	Recency, Frequency, Monetary []uint64
}

// Row is one profile: of a list, the values of its columns; Keys are what it is ordered by. Place tells
// apart profiles of one id, a user and somebody anonymous: the shard's number << 32 | the ordinal.
type Row struct {
	ID     string
	Place  uint64
	Keys   []tree.Value
	Values []tree.Value
}
