package persist

import (
	"errors"
	"fmt"
)

var (
	// ErrDiskFull means that a write was refused because the disk has less free space than its floor.
	// Nothing was written; the caller may try again when space has been freed.
	ErrDiskFull = errors.New("disk full")

	// ErrUnverified means that a Log was used before Verify succeeded.
	ErrUnverified = errors.New("log not verified")

	// ErrTooLarge means that a value, page or record exceeds what the format allows.
	ErrTooLarge = errors.New("too large")

	// ErrClosed means that a store was used after Close.
	ErrClosed = errors.New("closed")
)

// DamageError reports that acknowledged data on disk is missing or differs from what was written. The
// replica must not vote or serve: wipe it and let it rejoin under a new id.
type DamageError struct {
	Where  string // what was being read: a file, a snapshot, a blob
	Index  uint64 // the log index or seq concerned, 0 if none
	Reason string
	Cause  error // may be nil
}

func (e *DamageError) Error() string {
	s := fmt.Sprintf("damaged %s", e.Where)
	if e.Index != 0 {
		s += fmt.Sprintf(" at %d", e.Index)
	}
	s += ": " + e.Reason
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *DamageError) Unwrap() error { return e.Cause }

// FullError is an ErrDiskFull with its numbers.
type FullError struct {
	Dir   string
	Free  uint64 // bytes free when measured
	Needs uint64 // bytes that must be free: the floor and the size of the write
}

func (e *FullError) Error() string {
	return fmt.Sprintf("disk full: %s has %d bytes free and needs %d", e.Dir, e.Free, e.Needs)
}

// Is makes errors.Is(err, ErrDiskFull) true.
func (e *FullError) Is(target error) bool { return target == ErrDiskFull }
