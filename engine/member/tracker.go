package member

import (
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/tree"
)

// Tracker keeps the live segments of one shard. For each log entry its methods are called in this order:
// Advance, then the methods for what the entry does (Event, Attribute, …), then Settle, then Flips.
type Tracker struct {
	host   Host
	schema query.Schema
	now    int64
	upTo   int64 // the instant that Advance is moving to
	cause  Cause // of the changes being made

	rows       rows
	conditions map[string]*condition
	counters   map[string]*counter
	steps      map[string]*step
	byID       []any // conditions and counters by id; nil: unused
	free       []uint32

	byEvent     []*listeners
	byAttribute []*attribute // by id less query.FirstAttribute
	byList      map[uint32][]*condition
	anyEvent    []*condition
	byProfileID []*condition
	bare        []*condition // true for a profile without facts

	segments          map[int]*segment   // by slot: the active ones, and those being built
	bareSegs          []*segment         // active segments that are true for a profile without facts
	membershipReaders map[int][]*segment // by slot: the segments that read its membership
	builds            []*Build

	queue      queue
	touched    []touch
	recounts   []*counter // counters with profiles to be recounted
	stamp      uint64
	chunks     []chunkPair
	flips      []Flip
	spareFlips []Flip // memory for the next flips

	marks           []mark
	settling        uint64
	chunksSettled   bool   // some memberships were updated by chunk before marks were handled
	spareMarks      []mark // memory for the next marks
	markRuns        []markRun
	transitions     []transition
	transitioning   []*segment
	byName          []*segment // nil while definitions change
	settledSince    int        // settlings since definitions changed
	transitionRanks []uint64   // bits by segment.rank
	order           []uint32
	found           []Row // buffers for Host.Rows
	near            []Row
}

// New returns a tracker without segments.
func New(host Host, schema query.Schema, now int64) *Tracker {
	return &Tracker{
		host: host, schema: schema, now: now,
		conditions: map[string]*condition{}, counters: map[string]*counter{}, steps: map[string]*step{},
		byList:   map[uint32][]*condition{},
		segments: map[int]*segment{}, membershipReaders: map[int][]*segment{},
	}
}

// SetSchema sets a newer catalog. Existing names keep their ids.
func (t *Tracker) SetSchema(schema query.Schema) { t.schema = schema }

// SetCause sets the cause of the changes that follow.
func (t *Tracker) SetCause(cause Cause) { t.cause = cause }

// Conditions returns the number of conditions and of counters.
func (t *Tracker) Conditions() (conditions, counters int) { return len(t.conditions), len(t.counters) }

// kind is the kind of a touch.
type kind uint8

const (
	touchNew kind = iota
	touchCondition
	touchEvent
	touchAnyEvent
	touchAttribute
	touchList
	touchIDs
)

// touch is a profile that must be evaluated at the end of the entry.
type touch struct {
	ordinal uint32
	kind    kind
	cause   Cause
	id      uint32
}

func (t *Tracker) touch(ordinal uint32, k kind, id uint32) {
	x := touch{ordinal, k, t.cause, id}
	if n := len(t.touched); n > 0 && t.touched[n-1] == x {
		return
	}
	t.touched = append(t.touched, x)
}

// Profile handles a new profile.
func (t *Tracker) Profile(ordinal uint32) { t.touch(ordinal, touchNew, 0) }

// Event handles a new event: a row of a block, which is valid until the call returns.
func (t *Tracker) Event(ordinal, event uint32, time int64, b *query.Block, row int) {
	if int(event) < len(t.byEvent) && t.byEvent[event] != nil {
		l := t.byEvent[event]
		for _, s := range l.steps {
			if s.where == nil || s.test.Holds(b, row) {
				t.happened(s, ordinal, time, b, row)
			}
		}
		for _, v := range l.valued {
			for _, s := range v.of(b, row) {
				if s.equal.whole || s.test.Holds(b, row) {
					t.happened(s, ordinal, time, b, row)
				}
			}
		}
		if time > t.now && len(l.conditions) > 0 && len(t.anyEvent) == 0 {
			t.queue.push(item{at: time, what: dueEvent, id: event, ordinal: ordinal})
		}
	}
	if len(t.anyEvent) == 0 {
		return
	}
	if time > t.now {
		t.queue.push(item{at: time, what: dueEvent, id: event, ordinal: ordinal})
	}
	for _, c := range t.anyEvent {
		c.addEdges(ordinal, time)
	}
	t.touch(ordinal, touchAnyEvent, 0)
}

// happened passes an event that satisfies a step to everything that depends on the step.
func (t *Tracker) happened(s *step, ordinal uint32, time int64, b *query.Block, row int) {
	for _, k := range s.counters {
		k.arrive(ordinal, time, b, row)
	}
	for _, k := range s.follows {
		k.follow(ordinal, time)
	}
	for _, c := range s.conditions { // also for an event in the future: it may queue an earlier instant
		c.addEdges(ordinal, time)
		t.touch(ordinal, touchCondition, c.id)
	}
}

// Attribute handles a new value of an attribute of a profile.
func (t *Tracker) Attribute(ordinal, id uint32, was, is tree.Value) {
	a := t.attribute(id)
	if a == nil {
		return
	}
	a.set(t, ordinal, was, is)
	if len(a.conditions) == 0 {
		return
	}
	t.touch(ordinal, touchAttribute, id)
	for _, c := range a.conditions {
		if is.Type == tree.TimeType {
			c.addEdges(ordinal, is.Int)
		}
	}
}

// attribute returns the conditions of an attribute, nil if there are none.
func (t *Tracker) attribute(id uint32) *attribute {
	if i := int(id) - int(query.FirstAttribute); i >= 0 && i < len(t.byAttribute) {
		return t.byAttribute[i]
	}
	return nil
}

// IDs handles a new id of a profile.
func (t *Tracker) IDs(ordinal uint32) {
	if len(t.byProfileID) > 0 {
		t.touch(ordinal, touchIDs, 0)
	}
}

// Listed handles a possible change of a profile's place on a list.
func (t *Tracker) Listed(ordinal, list uint32) {
	if len(t.byList[list]) > 0 {
		t.touch(ordinal, touchList, list)
	}
}

// Gone handles the removal of a profile with all its facts: it leaves every segment.
//
// REQUIRES: the ordinal is not reused: items queued for it would apply to the next profile.
func (t *Tracker) Gone(ordinal uint32) {
	clear(t.rows.row(ordinal))
	for _, k := range t.counters {
		k.gone(ordinal)
	}
	for _, c := range t.conditions {
		c.due.put(ordinal, 0)
	}
	for _, s := range t.segments {
		if t.host.Members(s.slot).Has(ordinal) {
			t.mark([]*segment{s}, ordinal)
		}
	}
}

// Advance moves time to now. What happens by time alone on the way happens at its instant, in order.
func (t *Tracker) Advance(now int64) {
	if now <= t.now {
		return
	}
	t.upTo = now
	t.cause = ByTime
	for {
		at, ok := t.queue.next()
		if !ok || at > now {
			break
		}
		t.now = max(t.now, at)
		for ok && at <= t.now {
			t.happen(t.queue.pop())
			at, ok = t.queue.next()
		}
		t.Settle()
	}
	t.now = now
}

// happen handles one item of the queue. Items of removed parts, and items that were queued again, do nothing.
func (t *Tracker) happen(x item) {
	if x.what == dueEvent {
		t.touch(x.ordinal, touchEvent, x.id)
		t.touch(x.ordinal, touchAnyEvent, 0)
		return
	}
	switch p := t.byID[x.id].(type) {
	case *condition:
		switch {
		case x.what == dueProfile:
			p.takeDue(x)
		case x.what == dueSchedule:
			p.takeScheduled(x.at)
		case x.what == dueBoundary && p.boundaryAt == x.at:
			p.atBoundary()
		}
	case *counter:
		switch {
		case x.what == dueSchedule:
			p.takeDue(x.at)
		case x.what == dueRecount:
			p.scheduleRecount(x.ordinal)
		case x.what == dueBoundary && p.boundaryAt == x.at:
			p.atBoundary()
		}
	}
}

// evaluateTouched evaluates the touched conditions, each once per profile.
func (t *Tracker) evaluateTouched() {
	touched := t.touched
	if len(touched) == 0 {
		return
	}
	slices.SortStableFunc(touched, func(a, b touch) int { return int(int64(a.ordinal) - int64(b.ordinal)) })
	cause := t.cause
	for from := 0; from < len(touched); {
		to := from
		for to < len(touched) && touched[to].ordinal == touched[from].ordinal {
			to++
		}
		if ordinal := touched[from].ordinal; t.host.Exists(ordinal) {
			t.evaluateProfile(ordinal, touched[from:to])
		}
		from = to
	}
	t.cause = cause
	t.touched = touched[:0]
}

// evaluateProfile evaluates the touched conditions of one profile.
func (t *Tracker) evaluateProfile(ordinal uint32, touches []touch) {
	t.stamp++
	var p *match.Profile
	evaluate := func(conditions ...*condition) {
		for _, c := range conditions {
			if c.stamp == t.stamp || !c.ready(ordinal) {
				continue
			}
			c.stamp = t.stamp
			if p == nil {
				p = t.profile(ordinal)
			}
			c.match(p, ordinal)
		}
	}
	for _, x := range touches {
		t.cause = x.cause
		switch x.kind {
		case touchNew:
			for _, c := range t.bare {
				if c.ready(ordinal) {
					t.rows.setBit(ordinal, c.leaf.at, true)
				}
			}
			t.mark(t.bareSegs, ordinal)
		case touchCondition:
			if c, ok := t.byID[x.id].(*condition); ok {
				evaluate(c)
			}
		case touchEvent:
			// An event queued for anyEvent may have a name that nothing else reads.
			if int(x.id) < len(t.byEvent) && t.byEvent[x.id] != nil {
				evaluate(t.byEvent[x.id].conditions...)
			}
		case touchAnyEvent:
			evaluate(t.anyEvent...)
		case touchAttribute:
			evaluate(t.attribute(x.id).conditions...)
		case touchList:
			evaluate(t.byList[x.id]...)
		case touchIDs:
			evaluate(t.byProfileID...)
		}
	}
}

func (t *Tracker) profile(ordinal uint32) *match.Profile {
	return match.NewProfile(t.host.Profile(ordinal), t.schema, ordinal)
}

// Due returns the first instant at which something happens by time alone, calendar.Forever if nothing does.
// Builds continue with every entry: while there are any, Due is 0.
func (t *Tracker) Due() int64 {
	if len(t.builds) > 0 {
		return 0
	}
	if at, ok := t.queue.next(); ok {
		return at
	}
	return calendar.Forever
}

// Now returns the instant up to which everything has happened.
func (t *Tracker) Now() int64 { return t.now }
