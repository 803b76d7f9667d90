package persist

import "sync"

// logSizes estimates how many bytes the log holds after an index, which decides when a snapshot is due. It
// keeps one sample per sizeStep bytes rather than one per entry.
type logSizes struct {
	mu struct {
		sync.Mutex
		total   int64
		samples []sizeSample // ascending
	}
}

type sizeSample struct {
	index uint64
	total int64 // bytes up to and including index
}

const sizeStep = 64 << 10

func (s *logSizes) add(index uint64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.total += int64(n)
	k := len(s.mu.samples)
	if k == 0 || s.mu.total-s.mu.samples[k-1].total >= sizeStep {
		s.mu.samples = append(s.mu.samples, sizeSample{index: index, total: s.mu.total})
	}
}

// truncate forgets [from, to], a prefix or a suffix.
func (s *logSizes) truncate(from, to uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.mu.samples[:0]
	back := false
	for _, x := range s.mu.samples {
		if x.index < from || x.index > to {
			kept = append(kept, x)
		}
		back = back || x.index < from
	}
	s.mu.samples = kept
	if n := len(kept); back && n > 0 && kept[n-1].index < from {
		s.mu.total = kept[n-1].total
	}
}

// BytesSince returns about how many bytes of entries follow index, to within 64 KiB and one entry.
func (l *Log) BytesSince(index uint64) int64 {
	s := &l.sizes
	s.mu.Lock()
	defer s.mu.Unlock()
	samples := s.mu.samples
	if len(samples) == 0 {
		return 0
	}
	lo, hi := 0, len(samples)
	for lo < hi {
		if mid := (lo + hi) / 2; samples[mid].index <= index {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return s.mu.total - samples[0].total
	}
	return s.mu.total - samples[lo-1].total
}

// LogBytes returns about how many bytes of entries the log holds.
func (l *Log) LogBytes() int64 { return l.BytesSince(0) }
