package eval

import (
	"slices"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// join is an equality of a step's condition between its own event and the chosen one, such as
// `product_id = previous.product_id`. A profile with n events of both steps has up to n² pairs, and a
// bot's day has thousands; with a join only events of equal value are paired.
type join struct {
	own, previous pairExpr
}

// joinWorth is the number of pairs below which looking at each is the cheaper way.
const joinWorth = 256

// join finds the first equality of a condition that can be joined on; nil without.
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
		if tree.AsksPrevious(own) {
			own, previous = previous, own
		}
		if tree.AsksPrevious(own) || tree.Any(previous, isOwn) || !tree.AsksPrevious(previous) {
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

// joiner holds what one profile's events of a join are found by. Chains go through the events of
// equal value: head holds the first of each value, next the one after each event; -1 is the end.
type joiner struct {
	stock *Stock
	head  map[Key]int
	next  []int
	held  int // events that were charged
}

// joinBytes is charged for an event of a join.
const joinBytes = 96

func (j *joiner) reset(n int) {
	if j.head == nil {
		j.head = map[Key]int{}
	}
	clear(j.head)
	if n > j.held {
		j.stock.charge(joinBytes * (n - j.held))
		j.held = n
	}
	j.next = append(j.next[:0], make([]int, n)...)
}

// push puts event i in front of those of equal value.
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

// first returns the first event of equal value, -1 without.
func (j *joiner) first(v tree.Value) int {
	if i, ok := j.head[KeyOf(v)]; ok && !v.Missing() {
		return i
	}
	return -1
}

// followJoined is follow by a join: the chains hold the chosen events earlier than the visit, the
// latest first.
func (q *sequenceRunner) followJoined(st *seqStep, visits []visit) {
	q.there = q.run.stock.visits.more(q.there[:0], len(visits))
	q.joiner.reset(len(q.here))
	before := 0
	for _, v := range visits {
		for ; before < len(q.here) && q.here[before].time < v.time; before++ {
			q.joiner.push(before, st.join.previous(q.pairOf(v, q.here[before])))
		}
		for j := q.joiner.first(st.join.own(q.pairOf(v, v))); j >= 0 && v.time <= calendar.Add(q.here[j].time, st.gap); j = q.joiner.next[j] {
			if !q.run.stock.Spend(pairWork) || st.pair(q.pairOf(v, q.here[j])) {
				q.there = append(q.there, v)
				break
			}
		}
	}
	q.here, q.there = q.there, q.here
}

// keepJoined is keepWithout by a join. It goes back in time: the chains hold the visits later than the
// chosen event, the earliest first.
func (q *sequenceRunner) keepJoined(st *seqStep, visits []visit) {
	q.there = q.run.stock.visits.more(q.there[:0], len(q.here))
	q.joiner.reset(len(visits))
	after := len(visits)
	for i := len(q.here) - 1; i >= 0; i-- {
		a := q.here[i]
		for ; after > 0 && visits[after-1].time > a.time; after-- {
			q.joiner.push(after-1, st.join.own(q.pairOf(visits[after-1], a)))
		}
		end := calendar.Add(a.time, st.gap)
		found := end > q.now
		for j := q.joiner.first(st.join.previous(q.pairOf(a, a))); !found && j >= 0 && visits[j].time <= end; j = q.joiner.next[j] {
			found = !q.run.stock.Spend(pairWork) || st.pair(q.pairOf(visits[j], a))
		}
		if !found {
			q.there = append(q.there, a)
		}
	}
	slices.Reverse(q.there)
	q.here, q.there = q.there, q.here
}
