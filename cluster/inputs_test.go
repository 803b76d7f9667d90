package cluster

import (
	"strings"
	"testing"

	"github.com/musterdb/muster/query"
)

// TestTheShardThatKnowsLeastIsReported: of several shards that do not know the past, the error is about
// the one that knows least: one that lost changes before one in which the segment was made, and of the
// same kind the later one.
func TestTheShardThatKnowsLeastIsReported(t *testing.T) {
	lost := func(since int64) resolvedInput { return resolvedInput{since: since} }
	made := func(since int64) resolvedInput { return resolvedInput{since: since, made: true} }
	for _, c := range []struct {
		shards []resolvedInput
		want   string // part of the error and its hint; "" for none
	}{
		{[]resolvedInput{{}, {}}, ""},
		{[]resolvedInput{{}, made(5000), made(9000), {}}, "did not exist yet at 1970-01-01T00:00:01Z; since 1970-01-01T00:00:09Z"},
		{[]resolvedInput{made(9000), lost(2000), {}}, "no longer known; since 1970-01-01T00:00:02Z"},
		{[]resolvedInput{lost(3000), lost(2000), made(9000)}, "no longer known; since 1970-01-01T00:00:03Z"},
		{[]resolvedInput{{}, {absent: true}}, "has not reached every shard"},
		{[]resolvedInput{{}, {failed: "no such zone"}}, "cannot be evaluated: no such zone"},
	} {
		err := unresolvedError(query.Input{Segment: "s", Past: true, At: 1000}, c.shards)
		if (err == nil) != (c.want == "") {
			t.Errorf("%+v: %v, want %q", c.shards, err, c.want)
			continue
		}
		for _, part := range strings.Split(c.want, "; ") {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: %s, want %q", c.shards, err.Error(), part)
			}
		}
	}
}
