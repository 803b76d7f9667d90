package exec

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/musterdb/muster/query/eval"
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

// Holding is what something that is evaluated outside of a statement holds, bounded as a statement is.
type Holding struct{ budget budget }

// Hold begins a holding of at most limit bytes. It must be released.
func (m *Memory) Hold(limit int64) *Holding {
	return &Holding{budget{limit: min(limit, m.limit), memory: m}}
}

// Release gives everything back.
func (h *Holding) Release() { h.budget.release() }

// Reserve reserves bytes until the holding is released.
func (h *Holding) Reserve(n int) error { return h.budget.charge(n) }

// Stock calls work with a stock whose memory is of the holding, and which ends with ctx.
func (h *Holding) Stock(ctx context.Context, work func(*eval.Stock) error) error {
	held := 0
	defer func() { h.budget.refund(held) }()
	stock := &eval.Stock{}
	stock.Bind(eval.Bound{Done: ctx.Err, Reserve: func(n int) error {
		held += n
		return h.budget.charge(n)
	}})
	if err := work(stock); err != nil {
		return err
	}
	return stock.Err()
}
