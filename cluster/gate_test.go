package cluster

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine"
)

// newTestGate returns an open gate with two turns.
func newTestGate(t *testing.T) *Gate {
	t.Helper()
	g, err := NewGate(GateConfig{Turns: 2})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// waits returns how long a caller waits for a turn.
func waits(ctx context.Context, g *Gate) time.Duration {
	started := time.Now()
	g.Turn(ctx)()
	return time.Since(started)
}

// TestGateLetsStatementsGoFirst: ingest waits until the last statement has left, and not at all when
// there is none.
func TestGateLetsStatementsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		if took := waits(t.Context(), g); took != 0 {
			t.Errorf("an open gate held for %v", took)
		}
		g.Enter()
		time.AfterFunc(2*time.Millisecond, g.Enter)
		time.AfterFunc(3*time.Millisecond, g.Leave)
		time.AfterFunc(7*time.Millisecond, g.Leave)
		if took := waits(t.Context(), g); took != 7*time.Millisecond {
			t.Errorf("held for %v, want until the last statement left", took)
		}
		if took := waits(t.Context(), g); took != 0 {
			t.Errorf("held for %v after the last statement", took)
		}
		var none *Gate
		none.Enter()
		if took := waits(t.Context(), none); took != 0 {
			t.Errorf("a nil gate held for %v", took)
		}
		none.Leave()
	})
}

// TestGateHoldsNoTurnLong: a statement without end holds ingest up for MaxHold, once, and a waiter
// returns as soon as its context ends.
func TestGateHoldsNoTurnLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		g.Enter()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if took := waits(ctx, g); took != time.Millisecond {
			t.Errorf("held for %v, though its context ended after 1 ms", took)
		}
		if took := waits(t.Context(), g); took != g.config.MaxHold-time.Millisecond {
			t.Errorf("held for %v, want the rest of %v", took, g.config.MaxHold)
		}
		g.Enter() // there is no credit to close it with
		if took := waits(t.Context(), g); took != 0 {
			t.Errorf("held for %v without credit", took)
		}
		g.Leave()
		g.Leave()
		<-time.After(time.Minute)
		g.Enter()
		if took := waits(t.Context(), g); took != g.config.MaxHold {
			t.Errorf("held for %v after a rest, want %v", took, g.config.MaxHold)
		}
		g.Leave()
	})
}

// TestGateForgetsAnOldTimer: the timer of an earlier closing does not cut a later one short.
func TestGateForgetsAnOldTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		g.Enter()
		<-time.After(g.config.MaxHold / 2)
		g.Leave()
		<-time.After(time.Minute)
		g.Enter()
		time.AfterFunc(g.config.MaxHold/2, g.creditSpent) // a timer that was about to fire when it was stopped
		if took := waits(t.Context(), g); took != g.config.MaxHold {
			t.Errorf("held for %v, want %v", took, g.config.MaxHold)
		}
		g.Leave()
	})
}

// TestGateStarvesNeitherSide: when statements never pause, they get Share of the time, and ingest gets
// the rest.
func TestGateStarvesNeitherSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var statements sync.WaitGroup
		for i := range 20 {
			statements.Go(func() {
				for ctx.Err() == nil {
					g.Enter()
					<-time.After(time.Duration(1+i) * 700 * time.Microsecond)
					g.Leave()
				}
			})
		}
		const piece = 300 * time.Microsecond
		var worked time.Duration
		for ctx.Err() == nil {
			end := g.Turn(ctx)
			<-time.After(piece)
			end()
			worked += piece
		}
		statements.Wait()
		share := 1 - worked.Seconds()/10
		if share > g.config.Share+0.01 || share < g.config.Share/2 {
			t.Errorf("ingest was held up for %.3f of the time, want at most %v and not much less", share, g.config.Share)
		}
		if g.closed.Load() != nil || g.mu.statements != 0 {
			t.Errorf("the gate stays closed: %d statements", g.mu.statements)
		}
	})
}

// TestGateHoldsApplyAndHistory: while the gate is closed a shard applies nothing and writes no history.
func TestGateHoldsApplyAndHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &syncedHistory{}
		s, err := newShard(ctx, 0, engine.Config{Key: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.gate = newTestGate(t)
		s.historyWriter = newHistoryWriter(ctx, store, s.gate, 8<<20, slog.New(slog.DiscardHandler))
		entry := engine.EncodeMessages(0, 7, []engine.Message{{Kind: engine.Identify, UserID: "u", MessageID: "m", Context: make([]byte, 1<<20)}})
		s.gate.Enter()
		go s.Apply(&raft.Log{Index: 1, Data: entry})
		if err := s.historyWriter.put(ctx, historyTask{seq: 1, entry: entry, outcomes: []engine.Outcome{{Status: engine.Accepted}}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s.state.Load().Seq() != 0 || len(store.appended) != 0 {
			t.Errorf("at %d with %d entries written, while the gate is closed", s.state.Load().Seq(), len(store.appended))
		}
		s.gate.Leave()
		synctest.Wait()
		if s.state.Load().Seq() != 1 || len(store.appended) == 0 {
			t.Errorf("at %d with %d entries written, after the gate has opened", s.state.Load().Seq(), len(store.appended))
		}
		cancel()
		if err := s.historyWriter.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestGateManyAtOnce: concurrent statements and turns leave an open gate.
func TestGateManyAtOnce(t *testing.T) {
	g := newTestGate(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2000 {
				g.Enter()
				g.Leave()
			}
		})
		all.Go(func() {
			for range 2000 {
				g.Turn(t.Context())()
			}
		})
	}
	all.Wait()
	if g.closed.Load() != nil || g.mu.statements != 0 || len(g.turns) != 0 {
		t.Errorf("%d statements and %d turns are left", g.mu.statements, len(g.turns))
	}
}

// TestGateBoundsTurns: no more turns run at the same time than the limit, and a turn that waited for
// another does not begin when the gate has closed in the meantime.
func TestGateBoundsTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		first, second := g.Turn(t.Context()), g.Turn(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if took := waits(ctx, g); took != time.Millisecond {
			t.Errorf("a third turn waited for %v, want 1ms", took)
		}
		begun := false
		go func() {
			defer g.Turn(t.Context())()
			begun = true
		}()
		synctest.Wait()
		g.Enter()
		first()
		synctest.Wait()
		if begun {
			t.Error("a turn began while the gate was closed")
		}
		g.Leave()
		synctest.Wait()
		if !begun {
			t.Error("no turn began, though one is free and the gate is open")
		}
		second()
		if len(g.turns) != 0 {
			t.Errorf("%d turns were not ended", len(g.turns))
		}
	})
}

func TestGateConfig(t *testing.T) {
	for _, c := range []GateConfig{{Turns: -1}, {MaxHold: -1}, {Share: -0.1}, {Share: 1}} {
		if _, err := NewGate(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
