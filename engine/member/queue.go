package member

// What a queue item is about.
const (
	dueProfile  = iota // a condition may change for one profile
	dueBoundary        // a condition or counter changes for all profiles together
	dueSchedule        // the next edge of a part, or the horizon of its schedule
	dueEvent           // the time of an event that was in the future
	dueRecount         // a counter must recount a profile
)

// item is something that happens at an instant by time alone.
type item struct {
	at      int64
	what    uint8
	id      uint32 // of the condition, counter or event
	ordinal uint32 // if the item is about one profile
}

func (i item) before(o item) bool {
	switch {
	case i.at != o.at:
		return i.at < o.at
	case i.what != o.what:
		return i.what < o.what
	case i.id != o.id:
		return i.id < o.id
	}
	return i.ordinal < o.ordinal
}

// queue is a binary heap of items, the earliest first.
type queue struct{ items []item }

func (q *queue) next() (at int64, ok bool) {
	if len(q.items) == 0 {
		return 0, false
	}
	return q.items[0].at, true
}

func (q *queue) push(x item) {
	q.items = append(q.items, x)
	i := len(q.items) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !x.before(q.items[parent]) {
			break
		}
		q.items[i] = q.items[parent]
		i = parent
	}
	q.items[i] = x
}

func (q *queue) pop() item {
	top := q.items[0]
	n := len(q.items) - 1
	x := q.items[n]
	q.items = q.items[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && q.items[child+1].before(q.items[child]) {
			child++
		}
		if !q.items[child].before(x) {
			break
		}
		q.items[i] = q.items[child]
		i = child
	}
	q.items[i] = x
	return top
}
