package eval

import "github.com/musterdb/muster/query"

// manyRows is the number of rows of all steps of a sequence in a chunk up to which all their row keys
// are in memory at the same time. With the buffers for sorting that is 16 MiB.
const manyRows = 1 << 20

// many reports whether the steps of a sequence have too many rows in a chunk to keep all their row keys
// in memory.
func (q *sequenceRunner) many(chunk int) bool {
	rows := 0
	for _, s := range q.scans {
		rows += s.series(chunk).Rows
	}
	return rows > manyRows && len(q.scans) > 2
}

// stepwise sets out to the profiles in open for which some choice of rows is the sequence. It keeps the
// row keys of only two steps in memory. It first finds the profiles with a row of every required step,
// without reading their times.
func (q *sequenceRunner) stepwise(chunk int, base int64, open, met, out []uint64) {
	clear(out)
	q.filterBySteps(chunk, open, met)
	chosen, next := &q.found[0], &q.found[1]
	chosen.read(q.scans[0], chunk, base, open, met)
	chosen.sort(open)
	for k := range q.steps {
		if len(chosen.keys) == 0 || !q.run.scratch.Spend(len(chosen.keys)) {
			return
		}
		clear(open)
		for _, m := range chosen.keys {
			set(open, int(m>>timeBits))
		}
		next.read(q.scans[k+1], chunk, base, open, met)
		next.sort(open)
		gap := uint64(min(q.steps[k].gap, maxKeyTime))
		if q.steps[k].absent {
			chosen.keys = without(chosen.keys, next.keys, gap)
		} else {
			next.keys = follow(chosen.keys, next.keys, gap)
			chosen, next = next, chosen
		}
	}
	for _, m := range chosen.keys {
		set(out, int(m>>timeBits))
	}
}

// filterBySteps keeps the profiles in open that have a row of every required step. It scans equal steps
// without a condition once.
func (q *sequenceRunner) filterBySteps(chunk int, open, met []uint64) {
	type kind struct {
		event    uint32
		from, to int64
	}
	asked := map[kind]bool{}
	for _, k := range q.order {
		s := q.scans[k]
		of := kind{s.event, s.from, s.to}
		if q.absent(k) || s.where == nil && asked[of] {
			continue
		}
		if s.where == nil {
			asked[of] = true
		}
		if !anyBit(open) || !q.run.scratch.Spend(clauseWork) {
			return
		}
		found := (*query.Bits)(met)
		clear(met)
		s.each(chunk, open, func(b *query.Block, rows []uint64) {
			if rows == nil {
				setAll(found, b.Pos[:b.Rows])
				return
			}
			eachBit(rows, func(i int) { found.Set(b.Pos[i]) })
		})
		for w := range open {
			open[w] &= met[w]
		}
	}
}
