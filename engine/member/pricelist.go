package member

import (
	"slices"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// PriceList holds the segments of a node compiled over no data, so that it knows which parts they share: a
// part that several segments share is paid for once.
type PriceList struct {
	t    *Tracker
	held map[int]heldPrice
}

// heldPrice describes a segment whose membership is refreshed periodically.
type heldPrice struct {
	pred   tree.Pred
	events []uint32
	period int64 // ms
}

// noData is a host without data.
type noData struct{ noFacts }

var (
	_ Host    = noData{}
	_ Members = noData{}
)

func (noData) Source() query.Source                        { return noFacts{} }
func (noData) Profile(uint32) query.Source                 { return noFacts{} }
func (noData) Rows(_, _ uint32, _, _ int64, x []Row) []Row { return x }
func (noData) Exists(uint32) bool                          { return false }
func (noData) Members(int) Members                         { return noData{} }
func (noData) Has(uint32) bool                             { return false }
func (noData) Fill(_ int, out *query.Bits)                 { *out = query.Bits{} }
func (noData) Put([]uint32, bool)                          {}

// NewPriceList returns a list without segments.
func NewPriceList(schema query.Schema, now int64) *PriceList {
	return &PriceList{t: New(noData{}, schema, now), held: map[int]heldPrice{}}
}

// SetSchema sets a newer catalog.
func (p *PriceList) SetSchema(schema query.Schema) { p.t.SetSchema(schema) }

// Put puts segments into their slots, replacing what was there. A segment that cannot be compiled costs
// nothing: it will not be evaluated.
func (p *PriceList) Put(definitions ...Definition) {
	for _, d := range definitions {
		delete(p.held, d.Slot)
	}
	p.t.Define(definitions)
	p.t.Work(1 << 62)
	p.t.queue.items, p.t.chunks = p.t.queue.items[:0], nil // time never advances here
}

// Hold puts a segment that is evaluated every period (ms) into a slot.
func (p *PriceList) Hold(slot int, name string, pred tree.Pred, period int64) {
	p.t.Hold(slot, name)
	w := walker{schema: p.t.schema, deep: true}
	w.walk(pred, "", "")
	p.held[slot] = heldPrice{pred, w.events, max(period, 1000)}
}

// Drop empties a slot.
func (p *PriceList) Drop(slot int) {
	p.t.Forget(slot)
	delete(p.held, slot)
}

// Tally is the sum of the costs of some segments.
type Tally struct {
	memory, second, build float64
	stop                  float64 // the longest
	arrivals              map[arrivalKey]float64
}

type arrivalKey struct {
	kind kind
	id   uint32
}

func (t *Tally) add(x cost, share float64) {
	t.memory += x.memory * share
	t.second += x.second * share
	t.build += x.build * share
	t.stop = max(t.stop, x.stop)
	for _, h := range x.arrivals {
		if t.arrivals == nil {
			t.arrivals = map[arrivalKey]float64{}
		}
		t.arrivals[arrivalKey{h.kind, h.id}] += h.ns * share
	}
}

// Add adds another tally.
func (t *Tally) Add(o *Tally) {
	x := cost{memory: o.memory, second: o.second, build: o.build, stop: o.stop}
	for key, ns := range o.arrivals {
		x.addArrival(key.kind, key.id, ns)
	}
	t.add(x, 1)
}

// Price returns the price of the segments.
func (t *Tally) Price() Price { return t.Beyond(&Tally{}) }

// Beyond returns how much more t costs than an earlier tally. Stop is the longest one of t.
func (t *Tally) Beyond(o *Tally) Price {
	every := arrivalKey{kind: touchAnyEvent}
	most := t.arrivals[every] - o.arrivals[every]
	for key, ns := range t.arrivals {
		ns -= o.arrivals[key]
		if key.kind == touchEvent {
			ns += t.arrivals[every] - o.arrivals[every]
		}
		most = max(most, ns)
	}
	return Price{
		Memory: int64(max(t.memory-o.memory, 0)), Event: duration(most),
		Second: duration(t.second - o.second), Build: duration(t.build - o.build),
		Stop: duration(t.stop),
	}
}

func duration(ns float64) time.Duration {
	const most = 1 << 62
	return time.Duration(max(min(ns, most), 0))
}

// Tally adds up the costs of all segments.
func (p *PriceList) Tally(l *Load) *Tally {
	t := &Tally{}
	for _, part := range p.t.byID {
		t.add(l.partCost(part), 1)
	}
	for slot, s := range p.t.segments {
		t.add(p.segmentCost(l, slot, s), 1)
	}
	if p.t.rows.width > 0 { // unused width of pages
		t.memory += float64(l.Profiles) * float64(8+p.t.rows.width/16)
	}
	return t
}

// New returns what the segment in a slot costs beyond what other segments use too.
func (p *PriceList) New(l *Load, slot int) *Tally {
	t := &Tally{}
	s := p.t.segments[slot]
	if s == nil {
		return t
	}
	for _, part := range s.parts {
		if part.state().refs == 1 {
			t.add(l.partCost(part), 1)
		}
	}
	t.add(p.segmentCost(l, slot, s), 1)
	return t
}

// Share returns the price of the segment in a slot, where a part that n segments share counts as one nth for
// each.
func (p *PriceList) Share(l *Load, slot int) Price {
	if held, ok := p.held[slot]; ok {
		var t Tally
		t.add(l.heldCost(p.t.schema, held), 1)
		return t.Price()
	}
	return p.t.Share(l, slot)
}

// Share returns the price of the segment in a slot as PriceList.Share does.
func (t *Tracker) Share(l *Load, slot int) Price {
	var sum Tally
	if s := t.segments[slot]; s != nil {
		for _, part := range s.parts {
			sum.add(l.partCost(part), 1/float64(max(part.state().refs, 1)))
		}
		sum.add(l.segmentCost(s), 1)
	}
	return sum.Price()
}

// segmentCost returns the cost of a segment without its parts.
func (p *PriceList) segmentCost(l *Load, slot int, s *segment) cost {
	if held, ok := p.held[slot]; ok {
		return l.heldCost(p.t.schema, held)
	}
	return l.segmentCost(s)
}

// members returns the greatest memory of a membership.
func (l *Load) members() float64 {
	return float64(l.Profiles)/8 + float64(64*l.Chunks+l.Shards*bytesSegment)
}

func (l *Load) heldCost(schema query.Schema, held heldPrice) cost {
	x := cost{memory: l.members(), build: l.evaluation(schema, held.pred)}
	x.stop = x.build / float64(max(l.Shards, 1))
	x.second = x.build / (float64(held.period) / 1000)
	return x
}

func (l *Load) segmentCost(s *segment) cost {
	x := cost{memory: l.members()}
	if s.program == nil {
		return x
	}
	nodes := s.program.nodes()
	x.memory += float64(l.Shards * bytesNode * nodes)
	settle := nsSettle + nsNode*float64(nodes)
	for _, part := range s.parts {
		for _, key := range arrivalsOf(part) {
			if !slices.ContainsFunc(x.arrivals, func(h arrival) bool { return h.kind == key.kind && h.id == key.id }) {
				x.addArrival(key.kind, key.id, settle)
			}
		}
	}
	return x
}

// arrivalsOf returns the kinds of arrivals that affect a part.
func arrivalsOf(p part) (keys []arrivalKey) {
	switch p := p.(type) {
	case *counter:
		keys = append(keys, arrivalKey{touchEvent, p.step.event})
		if p.then != nil {
			keys = append(keys, arrivalKey{touchEvent, p.then.second.event})
		}
	case *condition:
		for _, id := range p.deps.events {
			keys = append(keys, arrivalKey{touchEvent, id})
		}
		for _, id := range p.deps.attributes {
			keys = append(keys, arrivalKey{touchAttribute, id})
		}
		if p.deps.anyEvent {
			keys = append(keys, arrivalKey{kind: touchAnyEvent})
		}
	}
	return keys
}

func (n *node) nodes() int {
	count := 1
	for i := range n.args {
		count += n.args[i].nodes()
	}
	return count
}

// evaluation returns the cost of evaluating a predicate for all profiles.
func (l *Load) evaluation(schema query.Schema, p tree.Pred) (ns float64) {
	w := walker{schema: schema, deep: true}
	w.walk(p, "", "")
	ns = float64(l.Profiles) * (nsProfile + 2*float64(len(w.asked)+len(w.attributes)))
	for _, s := range w.asked {
		e, _ := l.event(schema, s.Event)
		ns += e.rows() * (nsMoment + tested(s.Where)/20)
	}
	return ns
}

// Missing returns the ids of the events that segments depend on and a load does not have.
func (p *PriceList) Missing(l *Load) []uint32 {
	var ids []uint32
	for id, listening := range p.t.byEvent {
		if listening != nil && l.Events[uint32(id)] == nil {
			ids = append(ids, uint32(id))
		}
	}
	for _, held := range p.held {
		for _, id := range held.events {
			if l.Events[id] == nil && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// EventsOf returns the ids of the events that the segment in a slot depends on.
func (t *Tracker) EventsOf(slot int) (events []uint32) {
	s := t.segments[slot]
	if s == nil {
		return nil
	}
	for _, part := range s.parts {
		for _, key := range arrivalsOf(part) {
			if key.kind == touchEvent && !slices.Contains(events, key.id) {
				events = append(events, key.id)
			}
		}
	}
	return events
}
