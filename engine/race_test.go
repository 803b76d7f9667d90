package engine

import (
	"slices"
	"sync"
	"testing"
)

// TestViewsBesideApply reads views in other goroutines while entries are applied and series are
// maintained. Each view read twice must say the same; under -race nothing may be shared wrongly.
func TestViewsBesideApply(t *testing.T) {
	s, log := newTestShard(t), newScript(3, 200)
	views := make(chan *View, 2)
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for v := range views {
				first := describeView(v)
				if second := describeView(v); !slices.Equal(first, second) {
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
			views <- s.View()
		}
	}
	close(views)
	close(stop)
	work.Wait()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
}

// A view that is tried is there at once or not at all.
func TestTryView(t *testing.T) {
	s, log := newTestShard(t), newScript(3, 200)
	mustApply(t, s, 4, log.step(nil))
	s.mu.Lock() // as Apply does
	if v := s.TryView(); v != nil {
		t.Error("a view of a shard that is busy")
	}
	s.mu.Unlock()
	v, w := s.TryView(), s.View()
	if v == nil || v.Seq() != w.Seq() || v.Hash() != w.Hash() {
		t.Fatal("no view, or another one")
	}
	before := describeView(v)
	mustApply(t, s, 5, log.step(nil))
	if !slices.Equal(before, describeView(v)) {
		t.Error("the view changed")
	}
	v.Release()
	w.Release()
}
