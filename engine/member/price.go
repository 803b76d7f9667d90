package member

import (
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// Price is the estimated cost of live segments on a node with its current data. The estimate is meant to be
// on the high side.
type Price struct {
	Memory int64         // bytes, permanently
	Event  time.Duration // processor time for one event of the most expensive name (or value of an attribute)
	Second time.Duration // processor time per second while nothing arrives
	Build  time.Duration // processor time to compute everything; a restart does so too
	Stop   time.Duration // longest time for which the most expensive part blocks a shard
}

// The costs of operations, in nanoseconds of one core; docs/OPERATIONS.md explains how they were measured.
// A row is an event visited in a scan; a read is one looked up for a profile.
const (
	nsFind    = 15   // to find what depends on an event
	nsCount   = 12   // to add to a counter
	nsSum     = 30   // to add to a sum
	nsEdge    = 350  // an edge that reaches an event: found by a scan, sorted, queued, handled
	nsLookup  = 500  // to look up the events of a name and a profile
	nsRead    = 45   // each of these events
	nsMonths  = 600  // each of these events where windows are in months
	nsStep    = 60   // a step of a sequence
	nsPass    = 15   // each event that the step passes
	nsMatch   = 1500 // to start evaluating one profile
	nsFollow  = 350  // a second step without a first one
	nsScan    = 4    // a row scanned for its edges
	nsRow     = 10   // a row counted
	nsMoment  = 9    // a row of a sequence's step, sorted and compared
	nsProfile = 30   // to write a profile's value
	nsSettle  = 50   // to check a segment, with its share of changes
	nsNode    = 10   // each further node of the program
	nsDue     = 250  // an instant queued for a profile
)

// Sizes in bytes; each shard keeps its own definitions.
const (
	bytesPart    = 1600 // a condition or a counter
	bytesKey     = 30   // each byte of its text: keys, tree and compiled form
	bytesNode    = 120  // a node of a program
	bytesSegment = 700
	bytesMoment  = 2 * 24 // with spare capacity
	bytesDue     = 2*24 + 8
	bytesPassed  = 16 * mostPassages
	bytesSpilled = 40
)

// cost is what one part or segment adds to each component of a price.
type cost struct {
	memory, second, build, stop float64
	arrivals                    []arrival
}

// arrival is the cost of one arrival. kind is touchEvent, touchAttribute, touchAnyEvent, touchList or
// touchIDs.
type arrival struct {
	kind kind
	id   uint32
	ns   float64
}

func (x *cost) addArrival(k kind, id uint32, ns float64) {
	x.arrivals = append(x.arrivals, arrival{k, id, ns})
}

// partCost returns the cost of a condition or counter.
func (l *Load) partCost(p any) cost {
	switch p := p.(type) {
	case *counter:
		return l.counterCost(p)
	case *condition:
		return l.conditionCost(p)
	}
	return cost{}
}

func (l *Load) counterCost(k *counter) cost {
	e := l.Events[k.step.event]
	x := cost{memory: float64(k.size())*float64(l.Profiles) + float64(l.Shards*(bytesPart+bytesKey*len(k.key)))}
	from, to := calendar.Resolve(k.window, l.Now, k.zone)
	inside := e.within(l.Now, from, to)
	test := stepTest(k.step)
	x.build = nsRow*inside*(1+test/50) + nsProfile*(float64(l.Profiles)/4+e.profiles())
	x.memory += bytesSpilled * e.rows() / countSpilled / 8
	share := k.step.share()
	edges := k.edgesOf()
	add, pass := float64(nsCount), float64(nsEdge)
	if k.amount != nil {
		add = nsSum + tested(k.amount.arg)
	}
	if k.then != nil {
		add, pass = nsLookup, nsEdge+nsLookup
		second := l.Events[k.then.second.event]
		ns := float64(nsFollow)
		if !k.then.absent {
			ns += nsLookup * (1 + e.each()*l.near(k.then.gap))
		}
		x.addArrival(touchEvent, k.then.second.event, nsFind+stepTest(k.then.second)+k.then.second.share()*ns)
		x.build += nsMoment*(inside+second.rows()) + nsLookup/2*min(e.profiles(), inside)
		x.memory += float64(l.Shards * bytesPassed)
	}
	x.addArrival(touchEvent, k.step.event, nsFind+test+share*(add+pass*float64(len(edges))))
	l.scheduleCost(&x, []*EventLoad{e}, edges)
	l.stops(&x, calendarOf(k.window) != nil)
	return x
}

// stops adds how long a part blocks a shard: while a chunk is computed, or all chunks at a calendar boundary.
func (l *Load) stops(x *cost, turns bool) {
	x.stop = x.build / float64(max(l.Chunks, 1))
	if turns {
		x.stop = x.build / float64(max(l.Shards, 1))
		x.second += x.build / 86_400
	}
}

// edgesOf returns how long after its time edges reach an event.
func (k *counter) edgesOf() (edges []int64) {
	if k.lead > 0 {
		edges = append(edges, k.lead)
	}
	if k.trail != noTrail {
		edges = append(edges, k.trail)
	}
	return edges
}

// near estimates the share of a profile's events within a gap.
func (l *Load) near(gap int64) float64 {
	const most = 30 * 86_400_000
	return min(float64(gap)/most, 1)
}

// scheduleCost adds the cost of looking ahead: the moments kept, and the scans that find them.
func (l *Load) scheduleCost(x *cost, events []*EventLoad, edges []int64) {
	if len(edges) == 0 || l.Shards == 0 {
		return
	}
	reach := int64(maxSpan)
	for _, edge := range edges {
		reach = min(reach, max(edge, -edge)/4)
	}
	perSecond, scanned, chunks := 0.0, 0.0, float64(max(l.Chunks, 1))
	for _, e := range events {
		if e == nil {
			continue
		}
		for _, edge := range edges {
			at := l.Now - edge
			perSecond += max(e.within(l.Now, at, at+reach), 1) / (float64(max(reach, 1)) / 1000)
			scanned += e.within(l.Now, at-3_600_000, at+reach+3_600_000)
		}
		scanned += float64(e.Tails) + min(e.rows(), chunks*leafScan)
	}
	perShard := perSecond / float64(l.Shards)
	span := min(float64(reach)/1000, max(manyMoments/2/perShard, float64(minSpan)/1000))
	span = max(span, shortestLook)
	x.memory += bytesMoment * min(perSecond*span, float64(l.Shards*2*manyMoments))
	x.second += nsScan * scanned / span
}

// leafScan is the number of rows of leaves that a look ahead visits in a chunk even if few of them matter.
// shortestLook is the least number of seconds between two looks while entries arrive.
const (
	leafScan     = 16_384
	shortestLook = 0.05
)

func (l *Load) conditionCost(c *condition) cost {
	x := cost{memory: float64(l.Profiles)/8 + float64(l.Shards*(bytesPart+bytesKey*len(c.key)))}
	match := l.matchCost(c)
	test := tested(c.pred)
	x.build = float64(l.Profiles) * (4 + scanned(c.pred))
	var events []*EventLoad
	for _, s := range c.deps.asked {
		e, _ := l.event(c.t.schema, s.Event)
		x.build += nsMoment * e.rows()
	}
	for _, id := range c.deps.events {
		events = append(events, l.Events[id])
		for _, s := range c.steps {
			if s.event == id {
				x.addArrival(touchEvent, id, nsFind+stepTest(s)+s.share()*match/float64(len(c.steps)))
			}
		}
	}
	if c.deps.anyEvent {
		x.addArrival(touchAnyEvent, 0, match)
		events = append(events, l.all())
	}
	for _, id := range c.deps.attributes {
		switch {
		case !c.plain:
			x.addArrival(touchAttribute, id, match)
		case texts(c.pred) != nil:
			x.addArrival(touchAttribute, id, nsFind)
		default:
			x.addArrival(touchAttribute, id, nsFind+test)
		}
	}
	for _, id := range c.deps.lists {
		x.addArrival(touchList, id, match)
	}
	if c.deps.ids {
		x.addArrival(touchIDs, 0, match)
	}
	l.timeCost(c, &x, events, match)
	l.stops(&x, c.deps.timing == byCalendar)
	return x
}

// timeCost adds what a condition costs by time alone.
func (l *Load) timeCost(c *condition, x *cost, events []*EventLoad, match float64) {
	switch {
	case c.deps.timing != rolling:
	case c.deps.loose:
		some := float64(l.Profiles)
		if len(c.deps.attributes) == 0 {
			some = 0
			for _, e := range events {
				some = min(some+e.profiles(), float64(l.Profiles))
			}
		}
		x.memory += bytesDue * some
		x.build += (nsDue + match) * some
		x.later(looks * (nsDue + match))
	default:
		var edges []int64
		for _, e := range c.deps.edges {
			if e != 0 {
				edges = append(edges, e)
			}
		}
		l.scheduleCost(x, events, edges)
		x.later(float64(len(edges)) * (nsEdge + match))
	}
}

// looks is how often a profile is evaluated for one event where instants are queued: some come too early.
const looks = 4

// later adds what an arrival costs when its queued instant comes.
func (x *cost) later(ns float64) {
	for i := range x.arrivals {
		x.arrivals[i].ns += ns / float64(len(x.arrivals))
	}
}

// matchCost returns the cost of evaluating one profile. Its events are read once for all parts of the
// condition.
func (l *Load) matchCost(c *condition) float64 {
	ns := nsMatch + tested(c.pred)
	read := float64(nsRead)
	if c.deps.loose {
		read = nsMonths
	}
	for _, id := range c.deps.events {
		ns += nsLookup + read*l.Events[id].each()
	}
	for _, s := range c.deps.asked {
		e, _ := l.event(c.t.schema, s.Event)
		ns += nsStep + e.each()*(nsPass+tested(s.Where))
	}
	return ns
}

func (l *Load) event(schema query.Schema, name string) (e *EventLoad, id uint32) {
	id, ok := schema.Event(name)
	if !ok {
		return nil, 0
	}
	return l.Events[id], id
}

// share estimates the share of a name's events that satisfy a step: one eighth for each value that a property
// must equal.
func (s *step) share() float64 {
	if s.equal == nil {
		return 1
	}
	return min(float64(len(s.equal.values))/8, 1)
}

// stepTest returns the cost of testing whether an event satisfies a step.
func stepTest(s *step) float64 {
	if s.equal != nil {
		return s.share() * tested(s.where)
	}
	return tested(s.where)
}

// tested returns the cost of evaluating a predicate or an expression for one event or profile, without
// looking up events.
func tested(of any) (ns float64) {
	switch p := of.(type) {
	case *tree.And:
		return testedAll(p.Args)
	case *tree.Or:
		return testedAll(p.Args)
	case *tree.Not:
		return 5 + tested(p.Arg)
	case *tree.Compare:
		return 120 + tested(p.L) + tested(p.R)
	case *tree.Range:
		return 160 + tested(p.X) + tested(p.Lo) + tested(p.Hi)
	case *tree.In:
		return 40 + 8*float64(len(p.Values)) + tested(p.X)
	case *tree.Text:
		if p.Op == tree.Matches {
			return 600 + 25*float64(len(p.Pattern)) + tested(p.X)
		}
		return 150 + tested(p.X)
	case *tree.Has:
		return 100 + tested(p.X)
	case *tree.Arith:
		return 25 + tested(p.L) + tested(p.R)
	case nil, *tree.Everyone:
		return 0
	case *tree.Name:
		return 40
	case *tree.Literal:
		return 5
	case *tree.Sequence:
		return 60 * float64(1+len(p.Steps))
	}
	return 60
}

// scanned returns the cost of evaluating a predicate per profile where all are evaluated together. Texts are
// evaluated value by value, and all values may differ.
func scanned(of tree.Pred) float64 {
	ns := tested(of)
	if _, ok := of.(*tree.Text); ok {
		return 1.5 * ns
	}
	return ns / 15
}

func testedAll(args []tree.Pred) (ns float64) {
	for _, arg := range args {
		ns += 5 + tested(arg)
	}
	return ns
}
