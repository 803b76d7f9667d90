package cluster

import (
	"sync/atomic"

	"github.com/musterdb/muster/engine"
)

// counters count events since the start. They never decrease.
type counters struct {
	accepted, duplicates, refused atomic.Int64 // messages
	overloaded, refusedRequests   atomic.Int64 // requests
	merges, snapshots             atomic.Int64
	statements, statementErrors   atomic.Int64
	eventsScanned                 atomic.Int64
}

func (c *counters) count(outcomes []engine.Outcome) {
	var accepted, duplicates, refused int64
	for i := range outcomes {
		switch outcomes[i].Status {
		case engine.Accepted:
			accepted++
		case engine.Duplicate:
			duplicates++
		case engine.Refused:
			refused++
		}
	}
	c.accepted.Add(accepted)
	c.duplicates.Add(duplicates)
	c.refused.Add(refused)
}

// values returns the counters by name.
func (c *counters) values() map[string]int64 {
	return map[string]int64{
		"accepted": c.accepted.Load(), "duplicates": c.duplicates.Load(), "refused": c.refused.Load(),
		"overloaded_requests": c.overloaded.Load(), "refused_requests": c.refusedRequests.Load(),
		"merges": c.merges.Load(), "snapshots": c.snapshots.Load(),
		"statements": c.statements.Load(), "statement_errors": c.statementErrors.Load(),
		"events_scanned": c.eventsScanned.Load(),
	}
}
