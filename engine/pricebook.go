package engine

import (
	"maps"
	"slices"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/tree"
)

// Price is what live segments cost a node in time and memory.
type Price = member.Price

// Load is how much data a node has, as far as prices depend on it.
type Load = member.Load

// ReadLoad adds what a node has of some events to a load. To a load of no shards it also adds the
// size of the node.
type ReadLoad func(to *Load, events []uint32)

// PriceBook has the prices of the segments of a catalog, and follows its changes. It is not part of a
// shard or of the replicated state: it is for code that proposes definitions. Only one goroutine may
// use it at a time.
type PriceBook struct {
	catalog    *catalog.State
	list       *member.PriceList
	slots      map[string]int
	names      map[int]string
	needs      map[string]member.Needs
	dependents map[string]map[string]struct{} // by segment, the segments that depend on it
	failing    map[string]struct{}            // segments that cannot be evaluated
	free       []int
	period     int64 // default refresh period, ms

	now      int64
	readLoad ReadLoad
	load     *Load         // nil: read it before use
	total    *member.Tally // of all segments on load; nil: add it up before use
}

// NewPriceBook returns the prices of a catalog on a node. period is the refresh period of segments
// with a rank that do not set one.
func NewPriceBook(c *catalog.State, period, now int64, readLoad ReadLoad) *PriceBook {
	b := &PriceBook{
		catalog: c, list: member.NewPriceList(c.Schema(), now), slots: map[string]int{}, names: map[int]string{},
		needs: map[string]member.Needs{}, dependents: map[string]map[string]struct{}{}, failing: map[string]struct{}{}, period: period, now: now, readLoad: readLoad,
	}
	for _, s := range c.Segments() {
		b.put(s.Name)
	}
	return b
}

// Version returns the version of the book's catalog.
func (b *PriceBook) Version() uint64 { return b.catalog.Version() }

// Forget makes the book read again what the node has.
func (b *PriceBook) Forget(now int64) { b.load, b.total = nil, nil; b.now = now }

// Follow updates the book after a change of the catalog.
func (b *PriceBook) Follow(change catalog.Change, after *catalog.State) {
	b.catalog = after
	b.list.SetSchema(after.Schema())
	switch change.Kind {
	case catalog.PutSegment:
		_, had := b.slots[change.Segment.Name]
		dependents := maps.Clone(b.dependents[change.Segment.Name])
		if len(b.failing) > 0 { // they may now have what they lacked
			dependents = maps.Clone(b.failing)
			maps.Copy(dependents, b.dependents[change.Segment.Name])
		}
		b.put(change.Segment.Name)
		for _, name := range slices.Sorted(maps.Keys(dependents)) {
			b.put(name)
		}
		if had || len(dependents) > 0 || b.total == nil {
			b.total = nil
			return
		}
		b.refresh()
		b.total.Add(b.list.New(b.load, b.slots[change.Segment.Name]))
	case catalog.DropSegment:
		dependents := slices.Sorted(maps.Keys(b.dependents[change.Name]))
		b.drop(change.Name)
		for _, name := range dependents {
			b.put(name)
		}
		b.total = nil
	case catalog.PutList, catalog.DropList, catalog.DefineNames:
		for _, name := range slices.Sorted(maps.Keys(b.needs)) {
			_, failing := b.failing[name]
			if needs := b.needs[name]; failing || change.Kind == catalog.DefineNames && needs.Unknown || change.Kind != catalog.DefineNames && len(needs.Lists) > 0 {
				b.put(name)
				b.total = nil
			}
		}
	}
}

// Total returns what all segments cost.
func (b *PriceBook) Total() Price { return b.tally().Price() }

// refresh reads what the node has of the events that segments depend on.
func (b *PriceBook) refresh() {
	fresh := b.load == nil
	if fresh {
		b.load = member.NewLoad(b.now)
	}
	if events := b.list.Missing(b.load); fresh || len(events) > 0 {
		b.readLoad(b.load, events)
		for _, event := range events {
			b.load.Event(event)
		}
	}
}

func (b *PriceBook) tally() *member.Tally {
	b.refresh()
	if b.total == nil {
		b.total = b.list.Tally(b.load)
	}
	return b.total
}

// Quote applies a change of the catalog to the book and returns what it adds to the price of all
// segments. A caller that does not make the change must Follow it back.
func (b *PriceBook) Quote(change catalog.Change, after *catalog.State) (added, total Price) {
	before := &member.Tally{}
	before.Add(b.tally())
	b.Follow(change, after)
	now := b.tally()
	return now.Beyond(before), now.Price()
}

// Of returns what a segment costs. The cost of parts it shares with other segments is divided among
// them.
func (b *PriceBook) Of(name string) Price {
	b.refresh()
	slot, ok := b.slots[name]
	if !ok {
		return Price{}
	}
	return b.list.Share(b.load, slot)
}

// put prices a segment by its current definition in the catalog.
func (b *PriceBook) put(name string) {
	b.setNeeds(name, member.Needs{})
	p, _, err := check.Predicate(&tree.InSegment{Name: name}, b.catalog.Schema())
	if err != nil { // it fails, and costs nothing until it can be evaluated
		b.drop(name)
		b.needs[name], b.failing[name] = member.Needs{}, struct{}{}
		return
	}
	delete(b.failing, name)
	clause := p.(*tree.InSegment)
	b.setNeeds(name, member.NeedsOf(b.catalog.Schema(), clause))
	slot := b.slotOf(name)
	if member.IsHeld(clause.Def) {
		period := b.period
		if ms, ok := clause.Def.Refresh.Millis(); ok && ms > 0 {
			period = ms
		}
		b.list.Hold(slot, name, clause.Def.Pred, period)
		return
	}
	b.list.Put(member.Definition{
		Slot: slot, Name: name, Zone: clause.Def.Zone, Pred: clause.Def.Pred, Catalog: b.catalog.Version(),
		Held: func(name string) (int, bool) { return b.slotOf(name), true },
	})
}

func (b *PriceBook) slotOf(name string) int {
	if slot, ok := b.slots[name]; ok {
		return slot
	}
	slot := len(b.names) + len(b.free)
	if n := len(b.free); n > 0 {
		slot, b.free = b.free[n-1], b.free[:n-1]
	}
	b.slots[name], b.names[slot] = slot, name
	return slot
}

func (b *PriceBook) drop(name string) {
	b.setNeeds(name, member.Needs{})
	delete(b.needs, name)
	delete(b.failing, name)
	if slot, ok := b.slots[name]; ok {
		b.list.Drop(slot)
		delete(b.slots, name)
		delete(b.names, slot)
		b.free = append(b.free, slot)
	}
}

// setNeeds records what a segment depends on.
func (b *PriceBook) setNeeds(name string, needs member.Needs) {
	for _, used := range b.needs[name].Segments {
		if delete(b.dependents[used], name); len(b.dependents[used]) == 0 {
			delete(b.dependents, used)
		}
	}
	b.needs[name] = needs
	for _, used := range needs.Segments {
		if b.dependents[used] == nil {
			b.dependents[used] = map[string]struct{}{}
		}
		b.dependents[used][name] = struct{}{}
	}
}

// AddSize adds the size of the view to a load.
func (v *View) AddSize(to *Load) {
	profiles, events := v.Size()
	to.Shards++
	to.Chunks += v.Chunks()
	to.Profiles += profiles
	to.Rows += events
}

// AddEvents adds the view's series of some events to a load.
func (v *View) AddEvents(to *Load, events []uint32) {
	for _, event := range events {
		if int(event) >= len(v.root.events) {
			continue
		}
		for _, s := range v.root.events[event].chunks {
			if s != nil {
				to.Add(event, s.read())
			}
		}
	}
}
