package member

import "github.com/musterdb/muster/query"

// listen registers a condition with what can change it.
func (t *Tracker) listen(c *condition) {
	t.conditions[c.key] = c
	t.byID[c.id] = c
	for _, event := range c.deps.events {
		l := t.listenersOf(event)
		l.conditions = append(l.conditions, c)
		t.awaitAhead(event, l)
	}
	for _, a := range c.deps.attributes {
		t.byAttribute[a] = append(t.byAttribute[a], c)
	}
	for _, list := range c.deps.lists {
		t.byList[list] = with(t.byList[list], c)
	}
	if c.deps.anyEvent {
		if len(t.anyEvent) == 0 {
			t.awaitAllAhead()
		}
		t.anyEvent = append(t.anyEvent, c)
	}
	if c.deps.ids {
		t.byProfileID = append(t.byProfileID, c)
	}
	if c.bare {
		t.bare = append(t.bare, c)
	}
}

func (t *Tracker) listenersOf(event uint32) *listeners {
	l := t.byEvent[event]
	if l == nil {
		l = &listeners{}
		t.byEvent[event] = l
	}
	return l
}

// awaitAhead queues the events of a name that are stamped ahead, once for all its conditions. As long
// as there is one, those that come are queued as they arrive.
func (t *Tracker) awaitAhead(event uint32, l *listeners) {
	if l.ahead || len(t.anyEvent) > 0 {
		return
	}
	l.ahead = true
	src := t.host.Source()
	for chunk := range src.Chunks() {
		t.awaitSeries(src, event, chunk)
	}
}

func (t *Tracker) awaitAllAhead() {
	src := t.host.Source()
	for chunk := range src.Chunks() {
		for _, event := range src.Events(chunk) {
			if l := t.byEvent[event]; l == nil || !l.ahead {
				t.awaitSeries(src, event, chunk)
			}
		}
	}
}

func (t *Tracker) awaitSeries(src query.Source, event uint32, chunk int) {
	s := src.Series(event, chunk)
	if s.Rows == 0 || s.Max <= t.now {
		return
	}
	for _, b := range s.Blocks {
		for row := 0; row < b.Rows && b.Max > t.now; row++ {
			if at := b.Time(row); at > t.now {
				t.queue.push(item{at: at, what: dueEvent, id: event, ordinal: uint32(chunk)<<query.ChunkBits | uint32(b.Pos[row])})
			}
		}
	}
}

// unuse takes a segment from its parts; those that nobody stands on go.
func (t *Tracker) unuse(s *segment) {
	for _, p := range s.parts {
		switch p := p.(type) {
		case *condition:
			p.users = without(p.users, s)
		case *counter:
			for _, l := range p.limits {
				l.users = without(l.users, s)
			}
		}
		if p.state().refs--; p.state().refs > 0 {
			continue
		}
		switch p := p.(type) {
		case *condition:
			t.forgetCondition(p)
		case *counter:
			t.forgetCounter(p)
		}
	}
	s.parts = nil
}

// forgetCondition removes a condition. Items of it in the queue find nobody.
func (t *Tracker) forgetCondition(c *condition) {
	delete(t.conditions, c.key)
	t.byID[c.id] = nil
	for _, event := range c.deps.events {
		l := t.byEvent[event]
		l.conditions = without(l.conditions, c)
		t.forgetListeners(event, l)
	}
	for _, a := range c.deps.attributes {
		t.byAttribute[a] = without(t.byAttribute[a], c)
	}
	for _, list := range c.deps.lists {
		t.byList[list] = without(t.byList[list], c)
	}
	t.anyEvent = without(t.anyEvent, c)
	t.byProfileID = without(t.byProfileID, c)
	t.bare = without(t.bare, c)
}

func (t *Tracker) forgetCounter(k *counter) {
	delete(t.counters, k.key)
	t.byID[k.id] = nil
	s := k.step
	if s.counters = without(s.counters, k); len(s.counters) > 0 {
		return
	}
	delete(t.steps, s.key)
	l := t.byEvent[s.event]
	l.steps = without(l.steps, s)
	t.forgetListeners(s.event, l)
}

func (t *Tracker) forgetListeners(event uint32, l *listeners) {
	if len(l.conditions) == 0 {
		l.ahead = false // those that come are queued no more
	}
	if len(l.conditions) == 0 && len(l.steps) == 0 {
		delete(t.byEvent, event)
	}
}
