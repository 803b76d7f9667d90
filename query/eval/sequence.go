package eval

import (
	"cmp"
	"math"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// sequence is `did A then B …`. For every profile, the set of events that can be chosen for a step is
// computed from the set for the step before. This finds out whether any choice works without trying all
// of them.
type sequence struct {
	now   int64
	first step
	steps []seqStep
}

type seqStep struct {
	step
	pair   pairPred   // the part of `where (…)` that mentions previous; nil if there is none
	join   *join      // an equality in pair; nil if there is none
	equal  *[2]column // the columns of pair if it is one equality; nil otherwise
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
			seq.excludeOpenGaps(next.gap)
		} else {
			previous = own
		}
	}
	return seq, nil
}

// excludeOpenGaps bounds the step that the last `then not` refers to: an event whose gap has not ended
// cannot be chosen.
func (q *sequence) excludeOpenGaps(gap int64) {
	about := &q.first
	for k := range q.steps {
		if !q.steps[k].absent {
			about = &q.steps[k].step
		}
	}
	about.to = min(about.to, calendar.Add(calendar.Add(q.now, 1), -gap))
}

// splitPrevious splits a condition into the part on one event and the part that mentions previous.
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
		if tree.MentionsPrevious(arg) {
			two = append(two, arg)
		} else {
			one = append(one, arg)
		}
	}
	return tree.AllOf(one), tree.AllOf(two)
}

// sequenceRunner evaluates sequences. If no condition mentions previous, or there are two steps linked
// by one equality, it sorts and compares row keys. Otherwise it goes through the events profile by
// profile.
type sequenceRunner struct {
	sequence
	run      *run
	linked   bool      // whether a step has a pair
	matching *matching // if two steps are linked by one equality; nil otherwise
	scans    []*scan   // the first step, then the others
	found    []rowKeys
	order    []int // in which scans are read

	refs         [][]rowRef
	blocks       []*query.Block // that refs refer to
	sorter       refSorter
	at           []int
	lanes        [][]rowRef
	chosen, next []rowRef // events that can be chosen for the current and for the next step
	joiner       joiner
	pair         pair
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
	r.charge(n * runnerBytes)
	s.sorter.scratch, s.joiner.scratch = r.scratch, r.scratch
	s.found, s.order = make([]rowKeys, n), make([]int, n)
	s.refs, s.at, s.lanes = make([][]rowRef, n), make([]int, n), make([][]rowRef, n)
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

// absent reports whether scan k is that of a `then not`.
func (q *sequenceRunner) absent(k int) bool { return k > 0 && q.steps[k-1].absent }

// orderScans sets the order in which the scans are read. A profile must have a row of every step except
// those of `then not`. So the cheapest of them goes first and leaves fewer candidates to the others.
func (q *sequenceRunner) orderScans(chunk int) {
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
	base, ok := keyBase(q.scans, s.chunk)
	if q.matching != nil && ok {
		if q.orderScans(s.chunk); q.match(s.chunk, base, cand, out) {
			return
		}
	}
	open, met := q.run.getWords(len(cand)), q.run.getWords(len(cand))
	copy(open, cand)
	q.orderScans(s.chunk)
	switch {
	case q.linked || !ok:
		open, met = q.readRefs(s.chunk, open, met)
		clear(out)
		q.decideRefs(open, out)
	case q.many(s.chunk):
		q.stepwise(s.chunk, base, open, met, out)
	default:
		open, met = q.read(s.chunk, base, open, met)
		clear(out)
		q.decideKeys(open, met, out)
	}
	q.run.putWords(open)
	q.run.putWords(met)
}

// read gathers the row keys of all steps. It returns the profiles that have a row of every required
// step, and those with a row of the last step read.
func (q *sequenceRunner) read(chunk int, base int64, open, met []uint64) (left, last []uint64) {
	for _, k := range q.order {
		if !anyBit(open) || !q.run.scratch.Spend(clauseWork) {
			break
		}
		q.found[k].read(q.scans[k], chunk, base, open, met)
		if !q.absent(k) {
			open, met = met, open
		}
	}
	return open, met
}

// decideKeys sets out to the profiles in open for which some choice of rows is the sequence.
func (q *sequenceRunner) decideKeys(open, met, out []uint64) {
	if !anyBit(open) {
		return
	}
	if len(q.steps) == 1 && q.steps[0].absent { // profiles without a row of the step are decided
		for w := range out {
			out[w] = open[w] &^ met[w]
			open[w] &= met[w]
		}
	}
	q.found[0].sort(open)
	chosen := q.found[0].keys
	for k := range q.steps {
		if len(chosen) == 0 || !q.run.scratch.Spend(len(chosen)) {
			return
		}
		q.found[k+1].sort(open)
		next, gap := q.found[k+1].keys, uint64(min(q.steps[k].gap, maxKeyTime))
		if q.steps[k].absent {
			chosen = without(chosen, next, gap)
		} else {
			chosen = follow(chosen, next, gap)
		}
	}
	for _, m := range chosen {
		set(out, int(m>>timeBits))
	}
}

// readRefs gathers the rows of all steps for the profiles in open. It returns those that have a row of
// every required step.
func (q *sequenceRunner) readRefs(chunk int, open, met []uint64) (left, spare []uint64) {
	q.blocks = q.blocks[:0]
	for _, k := range q.order {
		if !anyBit(open) {
			break
		}
		clear(met)
		refs, scratch := q.refs[k][:0], q.run.scratch
		q.scans[k].each(chunk, open, func(b *query.Block, rows []uint64) {
			block := uint32(len(q.blocks))
			q.blocks = append(q.blocks, b)
			n := b.Rows
			if rows != nil {
				n = countBits(rows)
			}
			refs = scratch.refs.extend(refs, n)
			eachSelected(b, rows, func(i int) {
				if p := b.Pos[i]; has(open, int(p)) {
					refs = append(refs, rowRef{b.Time(i), block, uint32(i), p})
					set(met, int(p))
				}
			})
		})
		q.refs[k] = refs
		if !q.absent(k) {
			open, met = met, open
		}
	}
	return open, met
}

// decideRefs sets out to the profiles in open for which some choice of rows is the sequence. It goes
// through them in order, and through the rows of all steps in parallel.
func (q *sequenceRunner) decideRefs(open, out []uint64) {
	if !anyBit(open) {
		return
	}
	for k := range q.refs {
		if !q.run.scratch.Spend(clauseWork + len(q.refs[k])) {
			return
		}
		q.refs[k] = slices.DeleteFunc(q.refs[k], func(v rowRef) bool { return !has(open, int(v.pos)) })
		q.sorter.sort(&q.refs[k])
		q.at[k] = 0
	}
	eachBit(open, func(pos int) {
		if !q.run.scratch.Spend(len(q.refs)) {
			return
		}
		for k, v := range q.refs {
			from := q.at[k]
			for q.at[k] < len(v) && int(v[q.at[k]].pos) == pos {
				q.at[k]++
			}
			q.lanes[k] = v[from:q.at[k]]
		}
		if q.matches(q.lanes) {
			set(out, pos)
		}
	})
}

// matches reports whether some choice of one profile's events is the sequence. lanes has the rows of
// each step, ordered by time.
func (q *sequenceRunner) matches(lanes [][]rowRef) bool {
	q.chosen = append(q.run.scratch.refs.extend(q.chosen[:0], len(lanes[0])), lanes[0]...)
	for k := range q.steps {
		st, refs := &q.steps[k], lanes[k+1]
		joined := st.join != nil && len(q.chosen)*len(refs) > joinWorth
		switch {
		case st.absent && joined:
			q.keepJoined(st, refs)
		case st.absent:
			q.keepWithout(st, refs)
		case joined:
			q.followJoined(st, refs)
		default:
			q.follow(st, refs)
		}
		if len(q.chosen) == 0 {
			return false
		}
	}
	return true
}

// pairOf returns the pair for a condition. It is valid until the next call.
func (q *sequenceRunner) pairOf(v, previous rowRef) *pair {
	q.pair.row = rowAt{q.blocks[v.block], int(v.row)}
	q.pair.previous = rowAt{q.blocks[previous.block], int(previous.row)}
	return &q.pair
}

// pairWork is the approximate time of testing a pair, in nanoseconds.
const pairWork = 50

// follow replaces the chosen events with those of the next step that can come after one of them.
func (q *sequenceRunner) follow(st *seqStep, refs []rowRef) {
	q.next = q.run.scratch.refs.extend(q.next[:0], len(refs))
	before := 0 // number of chosen events earlier than v
	for _, v := range refs {
		for before < len(q.chosen) && q.chosen[before].time < v.time {
			before++
		}
		for j := before - 1; j >= 0 && v.time <= calendar.Add(q.chosen[j].time, st.gap); j-- {
			if !q.run.scratch.Spend(pairWork) || st.pair == nil || st.pair(q.pairOf(v, q.chosen[j])) {
				q.next = append(q.next, v)
				break
			}
		}
	}
	q.chosen, q.next = q.next, q.chosen
}

// keepWithout keeps the chosen events whose gap has ended without an event of the step.
func (q *sequenceRunner) keepWithout(st *seqStep, refs []rowRef) {
	kept := q.chosen[:0]
	after := 0 // number of rows not later than the chosen event
	for _, a := range q.chosen {
		end := calendar.Add(a.time, st.gap)
		for after < len(refs) && refs[after].time <= a.time {
			after++
		}
		found := end > q.now
		for j := after; !found && j < len(refs) && refs[j].time <= end; j++ {
			found = !q.run.scratch.Spend(pairWork) || st.pair == nil || st.pair(q.pairOf(refs[j], a))
		}
		if !found {
			kept = append(kept, a)
		}
	}
	q.chosen = kept
}
