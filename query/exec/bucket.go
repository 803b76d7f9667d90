package exec

import (
	"fmt"
	"sort"
	"time"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// maxBuckets is the most rows a statement over time returns.
const maxBuckets = 100_000

// bucket is a span of the calendar, [from, to) in Unix ms.
type bucket struct{ from, to int64 }

// bucketCalendar divides time into buckets of a unit and caches those it has computed.
type bucketCalendar struct {
	unit  tree.Unit
	zone  *time.Location
	known []bucket // ascending
	last  bucket
}

// at returns the bucket of an instant.
func (c *bucketCalendar) at(ms int64) bucket {
	if ms >= c.last.from && ms < c.last.to {
		return c.last
	}
	i := sort.Search(len(c.known), func(i int) bool { return c.known[i].to > ms })
	if i == len(c.known) || c.known[i].from > ms {
		c.known = append(c.known, bucket{})
		copy(c.known[i+1:], c.known[i:])
		c.known[i] = c.compute(ms)
	}
	c.last = c.known[i]
	return c.last
}

func (c *bucketCalendar) compute(ms int64) bucket {
	from, to := calendar.Bucket(c.unit, ms, c.zone)
	return bucket{from, to}
}

// name returns the text that answers show for the bucket beginning at an instant.
func (c *bucketCalendar) name(from int64) tree.Value {
	if c.unit == tree.Hour {
		return tree.Str(time.UnixMilli(from).In(c.zone).Format(time.RFC3339))
	}
	return dateValue(calendar.DayOf(from, c.zone))
}

// through returns the buckets from the one of first to the one of last.
func (c *bucketCalendar) through(first, last int64) ([]bucket, error) {
	var all []bucket
	for at := first; at <= last; {
		b := c.compute(at)
		if all = append(all, b); len(all) > maxBuckets {
			return nil, tooManyRows(c.unit)
		}
		at = b.to
	}
	return all, nil
}

func tooManyRows(unit tree.Unit) error {
	return &tree.Diagnostic{
		Code:    tree.CodeStatementTooLarge,
		Message: fmt.Sprintf("by %s the statement has more than %d rows", unit, maxBuckets),
		Hint:    "use a shorter window or a longer unit",
	}
}
