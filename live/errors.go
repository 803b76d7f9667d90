package live

import "errors"

var (
	// ErrClosed says that the log was closed: the node is stopping.
	ErrClosed = errors.New("the change log is closed")
	// ErrTooMany says that there are as many durable consumers as may be.
	ErrTooMany = errors.New("too many consumers")
)

// ResyncError says that a cursor cannot be continued, and why. The way out is a subscription from a
// snapshot.
type ResyncError struct{ Reason string }

func (e *ResyncError) Error() string { return "resync: " + e.Reason }

// The reasons of a ResyncError.
const (
	ReasonHorizon     = "horizon"     // what comes next is no longer in the log
	ReasonIncarnation = "incarnation" // the log is not the continuation of the cursor's
	ReasonCluster     = "cluster"     // the cursor is another cluster's
	ReasonAhead       = "ahead"       // the cursor has heard what never happened here
)
