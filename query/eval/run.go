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

// runner evaluates a plan over one source. It owns buffers: one goroutine at a time.
type runner interface {
	// cost estimates the work of one evaluation in nanoseconds. It decides speed, never an answer.
	cost(s *scope) float64
	// eval sets out to those of the n elements of cand for which the predicate is true and returns how
	// many they are; out is not cand.
	eval(s *scope, cand []uint64, n int, out []uint64) int
}

// scope is what a runner looks at: the profiles of a chunk, or the rows of a block of it. Sets are
// words of bits: 1,024 for a chunk, one for every 64 rows of a block.
type scope struct {
	chunk int
	block *query.Block // nil: profiles
}

// rows is the number of elements of the scope.
func (s *scope) rows() int {
	if s.block != nil {
		return s.block.Rows
	}
	return query.ChunkSize
}

// Bytes of what is bound, whatever it looks at: a runner or loader, and one that keeps a set of a chunk.
const (
	runnerBytes = 512
	setBytes    = query.ChunkSize / 8
)

// run is the state one binding shares: the source and a stock of buffers.
type run struct {
	src     query.Source
	now     int64
	scanned *atomic.Int64
	blocks  *atomic.Int64
	beyond  *atomic.Bool
	stock   *Stock
	free    [][]uint64
}

func newRun(src query.Source, env *Env) *run {
	r := &run{src: src, now: env.Now, scanned: env.Scanned, blocks: env.Blocks, beyond: env.Beyond, stock: env.Stock}
	if r.stock == nil {
		r.stock = &Stock{}
	}
	return r
}

// scan counts the rows read of one block.
func (r *run) scan(rows int) {
	if r.blocks != nil && rows > 0 {
		r.blocks.Add(1)
	}
	if r.scanned != nil {
		r.scanned.Add(int64(rows))
	}
}

// bound charges what is being bound.
func (r *run) bound(bytes int) { r.stock.charge(bytes) }

// words lends a set of n words with unspecified content; give returns it.
func (r *run) words(n int) []uint64 {
	if k := len(r.free); k > 0 && cap(r.free[k-1]) >= n {
		w := r.free[k-1]
		r.free = r.free[:k-1]
		return w[:n]
	}
	return r.stock.words.take(n)
}

func (r *run) give(w []uint64) { r.free = append(r.free, w) }

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
