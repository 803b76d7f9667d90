package member

import "github.com/musterdb/muster/query"

// listen registers a condition with everything that can change it.
func (t *Tracker) listen(c *condition) {
	t.conditions[c.key] = c
	t.byID[c.id] = c
	for _, event := range c.deps.events {
		l := t.listenersOf(event)
		l.conditions = append(l.conditions, c)
		t.queueFuture(event, l)
	}
	for _, s := range c.steps {
		s.conditions = with(s.conditions, c)
	}
	for _, a := range c.deps.attributes {
		t.attributeOf(a).add(c)
	}
	for _, list := range c.deps.lists {
		t.byList[list] = with(t.byList[list], c)
	}
	if c.deps.anyEvent {
		if len(t.anyEvent) == 0 {
			t.queueAllFuture()
		}
		t.anyEvent = append(t.anyEvent, c)
	}
	if c.deps.ids {
		t.byProfileID = append(t.byProfileID, c)
	}
	if c.leaf.bare {
		t.bare = append(t.bare, c)
	}
}

func (t *Tracker) listenersOf(event uint32) *listeners {
	for len(t.byEvent) <= int(event) {
		t.byEvent = append(t.byEvent, nil)
	}
	if t.byEvent[event] == nil {
		t.byEvent[event] = &listeners{}
	}
	return t.byEvent[event]
}

// queueFuture queues the events of a name whose times are in the future, once for all its conditions. While a
// condition is registered, new ones are queued as they arrive.
func (t *Tracker) queueFuture(event uint32, l *listeners) {
	if l.queuesFuture || len(t.anyEvent) > 0 {
		return
	}
	l.queuesFuture = true
	src := t.host.Source()
	for chunk := range src.Chunks() {
		t.queueFutureOf(src, event, chunk)
	}
}

func (t *Tracker) queueAllFuture() {
	src := t.host.Source()
	for chunk := range src.Chunks() {
		for _, event := range src.Events(chunk) {
			if int(event) >= len(t.byEvent) || t.byEvent[event] == nil || !t.byEvent[event].queuesFuture {
				t.queueFutureOf(src, event, chunk)
			}
		}
	}
}

func (t *Tracker) queueFutureOf(src query.Source, event uint32, chunk int) {
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

// releaseParts removes a segment from its parts; parts without a user are removed.
func (t *Tracker) releaseParts(s *segment) {
	for _, p := range s.parts {
		switch p := p.(type) {
		case *condition:
			p.leaf.leave(s)
		case *counter:
			for _, l := range p.limits {
				l.leave(s)
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

// forgetCondition removes a condition. Its items in the queue are ignored when they come.
func (t *Tracker) forgetCondition(c *condition) {
	delete(t.conditions, c.key)
	t.byID[c.id] = nil
	t.rows.bits = append(t.rows.bits, c.leaf.at)
	for _, event := range c.deps.events {
		l := t.byEvent[event]
		if l.conditions = without(l.conditions, c); len(l.conditions) == 0 {
			l.queuesFuture = false // new ones are no longer queued
		}
	}
	for _, s := range c.steps {
		s.conditions = without(s.conditions, c)
		t.forgetStep(s)
	}
	for _, a := range c.deps.attributes {
		t.attributeOf(a).remove(c)
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
	t.rows.release(k.at, k.size())
	k.step.counters = without(k.step.counters, k)
	t.forgetStep(k.step)
	if k.then != nil {
		k.then.second.follows = without(k.then.second.follows, k)
		t.forgetStep(k.then.second)
	}
}

// stepOf returns the registered step that equals at, registering at if there is none.
func (t *Tracker) stepOf(at *step) *step {
	if s := t.steps[at.key]; s != nil {
		return s
	}
	t.steps[at.key] = at
	t.listenersOf(at.event).add(at)
	return at
}

// forgetStep removes a step that nothing uses any more.
func (t *Tracker) forgetStep(s *step) {
	if !s.idle() || t.steps[s.key] != s {
		return
	}
	delete(t.steps, s.key)
	t.byEvent[s.event].remove(s)
	if t.byEvent[s.event].idle() {
		t.byEvent[s.event] = nil
	}
}
