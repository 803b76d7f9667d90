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

// GateConfig says how much of the machine ingest may use, and for how long it is held up. Zero values stand
// for the defaults.
type GateConfig struct {
	Turns int           // of ingest at once, default GOMAXPROCS
	Most  time.Duration // at a stretch, default 25 ms
	Share float64       // of all time, default a tenth
}

func (c GateConfig) withDefaults() GateConfig {
	if c.Most == 0 {
		c.Most = 25 * time.Millisecond
	}
	if c.Share == 0 {
		c.Share = 0.1
	}
	if c.Turns == 0 {
		c.Turns = runtime.GOMAXPROCS(0)
	}
	return c
}

// Validate reports all faults at once.
func (c GateConfig) Validate() error {
	var errs []error
	if c.Turns < 0 {
		errs = append(errs, fmt.Errorf("gate config: Turns is %d, want 1 or more", c.Turns))
	}
	if c.Most < 0 {
		errs = append(errs, fmt.Errorf("gate config: Most is %v, want a positive time", c.Most))
	}
	if c.Share < 0 || c.Share >= 1 {
		errs = append(errs, fmt.Errorf("gate config: Share is %v, want a part of 1", c.Share))
	}
	return errors.Join(errs...)
}

// Gate lets statements go before ingest. Whoever decodes messages, encodes or applies an entry, makes its
// history or maintains leaves does so in turns of a fraction of a millisecond, and only so many at once:
// goroutines that have work without end would let whoever asks wait for a processor at each step of his
// question. While a statement is evaluated the gate is closed and no turn begins.
//
// Ingest is not starved: a closed gate uses up credit, and opens without any. Credit of Share a second comes
// back, up to Most. So nobody waits longer than Most for the gate, and askers that never pause take no more
// than Share of the time beside what the scheduler gives them.
//
// A nil Gate is always open and has turns for all.
type Gate struct {
	config GateConfig
	turns  chan struct{}                 // taken
	end    func()                        // of a turn
	closed atomic.Pointer[chan struct{}] // closed when the gate opens; nil while it is open

	mu struct {
		sync.Mutex
		asking int           // statements
		credit time.Duration // at the instant of reckoned
		since  time.Time     // reckoned
		timer  *time.Timer   // opens the gate when there is no credit left
	}
}

// closeWith is the part of Most that a gate without credit must have again before it is closed.
const closeWith = 4

// NewGate returns an open gate.
func NewGate(c GateConfig) (*Gate, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	g := &Gate{config: c, turns: make(chan struct{}, c.Turns)}
	g.end = func() { <-g.turns }
	g.mu.credit, g.mu.since = c.Most, time.Now()
	return g, nil
}

// Enter is the beginning of a statement. Leave must be called.
func (g *Gate) Enter() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.asking++
	if g.closed.Load() != nil {
		return
	}
	g.reckonLocked()
	if g.mu.credit < g.config.Most/closeWith {
		return
	}
	opened := make(chan struct{})
	g.closed.Store(&opened)
	if g.mu.timer == nil {
		g.mu.timer = time.AfterFunc(g.mu.credit, g.spent)
	} else {
		g.mu.timer.Reset(g.mu.credit)
	}
}

// Leave is the end of a statement.
func (g *Gate) Leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.asking--; g.mu.asking == 0 {
		g.openLocked()
	}
}

// spent opens the gate unless the timer that calls it was meant for an earlier closing.
func (g *Gate) spent() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Load() == nil {
		return
	}
	g.reckonLocked()
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
	g.reckonLocked()
	g.mu.timer.Stop()
	g.closed.Store(nil)
	close(*opened)
}

// reckonLocked brings the credit up to now. REQUIRES: it is called before the gate closes or opens.
func (g *Gate) reckonLocked() {
	now := time.Now()
	passed := now.Sub(g.mu.since)
	g.mu.since = now
	if g.closed.Load() != nil {
		g.mu.credit -= passed
		return
	}
	g.mu.credit = min(g.mu.credit+time.Duration(float64(passed)*g.config.Share), g.config.Most)
}

// Turn waits until a piece of ingest may begin, or for the end of ctx. end must be called; until then the
// caller waits for nobody.
func (g *Gate) Turn(ctx context.Context) (end func()) {
	if g == nil {
		return nothing
	}
	for {
		if opened := g.closed.Load(); opened != nil {
			select {
			case <-*opened:
			case <-ctx.Done():
				return nothing
			}
		}
		select {
		case g.turns <- struct{}{}:
		case <-ctx.Done():
			return nothing
		}
		if g.closed.Load() == nil {
			return g.end
		}
		g.end() // closed while others had their turns
	}
}

func nothing() {}
