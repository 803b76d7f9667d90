package eval

import (
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
)

// Attempts finds how far the profiles of a chunk get in a funnel. An attempt begins with any row of the
// first step, takes the earliest later row of each next one, and ends gap after its first row. It is
// for one goroutine.
type Attempts struct {
	scans   []*EventScan
	bare    []*scan // of the scans
	gap     int64
	found   []moments
	at      []int
	met     []query.Bits // by step: who has a row of it and of those before
	reached []query.Bits
}

// NewAttempts returns the attempts at some steps; gap is math.MaxInt64 for no bound. It narrows the
// later scans to the times attempts may reach.
func NewAttempts(steps []*EventScan, gap int64) *Attempts {
	n := len(steps)
	a := &Attempts{scans: steps, gap: gap, found: make([]moments, n), at: make([]int, n), met: make([]query.Bits, n), reached: make([]query.Bits, n)}
	first := steps[0].scan
	first.run.bound(n * (2*setBytes + runnerBytes))
	for k, s := range steps {
		if k > 0 {
			s.Narrow(calendar.Add(first.from, 1), calendar.Add(first.to, gap))
		}
		a.bare = append(a.bare, s.scan)
	}
	return a
}

// Chunk returns for every step which of the candidates reach it, valid until the next call.
func (a *Attempts) Chunk(chunk int, cand *query.Bits) []query.Bits {
	clear(a.reached)
	base, ok := momentBase(a.bare, chunk)
	if !ok {
		a.look(chunk, cand)
		return a.reached
	}
	clear(a.met)
	from, last := cand, 0
	for k, s := range a.bare {
		if k > 0 && !from.Any() || !s.run.stock.Spend(clauseWork) {
			break
		}
		a.found[k].read(s, chunk, base, from[:], a.met[k][:])
		from, last = &a.met[k], k
	}
	a.reached[0] = a.met[0]
	if last == 0 {
		return a.reached
	}
	for k := range a.found[:last+1] { // who has no row of the second step needs no look at times
		a.found[k].sort(a.met[max(k, 1)][:])
	}
	a.walk(last + 1)
	return a.reached
}

// walk goes through the moments of the first steps. Those of all steps are ordered, and a later first
// row never has an earlier next one, so that each is met once.
func (a *Attempts) walk(steps int) {
	clear(a.at)
	firsts := a.found[0].keys
	stock := a.bare[0].run.stock
	for i := 0; i < len(firsts) && stock.Spend(steps); {
		at := firsts[i]
		end := at | momentTime // of the profile
		until := end
		if uint64(a.gap) < end-at {
			until = at + uint64(a.gap)
		}
		pos := uint16(at >> momentBits)
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

// look is Chunk for times moments cannot hold.
func (a *Attempts) look(chunk int, cand *query.Bits) {
	timelines(a.scans, chunk, cand, func(pos uint16, times [][]int64) {
		for k := range bestAttempt(times, a.gap) {
			a.reached[k].Set(pos)
		}
	})
}

// bestAttempt returns how many steps the best attempt of a profile reaches.
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
