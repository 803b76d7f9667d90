package exec

import (
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// Partial is the contribution of some chunks to one round. It is plain data: AppendPartial and
// ReadPartial encode and decode it for the network.
type Partial struct {
	Round    int
	Profiles int64 // profiles in the chunks
	Scanned  int64 // rows of events read
	Members  int64 // profiles that satisfy where; for insights, the inside
	Others   int64 // for insights, the outside
	Ranks    []eval.RankPart
	IDs      [][]string // by rank: the ids of the profiles whose value is the one at which the rank ends
	Groups   []Group
	Counts   *Counts // groups that are only counted
	Rows     []Row
	Spenders Spenders
	Skipped  []string // attributes with too many values to compare
	Clauses  []Clause // of explain analyze
	Beyond   bool     // a sum met a value beyond ±10^18; cells of sums record that themselves
	LeftOut  []int64  // number of values that were left out, by sum
	Sets     []MemberSet
	Names    []ShardNames
}

// Group is one row of a breakdown that is being computed.
type Group struct {
	Key   []tree.Value
	Cells []Cell
}

// Counts are groups that are only counted, of which there may be very many. Their keys are texts of
// appendKey, stored one after the other, with the number of profiles of each.
type Counts struct {
	text    []byte
	ends    []int
	n       []int64
	charged int // bytes
}

// key returns the text of key i.
func (c *Counts) key(i int) []byte {
	from := 0
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.text[from:c.ends[i]]
}

// Cell is one number of a group. Which fields are used depends on the measure. Most breakdowns only
// count, and there may be a million cells, so what the other measures need is stored separately.
type Cell struct {
	N    int64    // number of values
	Sum  tree.Sum // of sum and avg
	More *Values  // for the other measures, and for a sum or average that left a value out
}

// Values are the values that a measure must keep.
type Values struct {
	Best tree.Value            // for min and max
	Set  map[eval.Key]struct{} // for distinct, and for days as whole numbers
	All  []tree.Number         // for median and percentile
	// Beyond is true for a sum or average that left out a value beyond ±10^18.
	Beyond bool
}

// Spenders are the profiles of `rfm`. The keys compare as the values they stand for: the time of the
// latest event, the number of events, and their sum as a float64.
type Spenders struct {
	Recency, Frequency, Monetary []uint64
}

// Row is one profile. In a list, Values are its columns and Keys are the values it is ordered by. Place
// tells profiles with the same id apart (a user and an anonymous profile): the shard's number << 32 |
// the ordinal.
type Row struct {
	ID     string
	Place  uint64
	Keys   []tree.Value
	Values []tree.Value
}
