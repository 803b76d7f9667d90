package eval

import (
	"sync/atomic"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
)

// plan is a compiled predicate, over profiles or over the rows of one event.
type plan interface {
	bind(r *run) runner
}

// runner evaluates a plan over one source. It owns buffers, so it is for one goroutine at a time.
type runner interface {
	// cost estimates the time of one evaluation in nanoseconds. It affects speed, never a result.
	cost(s *scope) float64
	// eval sets out to those of the n elements of cand for which the predicate is true, and returns
	// their number. out is not cand.
	eval(s *scope, cand []uint64, n int, out []uint64) int
}

// scope is what a runner evaluates: the profiles of a chunk, or the rows of a block in it. Sets are
// bits in words: 1,024 words for a chunk, one word per 64 rows of a block.
type scope struct {
	chunk int
	block *query.Block // nil for profiles
}

// rows returns the number of elements of the scope.
func (s *scope) rows() int {
	if s.block != nil {
		return s.block.Rows
	}
	return query.ChunkSize
}

// Bytes charged for a runner or loader, and in addition for one that keeps a set of a chunk.
const (
	runnerBytes = 512
	setBytes    = query.ChunkSize / 8
)

// run is the state shared by everything bound together: the source and the scratch buffers.
type run struct {
	src     query.Source
	now     int64
	scanned *atomic.Int64
	blocks  *atomic.Int64
	beyond  *atomic.Bool
	scratch *Scratch
	free    [][]uint64
}

func newRun(src query.Source, env *Env) *run {
	r := &run{src: src, now: env.Now, scanned: env.Scanned, blocks: env.Blocks, beyond: env.Beyond, scratch: env.Scratch}
	if r.scratch == nil {
		r.scratch = &Scratch{}
	}
	return r
}

// scan counts the rows read from one block.
func (r *run) scan(rows int) {
	if r.blocks != nil && rows > 0 {
		r.blocks.Add(1)
	}
	if r.scanned != nil {
		r.scanned.Add(int64(rows))
	}
}

// charge charges the bytes of something being bound.
func (r *run) charge(bytes int) { r.scratch.charge(bytes) }

// getWords returns a set of n words with any content. putWords gives it back.
func (r *run) getWords(n int) []uint64 {
	if k := len(r.free); k > 0 && cap(r.free[k-1]) >= n {
		w := r.free[k-1]
		r.free = r.free[:k-1]
		return w[:n]
	}
	return r.scratch.words.get(n)
}

func (r *run) putWords(w []uint64) { r.free = append(r.free, w) }

func wordsFor(rows int) int { return (rows + 63) / 64 }

func anyBit(w []uint64) bool {
	for _, x := range w {
		if x != 0 {
			return true
		}
	}
	return false
}

func countBits(w []uint64) int { return lanes.Count(w) }

// fillOnes sets the first n bits of w and clears the rest.
func fillOnes(w []uint64, n int) {
	for i := range w {
		w[i] = ^uint64(0)
	}
	if n&63 != 0 && len(w) > 0 {
		w[n>>6] = 1<<(n&63) - 1
	}
}

func has(w []uint64, i int) bool { return w[i>>6]>>(i&63)&1 != 0 }
func set(w []uint64, i int)      { w[i>>6] |= 1 << (i & 63) }
