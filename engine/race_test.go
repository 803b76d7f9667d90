package engine

import (
	"slices"
	"sync"
	"testing"
)

// TestViewsBesideApply reads views in other goroutines while entries are applied and series are
// maintained. Two reads of a view must give the same, and -race must find no race.
func TestViewsBesideApply(t *testing.T) {
	s, log := newTestShard(t), newScript(3, 200)
	views := make(chan *Image, 2)
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for v := range views {
				first := describeView(v.View)
				if second := describeView(v.View); !slices.Equal(first, second) {
					t.Error("a view changed while it was read")
				}
				var pages memoryPages
				if err := v.WriteSnapshot(&pages); err != nil {
					t.Error(err)
				}
				if restored, err := Restore(Config{Key: 42}, &pages); err != nil {
					t.Error(err)
				} else if restored.Hash() != v.Hash() {
					t.Error("a snapshot beside Apply has another hash")
				} else if err := restored.Check(); err != nil {
					t.Error(err)
				}
				v.Release()
			}
		})
	}
	stop := make(chan struct{})
	work.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				s.Maintain(5000)
			}
		}
	})
	for seq := uint64(4); seq < 150; seq++ {
		mustApply(t, s, seq, log.step(nil))
		if seq%5 == 0 {
			views <- s.Image()
		}
	}
	close(views)
	close(stop)
	work.Wait()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestTryView checks that TryView returns a view immediately or not at all.
func TestTryView(t *testing.T) {
	s, log := newTestShard(t), newScript(3, 200)
	mustApply(t, s, 4, log.step(nil))
	s.mu.Lock() // as Apply does
	if v := s.TryView(); v != nil {
		t.Error("there is a view of a busy shard")
	}
	s.mu.Unlock()
	v, w := s.TryView(), s.View()
	if v == nil || v.Seq() != w.Seq() || v.Hash() != w.Hash() {
		t.Fatal("no view, or another view")
	}
	before := describeView(v)
	mustApply(t, s, 5, log.step(nil))
	if !slices.Equal(before, describeView(v)) {
		t.Error("the view changed")
	}
	v.Release()
	w.Release()
}

// TestViewsBesideAnEntry takes views while an entry is applied: the first reader to find the shard
// busy waits, later ones get the state before the entry, with everything that was acknowledged.
func TestViewsBesideAnEntry(t *testing.T) {
	s, log := newTestShard(t), newScript(5, 100)
	seq := uint64(4)
	busy := func() *View {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.TryView()
	}
	if busy() != nil {
		t.Fatal("there is a view of a shard that no reader has waited for")
	}
	var kept []*View
	var lines [][]string
	for range publishEntries {
		mustApply(t, s, seq, log.step(nil))
		v := busy()
		if v == nil || v.Seq() != seq || v.Hash() != s.Hash() {
			t.Fatalf("no view of entry %d", seq)
		}
		kept, lines = append(kept, v), append(lines, describeView(v))
		seq++
	}
	for range publishEntries { // the last reader came one entry ago
		mustApply(t, s, seq, log.step(nil))
		seq++
	}
	if busy() == nil {
		t.Fatal("the shard stopped publishing views too early")
	}
	for i, v := range kept {
		diffLines(t, "a view beside entries", describeView(v), lines[i])
		v.Release()
	}
	for range publishEntries + 1 {
		mustApply(t, s, seq, log.step(nil))
		seq++
	}
	if busy() != nil || s.published.Load() != nil {
		t.Fatal("views are still published without readers")
	}
}
