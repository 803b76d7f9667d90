package cluster

import (
	"context"
	"errors"
	"time"
)

// ErrNoProfile is returned where no profile answers to an id.
var ErrNoProfile = &Error{code: "no_profile", text: "no profile has this id"}

// ErrClosed is returned by a node that is opening or closing.
var ErrClosed = &Temporary{Error{code: "not_ready", text: "the node is opening or closing"}, time.Second}

// Error is an error with a code of the public table.
type Error struct {
	code  string
	text  string
	cause error
}

// Error returns the text people see.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.text + ": " + e.cause.Error()
	}
	return e.text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Code returns the code of the public table.
func (e *Error) Code() string { return e.code }

// Temporary is an Error that goes away: trying again after RetryAfter makes sense.
type Temporary struct {
	err   Error
	retry time.Duration
}

// Error returns the text people see.
func (e *Temporary) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *Temporary) Unwrap() error { return e.err.cause }

// Code returns the code of the public table.
func (e *Temporary) Code() string { return e.err.code }

// RetryAfter tells when to try again.
func (e *Temporary) RetryAfter() time.Duration { return e.retry }

func overloaded(what string) error {
	return &Temporary{Error{code: "overloaded", text: what}, time.Second}
}

func notReady(what string, cause error) error {
	return &Temporary{Error{code: "not_ready", text: what, cause: cause}, time.Second}
}

func refused(code, text string) error { return &Error{code: code, text: text} }

// timeLimit turns a statement's own deadline into an error with a code. The asker's own
// cancellation stays what it is.
func timeLimit(asker context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && asker.Err() == nil {
		return &Error{code: "timeout", text: "the statement took longer than its time limit", cause: err}
	}
	return err
}
