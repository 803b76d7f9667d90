package eval

import "github.com/musterdb/muster/query"

// manyRows is the number of rows of all steps of a sequence in a chunk up to which their moments are held
// at once: 16 MiB of them.
const manyRows = 1 << 20

// many reports whether the steps of a sequence have too many rows in a chunk to hold all of them at once.
func (q *sequenceRunner) many(chunk int) bool {
	rows := 0
	for _, s := range q.scans {
		rows += s.series(chunk).Rows
	}
	return rows > manyRows && len(q.scans) > 2
}

// stepwise sets out to the profiles in open for whom any choice of moments makes the sequence, and holds the
// moments of two steps only. Who has a row of every step that is needed is found first, without their times.
func (q *sequenceRunner) stepwise(chunk int, base int64, open, met, out []uint64) {
	clear(out)
	q.meetAll(chunk, open, met)
	here, next := &q.found[0], &q.found[1]
	here.read(q.scans[0], chunk, base, open, met)
	here.sort(open)
	for k := range q.steps {
		if len(here.keys) == 0 || !q.run.stock.Spend(len(here.keys)) {
			return
		}
		clear(open)
		for _, m := range here.keys {
			set(open, int(m>>momentBits))
		}
		next.read(q.scans[k+1], chunk, base, open, met)
		next.sort(open)
		gap := uint64(min(q.steps[k].gap, momentTime))
		if q.steps[k].absent {
			here.keys = without(here.keys, next.keys, gap)
		} else {
			next.keys = follow(here.keys, next.keys, gap)
			here, next = next, here
		}
	}
	for _, m := range here.keys {
		set(out, int(m>>momentBits))
	}
}

// meetAll leaves those in open who have a row of every step that is needed, each kind of row asked once.
func (q *sequenceRunner) meetAll(chunk int, open, met []uint64) {
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
		if !anyBit(open) || !q.run.stock.Spend(clauseWork) {
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
