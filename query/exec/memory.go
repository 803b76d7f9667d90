package exec

import (
	"errors"
	"sync/atomic"
)

// ErrBusy is returned when the running statements hold all the memory for statements.
var ErrBusy = errors.New("running statements hold all the memory for statements; try again later")

// Memory is the limit on what all statements of a process hold together. What a statement reserves is
// not available to the others until it ends.
type Memory struct {
	limit int64
	held  atomic.Int64
}

// NewMemory returns a memory of limit bytes.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// Held returns the bytes reserved now.
func (m *Memory) Held() int64 { return m.held.Load() }

// Limit returns the limit in bytes.
func (m *Memory) Limit() int64 { return m.limit }

func (m *Memory) take(n int64) error {
	if m.held.Add(n) > m.limit {
		m.held.Add(-n)
		return ErrBusy
	}
	return nil
}

func (m *Memory) give(n int64) { m.held.Add(-n) }
