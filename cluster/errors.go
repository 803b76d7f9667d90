package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
)

// ErrClosed is returned by a node that is opening or closing.
var ErrClosed = &node.Error{Code: codes.NotReady, Text: "the node is opening or closing", Retry: time.Second}

func overloaded(what string) error {
	return &node.Error{Code: codes.Overloaded, Text: what, Retry: time.Second}
}

func notReady(what string, cause error) error {
	return &node.Error{Code: codes.NotReady, Text: what, Retry: time.Second, Cause: cause}
}

func refused(code, text string) error { return &node.Error{Code: code, Text: text} }

// timeLimit turns the error of a statement that ran out of its own time into an error with a code. An
// error after the caller's own cancellation stays as it is.
func timeLimit(caller context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && caller.Err() == nil {
		return &node.Error{Code: codes.Timeout, Text: "the statement took longer than its time limit", Cause: err}
	}
	return err
}
