package node

import (
	"time"

	"github.com/musterdb/muster/api/codes"
)

// Error is an error that the client sees, with a code of package codes. Other errors are only logged. It is
// plain data except for Cause, of which only the text is needed.
type Error struct {
	Code   string
	Text   string        // what happened, for people
	Reason string        // for programs, where the code is not specific enough: why a cursor cannot be continued
	Retry  time.Duration // after which a retry may succeed; 0: a retry does not help
	Cause  error         // appended to Text; may be nil
}

// Error returns the text that users see.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Text + ": " + e.Cause.Error()
	}
	return e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target has the same code, text and reason, so that an error that came from another
// node equals the variable that declares it.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e.Code == t.Code && e.Text == t.Text && e.Reason == t.Reason
}

// ErrNoProfile is returned when no profile has an id.
var ErrNoProfile = &Error{Code: codes.NoProfile, Text: "no profile has this id"}

// UnknownPastError is returned when the membership of a segment at an instant is not known. It is known
// from Since on.
type UnknownPastError struct {
	Since int64 // Unix ms
	Made  bool  // the segment was created at Since; else earlier changes are no longer kept
}

// Error returns the reason why the membership is not known.
func (e *UnknownPastError) Error() string {
	if e.Made {
		return "the segment did not exist yet"
	}
	return "the changes are no longer kept"
}
