package eval

import (
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
)

// did tests how many rows of a step a profile has: lo <= n <= hi, without an upper bound if hi < 0.
// Either 1 <= lo or 0 <= hi: newDid returns another plan for bounds that admit every profile or none.
type did struct {
	step   step
	lo, hi int64
}

// newDid returns the plan for a count of rows. No profile has rows of an event the catalog does not
// know.
func newDid(st step, lo, hi int64) plan {
	switch {
	case hi >= 0 && lo > hi:
		return none{}
	case lo <= 0 && hi < 0:
		return all{}
	case lo <= 0: // at most hi times: not more than hi times
		return notPlan{newDid(st, hi+1, -1)}
	case !st.known:
		return none{}
	}
	return did{step: st, lo: lo, hi: hi}
}

type didRunner struct {
	did
	scan *scan
	n8   []uint8
	n16  []uint16
	n32  []uint32
}

func (p did) bind(r *run) runner { return &didRunner{did: p, scan: p.step.bind(r)} }

func (d *didRunner) cost(s *scope) float64 {
	series := d.scan.series(s.chunk)
	if d.lo == 1 && d.hi < 0 && d.scan.where == nil && series.Ever.Count() > 0 && d.scan.covers(&series) {
		return 200
	}
	cost := d.scan.cost(s.chunk)
	if d.scan.totalled(&series) {
		cost = totalsCost
	}
	if d.lo != 1 || d.hi >= 0 {
		cost *= 1.5
	}
	return cost
}

func (d *didRunner) eval(s *scope, cand []uint64, n int, out []uint64) int {
	series := d.scan.series(s.chunk)
	if d.lo == 1 && d.hi < 0 && series.Rows > 0 {
		return d.evalAny(s.chunk, &series, cand, n, out)
	}
	clear(out)
	if int64(series.Rows) < d.lo {
		return 0
	}
	if d.evalTotals(&series, cand, out) {
		return countBits(out)
	}
	// Counting to one more than the largest bound is enough. The counters run up to the maximum of their type
	// all the same: few of them reach it, so the branch that stops there is well predicted.
	switch top := max(d.lo, d.hi+1); {
	case top <= math.MaxUint8:
		d.n8 = d.scan.run.scratch.u8.sized(d.n8, query.ChunkSize)
		evalCounts(d, s.chunk, cand, out, d.n8, math.MaxUint8)
	case top <= math.MaxUint16:
		d.n16 = d.scan.run.scratch.u16.sized(d.n16, query.ChunkSize)
		evalCounts(d, s.chunk, cand, out, d.n16, math.MaxUint16)
	default:
		d.n32 = d.scan.run.scratch.u32.sized(d.n32, query.ChunkSize)
		evalCounts(d, s.chunk, cand, out, d.n32, math.MaxUint32)
	}
	return countBits(out)
}

// evalAny sets out to those of the n candidates that have at least one row, and returns their number.
func (d *didRunner) evalAny(chunk int, series *query.Series, cand []uint64, n int, out []uint64) int {
	if series.Ever.Count() > 0 && d.scan.where == nil && d.scan.covers(series) {
		return series.Ever.Among(cand, n, out)
	}
	found := (*query.Bits)(out)
	clear(found[:])
	d.scan.each(chunk, cand, func(b *query.Block, rows []uint64) {
		if rows == nil {
			setAll(found, b.Pos[:b.Rows])
			return
		}
		eachBit(rows, func(i int) { found.Set(b.Pos[i]) })
	})
	return lanes.And(cand, out, out)
}

// setAll adds the profiles of rows to found. It takes rows from four quarters in turn, for the reason
// given at countAll.
func setAll(found *query.Bits, pos []uint16) {
	quarter := len(pos) / 4
	p0, p1, p2, p3 := pos[:quarter], pos[quarter:2*quarter], pos[2*quarter:3*quarter], pos[3*quarter:4*quarter]
	for i := range p0 {
		found.Set(p0[i])
		found.Set(p1[i])
		found.Set(p2[i])
		found.Set(p3[i])
	}
	for _, p := range pos[4*quarter:] {
		found.Set(p)
	}
}

// evalTotals sets out from the totals of the series. It returns false if the window does not cover the
// whole series, or if there are no totals or they do not suffice.
func (d *didRunner) evalTotals(series *query.Series, cand, out []uint64) bool {
	if !d.scan.totalled(series) || max(d.lo, d.hi+1) > math.MaxUint8 {
		return false
	}
	n := &series.Totals.Counts
	if rest := series.Blocks[series.Settled:]; len(rest) > 0 {
		d.n8 = d.scan.run.scratch.u8.sized(d.n8, query.ChunkSize)
		own := (*[query.ChunkSize]uint8)(d.n8)
		*own = *n
		for _, b := range rest {
			d.scan.run.scan(b.Rows)
			countAll(own, b.Pos[:b.Rows], math.MaxUint8)
		}
		n = own
	}
	hi := uint8(math.MaxUint8)
	if d.hi >= 0 {
		hi = uint8(d.hi)
	}
	narrowEval(n[:], uint8(d.lo), hi, cand, out)
	return true
}

// evalCounts counts the rows of one chunk in n, whose counters stop at top, and sets out to the
// candidates whose count is within the bounds.
func evalCounts[T uint8 | uint16 | uint32](d *didRunner, chunk int, cand, out []uint64, n []T, top T) {
	clear(n)
	all := (*[query.ChunkSize]T)(n)
	d.scan.each(chunk, cand, func(b *query.Block, rows []uint64) {
		if rows == nil {
			countAll(all, b.Pos[:b.Rows], top)
			return
		}
		eachBit(rows, func(i int) {
			if p := b.Pos[i]; all[p] < top {
				all[p]++
			}
		})
	})
	lo := T(min(d.lo, int64(top)))
	if d.lo > int64(top) { // more than the counters can hold, and more than there are rows
		return
	}
	hi := top
	if d.hi >= 0 {
		hi = T(min(d.hi, int64(top)))
	}
	narrowEval(n, lo, hi, cand, out)
}

// countAll counts rows by profile. The rows of a leaf are ordered by position, and an increment must
// wait for the one before it if both are of the same counter. Taking rows from four quarters in turn
// avoids that wait.
func countAll[T uint8 | uint16 | uint32](n *[query.ChunkSize]T, pos []uint16, top T) {
	quarter := len(pos) / 4
	p0, p1, p2, p3 := pos[:quarter], pos[quarter:2*quarter], pos[2*quarter:3*quarter], pos[3*quarter:4*quarter]
	for i := range p0 {
		if x := n[p0[i]]; x < top {
			n[p0[i]] = x + 1
		}
		if x := n[p1[i]]; x < top {
			n[p1[i]] = x + 1
		}
		if x := n[p2[i]]; x < top {
			n[p2[i]] = x + 1
		}
		if x := n[p3[i]]; x < top {
			n[p3[i]] = x + 1
		}
	}
	for _, p := range pos[4*quarter:] {
		if x := n[p]; x < top {
			n[p] = x + 1
		}
	}
}
