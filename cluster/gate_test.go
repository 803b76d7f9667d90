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

// waits tells how long one waits for a turn that begins now.
func waits(ctx context.Context, g *Gate) time.Duration {
	started := time.Now()
	g.Turn(ctx)()
	return time.Since(started)
}

// TestGateLetsStatementsGoFirst: ingest waits until the last statement has left, and not at all when none
// is there.
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
			t.Errorf("held for %v behind the last statement", took)
		}
		var none *Gate
		none.Enter()
		if took := waits(t.Context(), none); took != 0 {
			t.Errorf("no gate held for %v", took)
		}
		none.Leave()
	})
}

// TestGateHoldsNobodyLong: a statement without end holds ingest up for Most, once, and its context lets a
// waiter go at any time.
func TestGateHoldsNobodyLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		g.Enter()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if took := waits(ctx, g); took != time.Millisecond {
			t.Errorf("held for %v, though its context ended after 1 ms", took)
		}
		if took := waits(t.Context(), g); took != g.config.Most-time.Millisecond {
			t.Errorf("held for %v, want the rest of %v", took, g.config.Most)
		}
		g.Enter() // there is no credit to close it with
		if took := waits(t.Context(), g); took != 0 {
			t.Errorf("held for %v without credit", took)
		}
		g.Leave()
		g.Leave()
		<-time.After(time.Minute)
		g.Enter()
		if took := waits(t.Context(), g); took != g.config.Most {
			t.Errorf("held for %v after a rest, want %v", took, g.config.Most)
		}
		g.Leave()
	})
}

// TestGateForgetsAnOldTimer: the timer of a closing does not cut a later one short.
func TestGateForgetsAnOldTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		g.Enter()
		<-time.After(g.config.Most / 2)
		g.Leave()
		<-time.After(time.Minute)
		g.Enter()
		time.AfterFunc(g.config.Most/2, g.spent) // a timer that was about to fire when it was stopped
		if took := waits(t.Context(), g); took != g.config.Most {
			t.Errorf("held for %v, want %v", took, g.config.Most)
		}
		g.Leave()
	})
}

// TestGateStarvesNobody: beside askers that never pause ingest has all of the time but Share, and askers have
// that share for themselves.
func TestGateStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var askers sync.WaitGroup
		for i := range 20 {
			askers.Go(func() {
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
		askers.Wait()
		share := 1 - worked.Seconds()/10
		if share > g.config.Share+0.01 || share < g.config.Share/2 {
			t.Errorf("ingest was held up for %.3f of the time, want up to %v and not much less", share, g.config.Share)
		}
		if g.closed.Load() != nil || g.mu.asking != 0 {
			t.Errorf("the gate stays closed for nobody: %d statements", g.mu.asking)
		}
	})
}

// TestGateHoldsApplyAndHistory: a shard applies nothing and writes nothing down behind a closed gate.
func TestGateHoldsApplyAndHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &syncedHistory{}
		s, err := newShard(ctx, 0, engine.Config{Key: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.gate = newTestGate(t)
		s.historian = newHistorian(ctx, store, s.gate, 8<<20, slog.New(slog.DiscardHandler))
		entry := engine.EncodeMessages(0, 7, []engine.Message{{Kind: engine.Identify, UserID: "u", MessageID: "m", Context: make([]byte, 1<<20)}})
		s.gate.Enter()
		go s.Apply(&raft.Log{Index: 1, Data: entry})
		if err := s.historian.put(ctx, historyTask{seq: 1, entry: entry, outcomes: []engine.Outcome{{Status: engine.Accepted}}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s.state.Load().Seq() != 0 || len(store.appended) != 0 {
			t.Errorf("at %d with %d entries written, behind a closed gate", s.state.Load().Seq(), len(store.appended))
		}
		s.gate.Leave()
		synctest.Wait()
		if s.state.Load().Seq() != 1 || len(store.appended) == 0 {
			t.Errorf("at %d with %d entries written, the gate being open", s.state.Load().Seq(), len(store.appended))
		}
		cancel()
		if err := s.historian.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestGateManyAtOnce: whoever comes and goes at once leaves an open gate behind.
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
	if g.closed.Load() != nil || g.mu.asking != 0 || len(g.turns) != 0 {
		t.Errorf("closed for %d statements, %d turns are taken", g.mu.asking, len(g.turns))
	}
}

// TestGateBoundsTurns: no more turns at once than there are, and none that waited for one begins behind a gate
// that has closed meanwhile.
func TestGateBoundsTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(t)
		first, second := g.Turn(t.Context()), g.Turn(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if took := waits(ctx, g); took != time.Millisecond {
			t.Errorf("a third turn after %v", took)
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
			t.Error("a turn began behind a closed gate")
		}
		g.Leave()
		synctest.Wait()
		if !begun {
			t.Error("no turn began, though one is free and the gate open")
		}
		second()
		if len(g.turns) != 0 {
			t.Errorf("%d turns are taken by nobody", len(g.turns))
		}
	})
}

func TestGateConfig(t *testing.T) {
	for _, c := range []GateConfig{{Turns: -1}, {Most: -1}, {Share: -0.1}, {Share: 1}} {
		if _, err := NewGate(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
