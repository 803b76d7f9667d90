package node

import (
	"time"

	"github.com/musterdb/muster/api/codes"
)

// Error is an error that whoever asked is told of, with a code of package codes. Others are nobody's business but
// the log's. It is plain data but for Cause, of which the text is enough.
type Error struct {
	Code   string
	Text   string        // what happened, for people
	Reason string        // for programs, where the code leaves it open: why a cursor cannot be continued
	Retry  time.Duration // after which the same may succeed; 0: it will not by itself
	Cause  error         // told after Text; may be nil
}

// Error returns the text that people see.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Text + ": " + e.Cause.Error()
	}
	return e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target says the same, so that an error that came from another node equals the variable it is
// documented as.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e.Code == t.Code && e.Text == t.Text && e.Reason == t.Reason
}

// ErrNoProfile says that no profile answers to an id.
var ErrNoProfile = &Error{Code: codes.NoProfile, Text: "no profile has this id"}

// UnknownPastError says that what a segment was like at an instant is not known, and from when on it is.
type UnknownPastError struct {
	Since int64 // Unix ms
	Made  bool  // the segment begins at Since; else changes before it are no longer kept
}

// Error returns why it is not known.
func (e *UnknownPastError) Error() string {
	if e.Made {
		return "the segment did not exist yet"
	}
	return "the changes are no longer kept"
}
