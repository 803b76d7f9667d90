package eval

import (
	"slices"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// join is an equality in a step's condition between the step's event and the chosen one, such as
// `product_id = previous.product_id`. A profile with n events of both steps has up to n² pairs, and a
// bot may have thousands of events in a day. A join pairs only events with equal values.
type join struct {
	own, previous pairExpr
}

// joinWorth is the number of pairs up to which testing each of them is cheaper than a join.
const joinWorth = 256

// join returns the first equality of a condition that can be joined on; nil if there is none.
func (c *pairs) join(linked tree.Pred) (*join, error) {
	args := []tree.Pred{linked}
	if and, ok := linked.(*tree.And); ok {
		args = and.Args
	}
	for _, arg := range args {
		p, ok := arg.(*tree.Compare)
		if !ok || p.Op != tree.Eq {
			continue
		}
		own, previous := p.L, p.R
		if tree.MentionsPrevious(own) {
			own, previous = previous, own
		}
		if tree.MentionsPrevious(own) || tree.Any(previous, isOwn) || !tree.MentionsPrevious(previous) {
			continue
		}
		l, _, err := c.expr(own)
		if err != nil {
			return nil, err
		}
		r, _, err := c.expr(previous)
		return &join{l, r}, err
	}
	return nil, nil
}

// isOwn reports whether a node is a property of the step's own event.
func isOwn(n tree.Node) bool {
	name, ok := n.(*tree.Name)
	return ok && !name.Previous
}

// joiner indexes the events of one profile by the value they are joined on. Events with equal values
// form a chain: head has the first event of each value, next the event after each event, -1 at the end.
type joiner struct {
	scratch *Scratch
	head    map[Key]int
	next    []int
	held    int // number of events charged
}

// joinBytes is charged per event of a join.
const joinBytes = 96

func (j *joiner) reset(n int) {
	if j.head == nil {
		j.head = map[Key]int{}
	}
	clear(j.head)
	if n > j.held {
		j.scratch.charge(joinBytes * (n - j.held))
		j.held = n
	}
	j.next = append(j.next[:0], make([]int, n)...)
}

// push puts event i at the front of the chain of its value.
func (j *joiner) push(i int, v tree.Value) {
	if v.Missing() {
		return
	}
	key := KeyOf(v)
	first, ok := j.head[key]
	if !ok {
		first = -1
	}
	j.next[i], j.head[key] = first, i
}

// first returns the first event with an equal value, -1 if there is none.
func (j *joiner) first(v tree.Value) int {
	if i, ok := j.head[KeyOf(v)]; ok && !v.Missing() {
		return i
	}
	return -1
}

// followJoined is follow with a join. The chains contain the chosen events earlier than the current
// row, latest first.
func (q *sequenceRunner) followJoined(st *seqStep, refs []rowRef) {
	q.next = q.run.scratch.refs.extend(q.next[:0], len(refs))
	q.joiner.reset(len(q.chosen))
	before := 0
	for _, v := range refs {
		for ; before < len(q.chosen) && q.chosen[before].time < v.time; before++ {
			q.joiner.push(before, st.join.previous(q.pairOf(v, q.chosen[before])))
		}
		for j := q.joiner.first(st.join.own(q.pairOf(v, v))); j >= 0 && v.time <= calendar.Add(q.chosen[j].time, st.gap); j = q.joiner.next[j] {
			if !q.run.scratch.Spend(pairWork) || st.pair(q.pairOf(v, q.chosen[j])) {
				q.next = append(q.next, v)
				break
			}
		}
	}
	q.chosen, q.next = q.next, q.chosen
}

// keepJoined is keepWithout with a join. It goes back in time: the chains contain the rows later than
// the chosen event, earliest first.
func (q *sequenceRunner) keepJoined(st *seqStep, refs []rowRef) {
	q.next = q.run.scratch.refs.extend(q.next[:0], len(q.chosen))
	q.joiner.reset(len(refs))
	after := len(refs)
	for i := len(q.chosen) - 1; i >= 0; i-- {
		a := q.chosen[i]
		for ; after > 0 && refs[after-1].time > a.time; after-- {
			q.joiner.push(after-1, st.join.own(q.pairOf(refs[after-1], a)))
		}
		end := calendar.Add(a.time, st.gap)
		found := end > q.now
		for j := q.joiner.first(st.join.previous(q.pairOf(a, a))); !found && j >= 0 && refs[j].time <= end; j = q.joiner.next[j] {
			found = !q.run.scratch.Spend(pairWork) || st.pair(q.pairOf(refs[j], a))
		}
		if !found {
			q.next = append(q.next, a)
		}
	}
	slices.Reverse(q.next)
	q.chosen, q.next = q.next, q.chosen
}
