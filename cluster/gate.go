package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// GateConfig says how much of the machine ingest may use, and for how long statements may hold it up. A
// zero value means the default.
type GateConfig struct {
	Turns   int           // of ingest at the same time, default GOMAXPROCS
	MaxHold time.Duration // how long ingest may be held up without a break, default 25 ms
	Share   float64       // the part of all time for which ingest may be held up, default 0.1
}

func (c GateConfig) withDefaults() GateConfig {
	if c.MaxHold == 0 {
		c.MaxHold = 25 * time.Millisecond
	}
	if c.Share == 0 {
		c.Share = 0.1
	}
	if c.Turns == 0 {
		c.Turns = runtime.GOMAXPROCS(0)
	}
	return c
}

// Validate reports everything that is wrong with c.
func (c GateConfig) Validate() error {
	var errs []error
	if c.Turns < 0 {
		errs = append(errs, fmt.Errorf("gate config: Turns is %d, want 0 or more", c.Turns))
	}
	if c.MaxHold < 0 {
		errs = append(errs, fmt.Errorf("gate config: MaxHold is %v, want 0 or more", c.MaxHold))
	}
	if c.Share < 0 || c.Share >= 1 {
		errs = append(errs, fmt.Errorf("gate config: Share is %v, want 0 or more and less than 1", c.Share))
	}
	return errors.Join(errs...)
}

// Gate gives statements priority over ingest. Code that decodes messages, encodes or applies an entry,
// writes history or maintains leaves does so in turns of a fraction of a millisecond, and only a limited
// number of turns run at the same time. Otherwise goroutines with endless work would make a statement
// wait for a processor at each of its steps. While a statement is evaluated the gate is closed and no
// turn begins.
//
// Ingest is not starved. A closed gate uses up credit, and opens when the credit is spent; it regains
// Share of the time that passes, up to MaxHold. So no turn waits longer than MaxHold for the gate, and
// statements without a pause take no more than Share of the time in addition to what the scheduler gives
// them.
//
// A nil Gate is always open and does not limit turns.
type Gate struct {
	config GateConfig
	turns  chan struct{}                 // holds one element per running turn
	end    func()                        // ends a turn
	closed atomic.Pointer[chan struct{}] // closed when the gate opens; nil while it is open

	mu struct {
		sync.Mutex
		statements int           // number being evaluated
		credit     time.Duration // as of since
		since      time.Time     // when credit was last updated
		timer      *time.Timer   // opens the gate when there is no credit left
	}
}

// minCreditPart is the divisor of MaxHold that gives the least credit with which the gate closes.
const minCreditPart = 4

// NewGate returns an open gate.
func NewGate(c GateConfig) (*Gate, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	g := &Gate{config: c, turns: make(chan struct{}, c.Turns)}
	g.end = func() { <-g.turns }
	g.mu.credit, g.mu.since = c.MaxHold, time.Now()
	return g, nil
}

// Enter begins a statement and closes the gate if there is credit. Leave must be called.
func (g *Gate) Enter() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.statements++
	if g.closed.Load() != nil {
		return
	}
	g.updateCreditLocked()
	if g.mu.credit < g.config.MaxHold/minCreditPart {
		return
	}
	opened := make(chan struct{})
	g.closed.Store(&opened)
	if g.mu.timer == nil {
		g.mu.timer = time.AfterFunc(g.mu.credit, g.creditSpent)
	} else {
		g.mu.timer.Reset(g.mu.credit)
	}
}

// Leave ends a statement. The last one opens the gate.
func (g *Gate) Leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.statements--; g.mu.statements == 0 {
		g.openLocked()
	}
}

// creditSpent opens the gate, unless the timer that calls it was set for an earlier closing.
func (g *Gate) creditSpent() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Load() == nil {
		return
	}
	g.updateCreditLocked()
	if g.mu.credit > 0 {
		g.mu.timer.Reset(g.mu.credit)
		return
	}
	g.openLocked()
}

func (g *Gate) openLocked() {
	opened := g.closed.Load()
	if opened == nil {
		return
	}
	g.updateCreditLocked()
	g.mu.timer.Stop()
	g.closed.Store(nil)
	close(*opened)
}

// updateCreditLocked updates the credit to now. REQUIRES: it is called before the gate closes or opens.
func (g *Gate) updateCreditLocked() {
	now := time.Now()
	passed := now.Sub(g.mu.since)
	g.mu.since = now
	if g.closed.Load() != nil {
		g.mu.credit -= passed
		return
	}
	g.mu.credit = min(g.mu.credit+time.Duration(float64(passed)*g.config.Share), g.config.MaxHold)
}

// Turn waits until a piece of ingest may begin, or until ctx ends. The caller must call end. Between the
// two it must not wait for anything that may itself wait for the gate.
func (g *Gate) Turn(ctx context.Context) (end func()) {
	if g == nil {
		return noop
	}
	for {
		if opened := g.closed.Load(); opened != nil {
			select {
			case <-*opened:
			case <-ctx.Done():
				return noop
			}
		}
		select {
		case g.turns <- struct{}{}:
		case <-ctx.Done():
			return noop
		}
		if g.closed.Load() == nil {
			return g.end
		}
		g.end() // the gate closed while this turn waited
	}
}

func noop() {}
