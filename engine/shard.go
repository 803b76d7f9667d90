package engine

import (
	"errors"
	"fmt"

	"github.com/musterdb/muster/engine/catalog"
)

// Config says how a shard is made. The same values must be given on every replica and after every
// restart: all but Number and Parse decide outcomes.
type Config struct {
	Number      int           // of the shard, only for answers about it
	Key         uint64        // secret of the cluster; keys the hashes of message ids
	DedupWindow int64         // ms a messageId is remembered; 24 h when 0
	DedupCap    int           // messageIds remembered at most; 5,600,000 (one eighth of 512 MiB) when 0
	DictCap     int           // values of one event property held in memory; 1,048,576 when 0
	Parse       catalog.Parse // parses the predicates of segments
}

// Defaults of Config.
const (
	DefaultDedupWindow = 24 * 3_600_000
	DefaultDedupCap    = 5_600_000
	DefaultDictCap     = 1 << 20
)

func (c Config) withDefaults() Config {
	if c.DedupWindow == 0 {
		c.DedupWindow = DefaultDedupWindow
	}
	if c.DedupCap == 0 {
		c.DedupCap = DefaultDedupCap
	}
	if c.DictCap == 0 {
		c.DictCap = DefaultDictCap
	}
	return c
}

// Validate reports all that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.DedupWindow < 0 {
		errs = append(errs, fmt.Errorf("de-duplication window %d ms is negative", c.DedupWindow))
	}
	if c.DedupCap < 0 {
		errs = append(errs, fmt.Errorf("de-duplication cap %d is negative", c.DedupCap))
	}
	if c.DictCap < 0 || c.DictCap > 1<<31 {
		errs = append(errs, fmt.Errorf("dictionary cap %d is not between 0 and 2^31", c.DictCap))
	}
	return errors.Join(errs...)
}

// Result is what an entry did. Outcomes has one per message of a messages entry, in their order; it
// is good until the next Apply.
type Result struct {
	Kind       CommandKind
	Now        int64 // the shard's time after the entry
	Outcomes   []Outcome
	Accepted   int
	Duplicates int
	Refused    int
	// Identity is the answer to an identity entry.
	Identity IdentityAnswer
}
