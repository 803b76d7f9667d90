package eval

import (
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
)

// Attempts finds how far the profiles of a chunk get in a funnel. An attempt starts at any row of the
// first step. It takes the earliest later row of each next step and ends gap after its first row.
// Attempts is for one goroutine.
type Attempts struct {
	steps   []*EventScan
	scans   []*scan // the scans of steps
	gap     int64
	found   []rowKeys
	at      []int
	met     []query.Bits // by step: the profiles that have a row of it and of every earlier step
	reached []query.Bits // by step: the profiles that get there
}

// NewAttempts returns the attempts at some steps. A gap of math.MaxInt64 means no limit. NewAttempts
// narrows the scans of the later steps to the times an attempt can reach.
func NewAttempts(steps []*EventScan, gap int64) *Attempts {
	n := len(steps)
	a := &Attempts{steps: steps, gap: gap, found: make([]rowKeys, n), at: make([]int, n), met: make([]query.Bits, n), reached: make([]query.Bits, n)}
	first := steps[0].scan
	first.run.charge(n * (2*setBytes + runnerBytes))
	for k, s := range steps {
		if k > 0 {
			s.Narrow(calendar.Add(first.from, 1), calendar.Add(first.to, gap))
		}
		a.scans = append(a.scans, s.scan)
	}
	return a
}

// Chunk returns, for every step, the candidates that reach it. The result is valid until the next call.
func (a *Attempts) Chunk(chunk int, cand *query.Bits) []query.Bits {
	clear(a.reached)
	base, ok := keyBase(a.scans, chunk)
	if !ok {
		a.chunkByTimelines(chunk, cand)
		return a.reached
	}
	clear(a.met)
	from, last := cand, 0
	for k, s := range a.scans {
		if k > 0 && !from.Any() || !s.run.scratch.Spend(clauseWork) {
			break
		}
		a.found[k].read(s, chunk, base, from[:], a.met[k][:])
		from, last = &a.met[k], k
	}
	a.reached[0] = a.met[0]
	if last == 0 {
		return a.reached
	}
	for k := range a.found[:last+1] { // profiles without a row of the second step are decided
		a.found[k].sort(a.met[max(k, 1)][:])
	}
	a.walk(last + 1)
	return a.reached
}

// walk follows the row keys of the first steps. The keys of each step are sorted. The next row of a
// later first row is never earlier, so every key is visited once.
func (a *Attempts) walk(steps int) {
	clear(a.at)
	firsts := a.found[0].keys
	scratch := a.scans[0].run.scratch
	for i := 0; i < len(firsts) && scratch.Spend(steps); {
		at := firsts[i]
		end := at | maxKeyTime // of the profile
		until := end
		if uint64(a.gap) < end-at {
			until = at + uint64(a.gap)
		}
		pos := uint16(at >> timeBits)
		k := 1
		for ; k < steps; k++ {
			keys, j := a.found[k].keys, a.at[k]
			for j < len(keys) && keys[j] <= at {
				j++
			}
			a.at[k] = j
			if j == len(keys) || keys[j] > until {
				break
			}
			at = keys[j]
			a.reached[k].Set(pos)
		}
		i++
		if k == steps {
			for i < len(firsts) && firsts[i] <= end {
				i++
			}
		}
	}
}

// chunkByTimelines is Chunk for times that row keys cannot represent.
func (a *Attempts) chunkByTimelines(chunk int, cand *query.Bits) {
	timelines(a.steps, chunk, cand, func(pos uint16, times [][]int64) {
		for k := range bestAttempt(times, a.gap) {
			a.reached[k].Set(pos)
		}
	})
}

// bestAttempt returns the number of steps that the best attempt of a profile reaches.
func bestAttempt(times [][]int64, gap int64) int {
	best := 0
	for _, first := range times[0] {
		until := calendar.Add(first, gap)
		reached, at := 1, first
		for reached < len(times) {
			next := times[reached]
			i := sort.Search(len(next), func(i int) bool { return next[i] > at })
			if i == len(next) || next[i] > until {
				break
			}
			at = next[i]
			reached++
		}
		if best = max(best, reached); best == len(times) {
			break
		}
	}
	return best
}
