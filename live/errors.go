package live

import (
	"errors"
	"strconv"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
)

var (
	// ErrClosed says that the log was closed: the node is stopping.
	ErrClosed = &node.Error{Code: codes.NotReady, Text: "the node is stopping", Retry: time.Second}
	// ErrTooMany says that there are as many durable consumers as may be.
	ErrTooMany = &node.Error{Code: codes.Limit, Text: "there are " + strconv.Itoa(MaxConsumers) + " durable consumers already"}
	// ErrCursor says that a text is no cursor, or was changed.
	ErrCursor = &node.Error{Code: codes.BadRequest, Text: "the cursor is not one of this server's, or was changed"}
)

// The reasons why a cursor cannot be continued.
const (
	ReasonHorizon     = "horizon"     // what comes next is no longer in the log
	ReasonIncarnation = "incarnation" // the log is not the continuation of the cursor's
	ReasonCluster     = "cluster"     // the cursor is another cluster's
	ReasonAhead       = "ahead"       // the cursor has heard what never happened here
)

// resync is the error that a cursor cannot be continued, for one of the reasons. The way out is a subscription from
// a snapshot.
func resync(reason string) error {
	return &node.Error{Code: codes.Resync, Reason: reason, Text: "the cursor cannot be continued (" + reason + "): begin again from a snapshot"}
}

// IsResync returns the reason why a cursor cannot be continued, if that is what err says.
func IsResync(err error) (reason string, ok bool) {
	var e *node.Error
	if errors.As(err, &e) && e.Code == codes.Resync {
		return e.Reason, true
	}
	return "", false
}
