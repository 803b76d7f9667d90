package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
)

// A definition is priced before it is proposed: what its live state takes of memory, an event of processor
// time, and a restart of time to compute it anew. The price is a matter of the node that proposes; what is
// in the log is taken by every shard, whatever it costs.

// segmentShare is the part of each budget that one segment may take.
const segmentShare = 4

// loadAge is how old the figures of the data may be that prices are made from.
const loadAge = 2 * time.Second

// prices answers what segments cost.
type prices struct {
	node *Node

	mu struct {
		sync.Mutex
		book  *engine.PriceBook // nil: to be made
		taken time.Time         // when the data was looked at
		ahead *catalog.Segment  // the last that was admitted, which the book has already
		at    uint64            // the version it is to have
	}
	reservations struct {
		sync.Mutex
		built map[string]building
	}
}

// building is memory reserved for a segment that is being built.
type building struct {
	version uint64
	bytes   int64
}

func newPrices(n *Node) *prices {
	p := &prices{node: n}
	p.reservations.built = map[string]building{}
	return p
}

// limit is what all segments together may cost.
func (c *Config) limit() engine.Price {
	return engine.Price{Memory: c.SegmentMemory, Event: c.SegmentEvent, Second: c.SegmentSecond, Build: c.SegmentBuild, Stop: c.SegmentStop}
}

// followLocked makes the book one of the newest catalog.
func (p *prices) followLocked(newest *catalog.State) {
	now := p.node.config.Clock()
	book := p.mu.book
	if book != nil && p.mu.ahead != nil && !p.landedLocked(newest) {
		book = nil // another change took its place
	}
	if book != nil && book.Version() < newest.Version() {
		changes, err := p.node.registry.since(book.Version(), newest.Version())
		if err != nil {
			book = nil
		}
		for i := 0; book != nil && i < len(changes); i++ {
			// What is newer than the change does no harm: it follows.
			book.Follow(changes[i], newest)
		}
	}
	if book == nil {
		book = engine.NewPriceBook(newest, p.node.config.DefaultRefresh.Milliseconds(), now.UnixMilli(), p.look)
		p.mu.taken = now
	}
	if now.Sub(p.mu.taken) > loadAge || now.Before(p.mu.taken) {
		book.Forget(now.UnixMilli())
		p.mu.taken = now
	}
	p.mu.book = book
}

// landedLocked tells whether the segment that was admitted last is in the catalog.
func (p *prices) landedLocked(newest *catalog.State) bool {
	ahead := p.mu.ahead
	p.mu.ahead = nil
	changes, err := p.node.registry.since(p.mu.at-1, min(p.mu.at, newest.Version()))
	return err == nil && len(changes) == 1 && changes[0].Kind == catalog.PutSegment &&
		changes[0].Segment.Name == ahead.Name && changes[0].Segment.Text == ahead.Text && changes[0].Segment.Zone == ahead.Zone
}

// look adds what the node holds to a load.
func (p *prices) look(to *engine.Load, events []uint32) {
	v := p.node.takeViews()
	defer v.release()
	fresh := to.Shards == 0
	for _, view := range v.all {
		if fresh {
			view.AddSize(to)
		}
		view.AddEvents(to, events)
	}
}

// admit refuses a segment that costs more than what is left. The definer asks it with the state that the
// change is made from, one change at a time, so that no two segments share what is left.
func (p *prices) admit(state *catalog.State, change catalog.Change) error {
	change.Version = state.Version() + 1
	after, err := state.Apply(change)
	if err != nil {
		return catalogError(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.followLocked(state)
	before := p.mu.book.Total()
	added, total := p.mu.book.Quote(change, after)
	if err := p.judgeLocked(change.Segment.Name, added, before, total); err != nil {
		p.mu.book.Follow(undo(state, change.Segment.Name), state)
		return err
	}
	p.mu.ahead, p.mu.at = &change.Segment, change.Version
	p.reservations.Lock()
	p.reservations.built[change.Segment.Name] = building{change.Version, added.Memory}
	p.reservations.Unlock()
	return nil
}

// undo is the change back to what a segment was in a state.
func undo(state *catalog.State, name string) catalog.Change {
	if old, ok := state.SegmentText(name); ok {
		return catalog.Change{Kind: catalog.PutSegment, Segment: *old}
	}
	return catalog.Change{Kind: catalog.DropSegment, Name: name}
}

// judgeLocked refuses what is above a budget, and says by how much.
func (p *prices) judgeLocked(name string, added, before, total engine.Price) error {
	limit := p.node.config.limit()
	for _, b := range []struct {
		what, flag          string
		added, total, limit int64
		write               func(int64) string
	}{
		{"memory", "--segment-memory", added.Memory, total.Memory, limit.Memory, bytesText},
		{"processor time for an event", "--segment-event", int64(added.Event), int64(total.Event), int64(limit.Event), durationText},
		{"processor time in every second", "--segment-second", int64(added.Second), int64(total.Second), int64(limit.Second), durationText},
		{"processor time to compute it, now and at each start", "--segment-build", int64(added.Build), int64(total.Build), int64(limit.Build), durationText},
	} {
		switch {
		case b.limit <= 0 || b.added <= 0:
		case b.added > b.limit/segmentShare:
			return tooExpensive(name, fmt.Sprintf("it would take %s of %s, and one segment may take %s (a quarter of %s)",
				b.write(b.added), b.what, b.write(b.limit/segmentShare), b.flag))
		case b.total > b.limit:
			return tooExpensive(name, fmt.Sprintf("with it all segments would take %s of %s, of which it adds %s; they may take %s (%s)",
				b.write(b.total), b.what, b.write(b.added), b.write(b.limit), b.flag))
		}
	}
	if limit.Stop > 0 && added.Stop > limit.Stop && added.Stop > before.Stop {
		return tooExpensive(name, fmt.Sprintf("a shard would stand still for %s to compute one part of it, and may for %s (--segment-stop)",
			durationText(int64(added.Stop)), durationText(int64(limit.Stop))))
	}
	if most := p.node.config.MemoryLimit; most > 0 {
		used := p.node.watch.used.Load() + p.reserved()
		if used+added.Memory > most {
			return tooExpensive(name, fmt.Sprintf("it would take %s of memory, and of the %s that are used before ingest is refused %s are left",
				bytesText(added.Memory), bytesText(most), bytesText(max(most-used, 0))))
		}
	}
	return nil
}

func tooExpensive(name, why string) error {
	return &node.Error{Code: codes.SegmentTooExpensive, Text: fmt.Sprintf(
		"segment %q is too expensive: %s; ask fewer windows, thresholds or steps, drop segments that are not needed, or raise the budget", name, why)}
}

// withdraw forgets a segment that was admitted and did not get into the catalog.
func (p *prices) withdraw(name string) {
	p.mu.Lock()
	p.mu.book, p.mu.ahead = nil, nil
	p.mu.Unlock()
	p.reservations.Lock()
	delete(p.reservations.built, name)
	p.reservations.Unlock()
}

// reserved is the memory of segments that are being built: what they do not have yet, they will take.
func (p *prices) reserved() (bytes int64) {
	p.reservations.Lock()
	defer p.reservations.Unlock()
	if len(p.reservations.built) == 0 {
		return 0
	}
	newest := p.node.registry.state.Load()
	for name, b := range p.reservations.built {
		text, ok := newest.SegmentText(name)
		if newest.Version() >= b.version && (!ok || text.Version != b.version || p.node.isBuilt(name, b.version)) {
			delete(p.reservations.built, name)
			continue
		}
		bytes += b.bytes
	}
	return bytes
}

// isBuilt tells whether every shard has the members of a definition. It waits for no shard.
func (n *Node) isBuilt(name string, version uint64) bool {
	for _, s := range n.shards {
		v := s.state.Load().TryView()
		if v == nil {
			return false
		}
		m, ok := v.Members(name)
		v.Release()
		if !ok || m.Version != version || m.State == engine.SegmentBuilding {
			return false
		}
	}
	return true
}

// of returns what segments cost, each with its part of what they share.
func (p *prices) of(names ...string) map[string]engine.Price {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.followLocked(p.node.registry.state.Load())
	all := make(map[string]engine.Price, len(names))
	for _, name := range names {
		all[name] = p.mu.book.Of(name)
	}
	return all
}

// Prices tells what all segments cost.
func (n *Node) Prices() node.Prices {
	n.prices.mu.Lock()
	defer n.prices.mu.Unlock()
	n.prices.followLocked(n.registry.state.Load())
	return node.Prices{Price: n.prices.mu.book.Total(), Reserved: n.prices.reserved(), Limit: n.config.limit()}
}

// tellPrices warns of segments that would be refused today: an earlier build took them, or the data has
// grown since.
func (n *Node) tellPrices(ctx context.Context) {
	limit := n.config.limit()
	state := n.registry.state.Load()
	for _, s := range state.Segments() {
		if ctx.Err() != nil {
			return
		}
		price := n.prices.of(s.Name)[s.Name]
		if above(price, limit, segmentShare) {
			n.config.Log.Warn("segment is too expensive: it would be refused today", append([]any{"segment", s.Name}, priceAttrs(price)...)...)
		}
	}
	if all := n.Prices(); above(all.Price, limit, 1) {
		n.config.Log.Warn("all segments together are above their budget: further ones are refused", priceAttrs(all.Price)...)
	}
}

// above tells whether a price is above a part of a limit.
func above(p, limit engine.Price, part int64) bool {
	over := func(n, limit int64) bool { return limit > 0 && n > limit/part }
	return over(p.Memory, limit.Memory) || over(int64(p.Event), int64(limit.Event)) ||
		over(int64(p.Second), int64(limit.Second)) || over(int64(p.Build), int64(limit.Build)) || over(int64(p.Stop), int64(limit.Stop)*part)
}

func priceAttrs(p engine.Price) []any {
	return []any{"memory", bytesText(p.Memory), "event", p.Event, "second", p.Second, "build", p.Build, "stop", p.Stop}
}

// bytesText writes a number of bytes as people do.
func bytesText(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	x := float64(n)
	for x >= 1024 && len(units) > 1 {
		x, units = x/1024, units[1:]
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0") + " " + units[0]
}

func durationText(ns int64) string {
	d := time.Duration(ns)
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 10).String()
		}
	}
	return d.String()
}
