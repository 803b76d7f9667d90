package engine

import (
	"runtime"
	"sync"
	"testing"
)

// TestHashIgnoresProcessors checks that a log gives the same hashes on one processor and on several,
// with upkeep and readers at the same time.
func TestHashIgnoresProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var want [][16]byte
	for _, processors := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(processors)
		got := hashesBesideReaders(t)
		if want == nil {
			want = got
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%d processors: another hash after entry %d", processors, i)
			}
		}
	}
}

// hashesBesideReaders applies a log while other goroutines read and maintain the shard. It returns
// the hash after each entry and, last, that of a restored snapshot.
func hashesBesideReaders(t *testing.T) [][16]byte {
	s, log := newTestShard(t), newScript(11, 300)
	stop := make(chan struct{})
	var others sync.WaitGroup
	for _, work := range []func(){func() { s.Maintain(5000) }, func() { v := s.View(); describeView(v); v.Release() }} {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					work()
				}
			}
		})
	}
	var hashes [][16]byte
	for seq := uint64(4); seq < 120; seq++ {
		mustApply(t, s, seq, log.step(nil))
		hashes = append(hashes, s.Hash())
	}
	close(stop)
	others.Wait()
	return append(hashes, restoreCopy(t, s).Hash())
}
