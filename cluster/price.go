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

// A segment is priced before it is proposed: memory for its live state, processor time for an event, and
// time to rebuild it at a restart. Only the proposing node checks the price; a segment in the log is
// applied by every shard, whatever it costs.

// segmentShare is the divisor of each budget that gives the limit for one segment.
const segmentShare = 4

// loadAge is the largest age of the data statistics that prices are made from.
const loadAge = 2 * time.Second

// prices knows what segments cost.
type prices struct {
	node *Node

	mu struct {
		sync.Mutex
		book       *engine.PriceBook // nil: make it when needed
		taken      time.Time         // when the statistics were taken
		admitted   *catalog.Segment  // admitted last, in the book already, not yet seen in the catalog
		admittedAt uint64            // the version it will have
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

// limit returns what all segments together may cost.
func (c *Config) limit() engine.Price {
	return engine.Price{Memory: c.SegmentMemory, Event: c.SegmentEvent, Second: c.SegmentSecond, Build: c.SegmentBuild, Stop: c.SegmentStop}
}

// catchUpLocked brings the book up to the newest catalog.
func (p *prices) catchUpLocked(newest *catalog.State) {
	now := p.node.config.Clock()
	book := p.mu.book
	if book != nil && p.mu.admitted != nil && !p.landedLocked(newest) {
		book = nil // another change got its version
	}
	if book != nil && book.Version() < newest.Version() {
		changes, err := p.node.registry.since(book.Version(), newest.Version())
		if err != nil {
			book = nil
		}
		for i := 0; book != nil && i < len(changes); i++ {
			// newest may be newer than the change; the book catches up with the next changes.
			book.Follow(changes[i], newest)
		}
	}
	if book == nil {
		book = engine.NewPriceBook(newest, p.node.config.DefaultRefresh.Milliseconds(), now.UnixMilli(), p.addLoad)
		p.mu.taken = now
	}
	if now.Sub(p.mu.taken) > loadAge || now.Before(p.mu.taken) {
		book.Forget(now.UnixMilli())
		p.mu.taken = now
	}
	p.mu.book = book
}

// landedLocked reports whether the segment that was admitted last is in the catalog.
func (p *prices) landedLocked(newest *catalog.State) bool {
	admitted := p.mu.admitted
	p.mu.admitted = nil
	changes, err := p.node.registry.since(p.mu.admittedAt-1, min(p.mu.admittedAt, newest.Version()))
	return err == nil && len(changes) == 1 && changes[0].Kind == catalog.PutSegment &&
		changes[0].Segment.Name == admitted.Name && changes[0].Segment.Text == admitted.Text && changes[0].Segment.Zone == admitted.Zone
}

// addLoad adds the data of the node to a load.
func (p *prices) addLoad(to *engine.Load, events []uint32) {
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

// admit refuses a segment that costs more than what is left of a budget. The definer calls it with the
// state that the change is made from, one change at a time, so no two segments are admitted for the same
// rest of a budget.
func (p *prices) admit(state *catalog.State, change catalog.Change) error {
	change.Version = state.Version() + 1
	after, err := state.Apply(change)
	if err != nil {
		return catalogError(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.catchUpLocked(state)
	before := p.mu.book.Total()
	added, total := p.mu.book.Quote(change, after)
	if err := p.checkBudgetLocked(change.Segment.Name, added, before, total); err != nil {
		p.mu.book.Follow(revert(state, change.Segment.Name), state)
		return err
	}
	p.mu.admitted, p.mu.admittedAt = &change.Segment, change.Version
	p.reservations.Lock()
	p.reservations.built[change.Segment.Name] = building{change.Version, added.Memory}
	p.reservations.Unlock()
	return nil
}

// revert returns the change back to what a segment was in a state.
func revert(state *catalog.State, name string) catalog.Change {
	if old, ok := state.SegmentText(name); ok {
		return catalog.Change{Kind: catalog.PutSegment, Segment: *old}
	}
	return catalog.Change{Kind: catalog.DropSegment, Name: name}
}

// checkBudgetLocked refuses what exceeds a budget, and says by how much.
func (p *prices) checkBudgetLocked(name string, added, before, total engine.Price) error {
	limit := p.node.config.limit()
	for _, b := range []struct {
		what, flag          string
		added, total, limit int64
		write               func(int64) string
	}{
		{"memory", "--segment-memory", added.Memory, total.Memory, limit.Memory, bytesText},
		{"processor time for an event", "--segment-event", int64(added.Event), int64(total.Event), int64(limit.Event), durationText},
		{"processor time in every second", "--segment-second", int64(added.Second), int64(total.Second), int64(limit.Second), durationText},
		{"processor time to build it, now and at each start", "--segment-build", int64(added.Build), int64(total.Build), int64(limit.Build), durationText},
	} {
		switch {
		case b.limit <= 0 || b.added <= 0:
		case b.added > b.limit/segmentShare:
			return tooExpensive(name, fmt.Sprintf("it would take %s of %s, and one segment may take %s (a quarter of %s)",
				b.write(b.added), b.what, b.write(b.limit/segmentShare), b.flag))
		case b.total > b.limit:
			return tooExpensive(name, fmt.Sprintf("all segments together would take %s of %s, of which it adds %s; they may take %s (%s)",
				b.write(b.total), b.what, b.write(b.added), b.write(b.limit), b.flag))
		}
	}
	if limit.Stop > 0 && added.Stop > limit.Stop && added.Stop > before.Stop {
		return tooExpensive(name, fmt.Sprintf("a shard would block for %s to compute one part of it, and may block for %s (--segment-stop)",
			durationText(int64(added.Stop)), durationText(int64(limit.Stop))))
	}
	if most := p.node.config.MemoryLimit; most > 0 {
		used := p.node.watch.used.Load() + p.reserved()
		if used+added.Memory > most {
			return tooExpensive(name, fmt.Sprintf("it would take %s of memory, but of the %s above which ingest is refused %s are left",
				bytesText(added.Memory), bytesText(most), bytesText(max(most-used, 0))))
		}
	}
	return nil
}

func tooExpensive(name, why string) error {
	return &node.Error{Code: codes.SegmentTooExpensive, Text: fmt.Sprintf(
		"segment %q is too expensive: %s; use fewer windows, thresholds or steps, drop segments that are not needed, or raise the budget", name, why)}
}

// withdraw forgets an admitted segment that did not get into the catalog.
func (p *prices) withdraw(name string) {
	p.mu.Lock()
	p.mu.book, p.mu.admitted = nil, nil
	p.mu.Unlock()
	p.reservations.Lock()
	delete(p.reservations.built, name)
	p.reservations.Unlock()
}

// reserved returns the memory that segments being built will take and do not have yet.
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

// isBuilt reports whether every shard has built the members of a version of a segment. It does not wait
// for a busy shard.
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

// priceOf returns what segments cost, each with its part of what they share.
func (p *prices) priceOf(names ...string) map[string]engine.Price {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.catchUpLocked(p.node.registry.state.Load())
	all := make(map[string]engine.Price, len(names))
	for _, name := range names {
		all[name] = p.mu.book.Of(name)
	}
	return all
}

// Prices returns what all segments cost.
func (n *Node) Prices() node.Prices {
	n.prices.mu.Lock()
	defer n.prices.mu.Unlock()
	n.prices.catchUpLocked(n.registry.state.Load())
	return node.Prices{Price: n.prices.mu.book.Total(), Reserved: n.prices.reserved(), Limit: n.config.limit()}
}

// warnPrices logs a warning for segments that would be refused today: an earlier version admitted them,
// or the data has grown since.
func (n *Node) warnPrices(ctx context.Context) {
	limit := n.config.limit()
	state := n.registry.state.Load()
	for _, s := range state.Segments() {
		if ctx.Err() != nil {
			return
		}
		price := n.prices.priceOf(s.Name)[s.Name]
		if exceeds(price, limit, segmentShare) {
			n.config.Log.Warn("segment is too expensive: it would be refused today", append([]any{"segment", s.Name}, priceAttrs(price)...)...)
		}
	}
	if all := n.Prices(); exceeds(all.Price, limit, 1) {
		n.config.Log.Warn("all segments together exceed their budget: further ones are refused", priceAttrs(all.Price)...)
	}
}

// exceeds reports whether a price exceeds a part of a limit.
func exceeds(p, limit engine.Price, part int64) bool {
	over := func(n, limit int64) bool { return limit > 0 && n > limit/part }
	return over(p.Memory, limit.Memory) || over(int64(p.Event), int64(limit.Event)) ||
		over(int64(p.Second), int64(limit.Second)) || over(int64(p.Build), int64(limit.Build)) || over(int64(p.Stop), int64(limit.Stop)*part)
}

func priceAttrs(p engine.Price) []any {
	return []any{"memory", bytesText(p.Memory), "event", p.Event, "second", p.Second, "build", p.Build, "stop", p.Stop}
}

// bytesText formats a number of bytes with a unit.
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
