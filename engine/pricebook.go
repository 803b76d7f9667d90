package engine

import (
	"maps"
	"slices"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/tree"
)

// Price is what live segments cost a node.
type Price = member.Price

// Load is how much a node holds, as far as prices depend on it.
type Load = member.Load

// Look adds what a node holds of some events to a load; to one of no shards, how much it holds at all too.
type Look func(to *Load, events []uint32)

// PriceBook knows what the segments of a catalog cost, and follows its changes. It is no part of a shard
// and no replicated state: whoever proposes a definition asks it. It is used by one goroutine at a time.
type PriceBook struct {
	catalog *catalog.State
	list    *member.PriceList
	slots   map[string]int
	names   map[int]string
	needs   map[string]member.Needs
	askers  map[string]map[string]struct{} // of a segment, those that stand on it
	failing map[string]struct{}            // segments that cannot be evaluated
	free    []int
	period  int64 // of refreshes that name none, ms

	now   int64
	look  Look
	load  *Load         // nil: to be asked for
	total *member.Tally // of all segments on load; nil: to be added up
}

// NewPriceBook returns the prices of a catalog on what a node holds. period is that of segments with a rank
// that name none.
func NewPriceBook(c *catalog.State, period, now int64, look Look) *PriceBook {
	b := &PriceBook{
		catalog: c, list: member.NewPriceList(c.Schema(), now), slots: map[string]int{}, names: map[int]string{},
		needs: map[string]member.Needs{}, askers: map[string]map[string]struct{}{}, failing: map[string]struct{}{}, period: period, now: now, look: look,
	}
	for _, s := range c.Segments() {
		b.put(s.Name)
	}
	return b
}

// Version is that of the catalog the book is of.
func (b *PriceBook) Version() uint64 { return b.catalog.Version() }

// Forget has the book ask anew what the node holds.
func (b *PriceBook) Forget(now int64) { b.load, b.total = nil, nil; b.now = now }

// Follow makes the book one of the catalog after a change.
func (b *PriceBook) Follow(change catalog.Change, after *catalog.State) {
	b.catalog = after
	b.list.SetSchema(after.Schema())
	switch change.Kind {
	case catalog.PutSegment:
		_, had := b.slots[change.Segment.Name]
		asking := maps.Clone(b.askers[change.Segment.Name])
		if len(b.failing) > 0 { // what they lack may be there now
			asking = maps.Clone(b.failing)
			maps.Copy(asking, b.askers[change.Segment.Name])
		}
		b.put(change.Segment.Name)
		for _, name := range slices.Sorted(maps.Keys(asking)) {
			b.put(name)
		}
		if had || len(asking) > 0 || b.total == nil {
			b.total = nil
			return
		}
		b.refresh()
		b.total.Add(b.list.New(b.load, b.slots[change.Segment.Name]))
	case catalog.DropSegment:
		asking := slices.Sorted(maps.Keys(b.askers[change.Name]))
		b.drop(change.Name)
		for _, name := range asking {
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

// Total is what all segments cost.
func (b *PriceBook) Total() Price { return b.tally().Price() }

// refresh finds out what the node holds of what segments hear.
func (b *PriceBook) refresh() {
	fresh := b.load == nil
	if fresh {
		b.load = member.NewLoad(b.now)
	}
	if events := b.list.Missing(b.load); fresh || len(events) > 0 {
		b.look(b.load, events)
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

// Quote is what a change of the catalog adds to the price of all segments, which the book then follows.
// Who does not make the change has to Follow the way back.
func (b *PriceBook) Quote(change catalog.Change, after *catalog.State) (added, total Price) {
	before := &member.Tally{}
	before.Add(b.tally())
	b.Follow(change, after)
	now := b.tally()
	return now.Beyond(before), now.Price()
}

// Of returns what a segment costs; what it shares with others is divided among them.
func (b *PriceBook) Of(name string) Price {
	b.refresh()
	slot, ok := b.slots[name]
	if !ok {
		return Price{}
	}
	return b.list.Share(b.load, slot)
}

// put prices a segment as the catalog has it now.
func (b *PriceBook) put(name string) {
	b.need(name, member.Needs{})
	p, _, err := check.Predicate(&tree.InSegment{Name: name}, b.catalog.Schema())
	if err != nil { // it fails, and costs nothing until what it lacks comes
		b.drop(name)
		b.needs[name], b.failing[name] = member.Needs{}, struct{}{}
		return
	}
	delete(b.failing, name)
	asked := p.(*tree.InSegment)
	b.need(name, member.NeedsOf(b.catalog.Schema(), asked))
	slot := b.slotOf(name)
	if member.IsHeld(asked.Def) {
		period := b.period
		if ms, ok := asked.Def.Refresh.Millis(); ok && ms > 0 {
			period = ms
		}
		b.list.Hold(slot, name, asked.Def.Pred, period)
		return
	}
	b.list.Put(member.Definition{
		Slot: slot, Name: name, Zone: asked.Def.Zone, Pred: asked.Def.Pred, Catalog: b.catalog.Version(),
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
	b.need(name, member.Needs{})
	delete(b.needs, name)
	delete(b.failing, name)
	if slot, ok := b.slots[name]; ok {
		b.list.Drop(slot)
		delete(b.slots, name)
		delete(b.names, slot)
		b.free = append(b.free, slot)
	}
}

// need notes what a segment stands on.
func (b *PriceBook) need(name string, needs member.Needs) {
	for _, asked := range b.needs[name].Segments {
		if delete(b.askers[asked], name); len(b.askers[asked]) == 0 {
			delete(b.askers, asked)
		}
	}
	b.needs[name] = needs
	for _, asked := range needs.Segments {
		if b.askers[asked] == nil {
			b.askers[asked] = map[string]struct{}{}
		}
		b.askers[asked][name] = struct{}{}
	}
}

// AddSize adds what the view holds to a load.
func (v *View) AddSize(to *Load) {
	profiles, events := v.Size()
	to.Shards++
	to.Chunks += v.Chunks()
	to.Profiles += profiles
	to.Rows += events
}

// AddEvents adds what the view holds of some events.
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
