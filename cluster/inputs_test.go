package cluster

import (
	"strings"
	"testing"

	"github.com/musterdb/muster/query"
)

// Of several shards that do not know the past the one that knows least is told: one that lost changes before one
// where the segment was made, and of the same kind the later one.
func TestTheShardThatKnowsLeastIsTold(t *testing.T) {
	lost := func(since int64) resolved { return resolved{since: since} }
	made := func(since int64) resolved { return resolved{since: since, made: true} }
	for _, c := range []struct {
		shards []resolved
		want   string // part of the error and its hint; "" for none
	}{
		{[]resolved{{}, {}}, ""},
		{[]resolved{{}, made(5000), made(9000), {}}, "did not exist yet at 1970-01-01T00:00:01Z; since 1970-01-01T00:00:09Z"},
		{[]resolved{made(9000), lost(2000), {}}, "no longer known; since 1970-01-01T00:00:02Z"},
		{[]resolved{lost(3000), lost(2000), made(9000)}, "no longer known; since 1970-01-01T00:00:03Z"},
		{[]resolved{{}, {absent: true}}, "has not reached every shard"},
		{[]resolved{{}, {failed: "no such zone"}}, "cannot be evaluated: no such zone"},
	} {
		err := unresolved(query.Input{Segment: "s", Past: true, At: 1000}, c.shards)
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
