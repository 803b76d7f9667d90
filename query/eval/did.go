package eval

import (
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
)

// did asks how often profiles have a row of a step: lo <= n <= hi, hi < 0 for no upper bound, with
// 1 <= lo or 0 <= hi (what admits everybody or nobody is no did).
type did struct {
	step   step
	lo, hi int64
}

// newDid returns the plan of a count; an event the catalog does not know is one nobody did.
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
		return d.once(s.chunk, &series, cand, n, out)
	}
	clear(out)
	if int64(series.Rows) < d.lo {
		return 0
	}
	if d.settled(&series, cand, out) {
		return countBits(out)
	}
	// One more than the largest bound tells all counts apart that matter. Counters go on to what they
	// can hold: that so few reach their top is what makes the branch at it cheap.
	switch top := max(d.lo, d.hi+1); {
	case top <= math.MaxUint8:
		d.n8 = d.scan.run.stock.u8.sized(d.n8, query.ChunkSize)
		counts(d, s.chunk, cand, out, d.n8, math.MaxUint8)
	case top <= math.MaxUint16:
		d.n16 = d.scan.run.stock.u16.sized(d.n16, query.ChunkSize)
		counts(d, s.chunk, cand, out, d.n16, math.MaxUint16)
	default:
		d.n32 = d.scan.run.stock.u32.sized(d.n32, query.ChunkSize)
		counts(d, s.chunk, cand, out, d.n32, math.MaxUint32)
	}
	return countBits(out)
}

// once sets out to those of n candidates with any row and returns how many they are.
func (d *didRunner) once(chunk int, series *query.Series, cand []uint64, n int, out []uint64) int {
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

// setAll adds the profiles of rows. Rows of four quarters take turns, as in countAll.
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

// settled sets out from the totals of the series, which the window must take in whole; false where there
// are none or they do not tell.
func (d *didRunner) settled(series *query.Series, cand, out []uint64) bool {
	if !d.scan.totalled(series) || max(d.lo, d.hi+1) > math.MaxUint8 {
		return false
	}
	n := &series.Totals.Counts
	if rest := series.Blocks[series.Settled:]; len(rest) > 0 {
		d.n8 = d.scan.run.stock.u8.sized(d.n8, query.ChunkSize)
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

// counts fills the counters n of one chunk, which stay at top, and sets out to the candidates within
// bounds.
func counts[T uint8 | uint16 | uint32](d *didRunner, chunk int, cand, out []uint64, n []T, top T) {
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
	if d.lo > int64(top) { // more than counters can hold, and more than there are rows
		return
	}
	hi := top
	if d.hi >= 0 {
		hi = T(min(d.hi, int64(top)))
	}
	narrowEval(n, lo, hi, cand, out)
}

// countAll counts rows. Those of a leaf are ordered by position, and counting waits for a counter just
// written: so rows of four quarters take turns.
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
