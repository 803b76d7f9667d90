package eval

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval/calendar"
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
	pair   pairPred // the part of `where (…)` that mentions previous.; nil without
	join   *join    // an equality in it; nil without
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
		}
		if first.from != calendar.Never { // every step is later than the first
			next.from = first.from + 1
		}
		seq.steps = append(seq.steps, next)
		if !s.Absent {
			previous = own
		}
	}
	return seq, nil
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
		if asksPrevious(arg) {
			two = append(two, arg)
		} else {
			one = append(one, arg)
		}
	}
	return joined(one), joined(two)
}

func joined(args []tree.Pred) tree.Pred {
	switch len(args) {
	case 0:
		return nil
	case 1:
		return args[0]
	}
	return &tree.And{Args: args}
}

type sequenceRunner struct {
	sequence
	run         *run
	scans       []*scan // the first step, then the others
	visits      [][]visit
	sorter      visitSorter
	here, there []visit // events that can be chosen for the current and the next step
	joiner      joiner
}

func (p sequence) bind(r *run) runner {
	s := &sequenceRunner{sequence: p, run: r, scans: []*scan{p.first.bind(r)}}
	for _, st := range p.steps {
		s.scans = append(s.scans, st.step.bind(r))
	}
	s.visits = make([][]visit, len(s.scans))
	return s
}

func (q *sequenceRunner) cost(s *scope) float64 {
	cost := 0.0
	for _, sc := range q.scans {
		cost += 20 * sc.cost(s.chunk)
	}
	return cost
}

func (q *sequenceRunner) eval(s *scope, cand, out []uint64) {
	open := q.run.words(len(cand))
	copy(open, cand)
	for k, sc := range q.scans {
		met := out
		clear(met)
		q.visits[k] = q.visits[k][:0]
		sc.each(s.chunk, open, func(b *query.Block, rows []uint64) {
			eachSelected(b, rows, func(i int) {
				if pos := int(b.Pos[i]); has(open, pos) {
					q.visits[k] = append(q.visits[k], visit{rowAt{b, i}, b.Time(i), b.Pos[i]})
					set(met, pos)
				}
			})
		})
		if k == 0 || !q.steps[k-1].absent {
			copy(open, met)
		}
		if !anyBit(open) {
			break
		}
	}
	clear(out)
	q.decide(open, out)
	q.run.give(open)
}

// decide goes through the profiles in order, with the visits of each step in step.
func (q *sequenceRunner) decide(open, out []uint64) {
	if !anyBit(open) {
		return
	}
	for k := range q.visits {
		q.sorter.sort(&q.visits[k])
	}
	at := make([]int, len(q.visits))
	lanes := make([][]visit, len(q.visits))
	eachBit(open, func(pos int) {
		for k, v := range q.visits {
			for at[k] < len(v) && int(v[at[k]].pos) < pos {
				at[k]++
			}
			from := at[k]
			for at[k] < len(v) && int(v[at[k]].pos) == pos {
				at[k]++
			}
			lanes[k] = v[from:at[k]]
		}
		if q.fits(lanes) {
			set(out, pos)
		}
	})
}

// fits tells whether any choice of one profile's events makes the sequence; lanes hold the visits of
// each step by time.
func (q *sequenceRunner) fits(lanes [][]visit) bool {
	q.here = append(q.here[:0], lanes[0]...)
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

// follow replaces the chosen events by those of the next step that can come after one of them.
func (q *sequenceRunner) follow(st *seqStep, visits []visit) {
	q.there = q.there[:0]
	before := 0 // chosen events earlier than the visit
	for _, v := range visits {
		for before < len(q.here) && q.here[before].time < v.time {
			before++
		}
		for j := before - 1; j >= 0 && v.time <= calendar.Add(q.here[j].time, st.gap); j-- {
			if st.pair == nil || st.pair(&pair{v.rowAt, q.here[j].rowAt}) {
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
			found = st.pair == nil || st.pair(&pair{visits[j].rowAt, a.rowAt})
		}
		if !found {
			kept = append(kept, a)
		}
	}
	q.here = kept
}
