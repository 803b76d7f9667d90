package eval

import (
	"cmp"
	"math"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// sequence is `did A then B …`. For every profile the set of events that can have been chosen for
// each step is computed from that of the step before, so any choice is found without trying all.
type sequence struct {
	now   int64
	first step
	steps []seqStep
}

type seqStep struct {
	step
	pair   pairPred   // the part of `where (…)` that mentions previous.; nil without
	join   *join      // an equality in it; nil without
	equal  *[2]column // all of it is an equality of these; nil if not
	absent bool
	gap    int64 // ms; Forever without `within`
}

func (c *compiler) sequence(p *tree.Sequence) (plan, error) {
	first, err := c.step(p.First, p.Window)
	if err != nil {
		return nil, err
	}
	seq := sequence{now: c.env.Now, first: first}
	previous := eventScope{first.event, first.known}
	for _, s := range p.Steps {
		next := seqStep{absent: s.Absent, gap: calendar.Forever}
		if s.Within != nil {
			next.gap = calendar.Shift(0, *s.Within, +1, c.zone)
		}
		plain, linked := splitPrevious(s.Step.Where)
		if next.step, err = c.step(tree.Step{Event: s.Step.Event, Where: plain}, tree.Window{}); err != nil {
			return nil, err
		}
		own := eventScope{next.event, next.known}
		if linked != nil {
			pc := pairs{compiler{env: c.env, zone: c.zone, event: &own}, compiler{env: c.env, zone: c.zone, event: &previous}}
			if next.pair, err = pc.pred(linked); err != nil {
				return nil, err
			}
			if next.join, err = pc.join(linked); err != nil {
				return nil, err
			}
			if next.equal, err = pc.matched(linked); err != nil {
				return nil, err
			}
		}
		if first.from != calendar.Never { // every step is later than the first
			next.from = first.from + 1
		}
		seq.steps = append(seq.steps, next)
		if s.Absent {
			seq.settle(next.gap)
		} else {
			previous = own
		}
	}
	return seq, nil
}

// settle bounds the step the last `then not` is about: an event whose gap is not over cannot be chosen.
func (q *sequence) settle(gap int64) {
	about := &q.first
	for k := range q.steps {
		if !q.steps[k].absent {
			about = &q.steps[k].step
		}
	}
	about.to = min(about.to, calendar.Add(calendar.Add(q.now, 1), -gap))
}

// splitPrevious parts a condition into what looks at one event and what mentions previous.
func splitPrevious(p tree.Pred) (plain, linked tree.Pred) {
	if p == nil {
		return nil, nil
	}
	args := []tree.Pred{p}
	if and, ok := p.(*tree.And); ok {
		args = and.Args
	}
	var one, two []tree.Pred
	for _, arg := range args {
		if tree.AsksPrevious(arg) {
			two = append(two, arg)
		} else {
			one = append(one, arg)
		}
	}
	return tree.AllOf(one), tree.AllOf(two)
}

// sequenceRunner answers sequences without previous, and those of two steps that ask one equality of
// it, by moments, which are sorted and compared as numbers, and the others profile by profile.
type sequenceRunner struct {
	sequence
	run      *run
	linked   bool      // a step has a pair
	matching *matching // of a sequence that is one; nil if not
	scans    []*scan   // the first step, then the others
	found    []moments
	order    []int // of scans

	visits      [][]visit
	blocks      []*query.Block // of the visits
	sorter      visitSorter
	at          []int
	lanes       [][]visit
	here, there []visit // events that can be chosen for the current and the next step
	joiner      joiner
	pair        pair
}

func (p sequence) bind(r *run) runner {
	s := &sequenceRunner{sequence: p, run: r, scans: []*scan{p.first.bind(r)}}
	for _, st := range p.steps {
		s.scans = append(s.scans, st.step.bind(r))
		s.linked = s.linked || st.pair != nil
	}
	if len(p.steps) == 1 && p.steps[0].equal != nil {
		s.matching = &matching{columns: *p.steps[0].equal}
	}
	n := len(s.scans)
	r.bound(n * runnerBytes)
	s.sorter.stock, s.joiner.stock = r.stock, r.stock
	s.found, s.order = make([]moments, n), make([]int, n)
	s.visits, s.at, s.lanes = make([][]visit, n), make([]int, n), make([][]visit, n)
	return s
}

func (q *sequenceRunner) cost(s *scope) float64 {
	cost := 0.0
	for _, sc := range q.scans {
		cost += 5 * sc.cost(s.chunk)
	}
	if q.linked {
		cost *= 4
	}
	return cost
}

// absent tells whether scan k is that of a `then not`.
func (q *sequenceRunner) absent(k int) bool { return k > 0 && q.steps[k-1].absent }

// arrange puts the scans in the order in which they are read: a profile needs all steps but those of
// `then not`, so the cheapest of them goes first and leaves the others less to look at.
func (q *sequenceRunner) arrange(chunk int) {
	for k := range q.order {
		q.order[k] = k
	}
	costs := func(k int) float64 {
		if q.absent(k) {
			return math.Inf(1)
		}
		return q.scans[k].cost(chunk)
	}
	slices.SortStableFunc(q.order, func(i, j int) int { return cmp.Compare(costs(i), costs(j)) })
}

func (q *sequenceRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	q.find(s, cand, out)
	return countBits(out)
}

// find sets out to the candidates with the sequence.
func (q *sequenceRunner) find(s *scope, cand, out []uint64) {
	base, ok := momentBase(q.scans, s.chunk)
	if q.matching != nil && ok {
		if q.arrange(s.chunk); q.match(s.chunk, base, cand, out) {
			return
		}
	}
	open, met := q.run.words(len(cand)), q.run.words(len(cand))
	copy(open, cand)
	q.arrange(s.chunk)
	switch {
	case q.linked || !ok:
		open, met = q.look(s.chunk, open, met)
		clear(out)
		q.decide(open, out)
	case q.many(s.chunk):
		q.stepwise(s.chunk, base, open, met, out)
	default:
		open, met = q.read(s.chunk, base, open, met)
		clear(out)
		q.choose(open, met, out)
	}
	q.run.give(open)
	q.run.give(met)
}

// read gathers the moments of all steps. It returns who has those of all steps that are needed, and
// who has some of the last step read.
func (q *sequenceRunner) read(chunk int, base int64, open, met []uint64) (left, last []uint64) {
	for _, k := range q.order {
		if !anyBit(open) || !q.run.stock.Spend(clauseWork) {
			break
		}
		q.found[k].read(q.scans[k], chunk, base, open, met)
		if !q.absent(k) {
			open, met = met, open
		}
	}
	return open, met
}

// choose sets out to the profiles in open for whom any choice of moments makes the sequence.
func (q *sequenceRunner) choose(open, met, out []uint64) {
	if !anyBit(open) {
		return
	}
	if len(q.steps) == 1 && q.steps[0].absent { // who has none of the step needs no look at times
		for w := range out {
			out[w] = open[w] &^ met[w]
			open[w] &= met[w]
		}
	}
	q.found[0].sort(open)
	here := q.found[0].keys
	for k := range q.steps {
		if len(here) == 0 || !q.run.stock.Spend(len(here)) {
			return
		}
		q.found[k+1].sort(open)
		next, gap := q.found[k+1].keys, uint64(min(q.steps[k].gap, momentTime))
		if q.steps[k].absent {
			here = without(here, next, gap)
		} else {
			here = follow(here, next, gap)
		}
	}
	for _, m := range here {
		set(out, int(m>>momentBits))
	}
}

// look gathers the visits of all steps of those in open, and returns who has those that are needed.
func (q *sequenceRunner) look(chunk int, open, met []uint64) (left, spare []uint64) {
	q.blocks = q.blocks[:0]
	for _, k := range q.order {
		if !anyBit(open) {
			break
		}
		clear(met)
		visits, stock := q.visits[k][:0], q.run.stock
		q.scans[k].each(chunk, open, func(b *query.Block, rows []uint64) {
			block := uint32(len(q.blocks))
			q.blocks = append(q.blocks, b)
			n := b.Rows
			if rows != nil {
				n = countBits(rows)
			}
			visits = stock.visits.more(visits, n)
			eachSelected(b, rows, func(i int) {
				if p := b.Pos[i]; has(open, int(p)) {
					visits = append(visits, visit{b.Time(i), block, uint32(i), p})
					set(met, int(p))
				}
			})
		})
		q.visits[k] = visits
		if !q.absent(k) {
			open, met = met, open
		}
	}
	return open, met
}

// decide goes through the profiles in order, with the visits of each step in step.
func (q *sequenceRunner) decide(open, out []uint64) {
	if !anyBit(open) {
		return
	}
	for k := range q.visits {
		if !q.run.stock.Spend(clauseWork + len(q.visits[k])) {
			return
		}
		q.visits[k] = slices.DeleteFunc(q.visits[k], func(v visit) bool { return !has(open, int(v.pos)) })
		q.sorter.sort(&q.visits[k])
		q.at[k] = 0
	}
	eachBit(open, func(pos int) {
		if !q.run.stock.Spend(len(q.visits)) {
			return
		}
		for k, v := range q.visits {
			from := q.at[k]
			for q.at[k] < len(v) && int(v[q.at[k]].pos) == pos {
				q.at[k]++
			}
			q.lanes[k] = v[from:q.at[k]]
		}
		if q.fits(q.lanes) {
			set(out, pos)
		}
	})
}

// fits tells whether any choice of one profile's events makes the sequence; lanes hold the visits of
// each step by time.
func (q *sequenceRunner) fits(lanes [][]visit) bool {
	q.here = append(q.run.stock.visits.more(q.here[:0], len(lanes[0])), lanes[0]...)
	for k := range q.steps {
		st, visits := &q.steps[k], lanes[k+1]
		joined := st.join != nil && len(q.here)*len(visits) > joinWorth
		switch {
		case st.absent && joined:
			q.keepJoined(st, visits)
		case st.absent:
			q.keepWithout(st, visits)
		case joined:
			q.followJoined(st, visits)
		default:
			q.follow(st, visits)
		}
		if len(q.here) == 0 {
			return false
		}
	}
	return true
}

// pairOf makes the pair a condition looks at, which lives until the next.
func (q *sequenceRunner) pairOf(v, previous visit) *pair {
	q.pair.row = rowAt{q.blocks[v.block], int(v.row)}
	q.pair.previous = rowAt{q.blocks[previous.block], int(previous.row)}
	return &q.pair
}

// pairWork is about what it takes to look at a pair, in nanoseconds.
const pairWork = 50

// follow replaces the chosen events by those of the next step that can come after one of them.
func (q *sequenceRunner) follow(st *seqStep, visits []visit) {
	q.there = q.run.stock.visits.more(q.there[:0], len(visits))
	before := 0 // chosen events earlier than the visit
	for _, v := range visits {
		for before < len(q.here) && q.here[before].time < v.time {
			before++
		}
		for j := before - 1; j >= 0 && v.time <= calendar.Add(q.here[j].time, st.gap); j-- {
			if !q.run.stock.Spend(pairWork) || st.pair == nil || st.pair(q.pairOf(v, q.here[j])) {
				q.there = append(q.there, v)
				break
			}
		}
	}
	q.here, q.there = q.there, q.here
}

// keepWithout keeps the chosen events whose gap is over and has no event of the step.
func (q *sequenceRunner) keepWithout(st *seqStep, visits []visit) {
	kept := q.here[:0]
	after := 0 // visits not later than the chosen event
	for _, a := range q.here {
		end := calendar.Add(a.time, st.gap)
		for after < len(visits) && visits[after].time <= a.time {
			after++
		}
		found := end > q.now
		for j := after; !found && j < len(visits) && visits[j].time <= end; j++ {
			found = !q.run.stock.Spend(pairWork) || st.pair == nil || st.pair(q.pairOf(visits[j], a))
		}
		if !found {
			kept = append(kept, a)
		}
	}
	q.here = kept
}
