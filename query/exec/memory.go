package exec

import (
	"errors"
	"sync/atomic"
)

// ErrBusy is returned where the statements that run hold all memory there is for statements.
var ErrBusy = errors.New("the statements that run now hold all the memory there is for statements: ask again")

// Memory is what all statements of a process may hold together. What one of them reserves is not there
// for the others until it has ended.
type Memory struct {
	limit int64
	held  atomic.Int64
}

// NewMemory returns a memory of some bytes.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// Held returns the bytes that are reserved now.
func (m *Memory) Held() int64 { return m.held.Load() }

// Limit returns the bytes there are.
func (m *Memory) Limit() int64 { return m.limit }

func (m *Memory) take(n int64) error {
	if m.held.Add(n) > m.limit {
		m.held.Add(-n)
		return ErrBusy
	}
	return nil
}

func (m *Memory) give(n int64) { m.held.Add(-n) }
