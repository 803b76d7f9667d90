package live

import (
	"errors"
	"strconv"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
)

var (
	// ErrClosed is returned after the log was closed: the node is stopping.
	ErrClosed = &node.Error{Code: codes.NotReady, Text: "the node is stopping", Retry: time.Second}
	// ErrTooMany is returned when MaxConsumers exist already.
	ErrTooMany = &node.Error{Code: codes.Limit, Text: "there are " + strconv.Itoa(MaxConsumers) + " durable consumers already"}
	// ErrCursor is returned for a text that is not a cursor of this server or was modified.
	ErrCursor = &node.Error{Code: codes.BadRequest, Text: "the cursor is not from this server or was modified"}
)

// The reasons why a cursor cannot be continued.
const (
	ReasonHorizon     = "horizon"     // the next change is no longer in the log
	ReasonIncarnation = "incarnation" // the log does not continue the one that the cursor is for
	ReasonCluster     = "cluster"     // the cursor is another cluster's
	ReasonAhead       = "ahead"       // the cursor is after the end of the log
)

// resync returns the error for a cursor that cannot be continued, with one of the reasons. The subscriber
// must begin again from a snapshot.
func resync(reason string) error {
	return &node.Error{Code: codes.Resync, Reason: reason, Text: "the cursor cannot be continued (" + reason + "): begin again from a snapshot"}
}

// IsResync reports whether err says that a cursor cannot be continued, and the reason.
func IsResync(err error) (reason string, ok bool) {
	var e *node.Error
	if errors.As(err, &e) && e.Code == codes.Resync {
		return e.Reason, true
	}
	return "", false
}
