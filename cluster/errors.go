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

// timeLimit turns a statement's own deadline into an error with a code. The asker's own
// cancellation stays what it is.
func timeLimit(asker context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && asker.Err() == nil {
		return &node.Error{Code: codes.Timeout, Text: "the statement took longer than its time limit", Cause: err}
	}
	return err
}
