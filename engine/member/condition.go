package member

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/tree"
)

// part is a condition or a counter. It is computed chunk by chunk before segments can use it.
type part interface {
	// build computes a chunk at the tracker's now.
	build(chunk int)
	// units returns the cost of building a chunk.
	units(chunk int) int
	state() *progress
}

// progress records for which chunks a part is kept current.
type progress struct {
	built    int // chunks below this number are current
	complete bool
	refs     int // segments, active or pending, that use the part
}

func (p *progress) ready(ordinal uint32) bool {
	return p.complete || int(ordinal>>query.ChunkBits) < p.built
}

func (p *progress) state() *progress { return p }

// condition is a leaf predicate in a zone, with the profiles for which it is true. It is evaluated again
// for a profile when a fact it depends on arrives or when an instant queued for the profile comes, and for
// all profiles at a calendar boundary. Segments share it.
type condition struct {
	progress
	t          *Tracker
	id         uint32
	key        string
	pred       tree.Pred
	zone       *time.Location
	deps       dependencies
	matcher    *match.Matcher
	leaf       leaf
	steps      []*step      // the events that affect it
	plain      bool         // the value of one attribute decides
	schedule   schedule     // of rolling conditions: when edges reach times in facts
	due        paged[int64] // of loose conditions: the instant queued for a profile; 0: none
	stamp      uint64
	boundaryAt int64 // of calendar conditions: the boundary queued
}

func newCondition(t *Tracker, id uint32, key string, p tree.Pred, zone *time.Location) (*condition, error) {
	c := &condition{t: t, id: id, key: key, pred: p, zone: zone}
	var err error
	if c.deps, err = dependsOn(t.schema, p); err != nil {
		return nil, err
	}
	if c.matcher, err = match.Compile(match.Env{Schema: t.schema, Zone: zone}, p); err != nil {
		return nil, err
	}
	if _, err = c.compiled(); err != nil {
		return nil, err
	}
	bare := c.matcher.Match(match.NewProfile(noFacts{}, t.schema, 0), t.now).True
	c.leaf = leaf{t: t, kind: truthLeaf, at: t.rows.placeBit(), bare: bare}
	_, c.plain = plain(t.schema, p)
	c.schedule.reset(t.now)
	return c, nil
}

// compiled returns the condition compiled for evaluation over sets, at now.
func (c *condition) compiled() (*eval.Pred, error) {
	return eval.Compile(&eval.Env{Schema: c.t.schema, Now: c.t.now, Zone: c.zone}, c.pred)
}

func (c *condition) holds(ordinal uint32) bool {
	return c.t.rows.bit(c.t.rows.row(ordinal), c.leaf.at)
}

// put sets the condition for a profile, and marks the segments that use it if that is a change.
func (c *condition) put(ordinal uint32, is bool) {
	if c.holds(ordinal) != is {
		c.t.rows.setBit(ordinal, c.leaf.at, is)
		c.t.flip(&c.leaf, ordinal)
	}
}

// match evaluates the condition for one profile and queues the next evaluation.
func (c *condition) match(p *match.Profile, ordinal uint32) {
	v := c.matcher.Match(p, c.t.now)
	c.put(ordinal, v.True)
	if c.deps.timing == rolling && c.deps.loose {
		c.await(ordinal, v.Until)
	}
}

// await queues the instant at which a profile must be evaluated again. An earlier instant that is queued
// already stays: evaluating early does no harm, and each profile has only one item.
func (c *condition) await(ordinal uint32, until int64) {
	if until == calendar.Forever {
		return
	}
	if old := c.due.get(ordinal); old != 0 && old <= until {
		return
	}
	c.due.put(ordinal, until)
	c.t.queue.push(item{at: until, what: dueProfile, id: c.id, ordinal: ordinal})
}

// takeDue evaluates the condition for a profile whose queued instant has come. Stale items are ignored.
func (c *condition) takeDue(x item) {
	if c.due.get(x.ordinal) != x.at {
		return
	}
	c.due.put(x.ordinal, 0)
	if c.t.host.Exists(x.ordinal) {
		c.match(c.t.profile(x.ordinal), x.ordinal)
	}
}

// build implements part.
func (c *condition) build(chunk int) {
	var all, in query.Bits
	src := c.t.host.Source()
	src.Profiles(chunk, &all)
	c.evaluate(src, chunk, &all, &in)
	c.t.rows.loadBit(chunk, c.leaf.at, &in)
	if c.deps.timing != rolling {
		return
	}
	if !c.deps.loose {
		c.resume(src, chunk)
		return
	}
	c.due.drop(chunk)
	all.And(c.candidates(src, chunk))
	for pos := range all.All {
		ordinal := uint32(chunk)<<query.ChunkBits | uint32(pos)
		c.await(ordinal, c.matcher.Match(c.t.profile(ordinal), c.t.now).Until)
	}
}

func (c *condition) evaluate(src query.Source, chunk int, all, in *query.Bits) {
	if c.deps.chained.slices(c.t.schema, src, chunk) > mostSlices {
		*in = *all
		in.And(c.candidates(src, chunk))
		for pos := range in.All {
			ordinal := uint32(chunk)<<query.ChunkBits | uint32(pos)
			if !c.matcher.Match(c.t.profile(ordinal), c.t.now).True {
				in.Clear(pos)
			}
		}
		return
	}
	p, err := c.compiled()
	if err != nil { // it has been compiled with the same names before
		panic(fmt.Errorf("compile condition %q again: %w", c.key, err))
	}
	c.deps.chained.Evaluate(c.t.schema, p.On(src), src, chunk, all, in)
}

func (c *condition) units(chunk int) int {
	return c.deps.chained.units(c.t.schema, c.t.host.Source(), chunk)
}

// candidates returns the profiles with a fact that time can act on. For all others, time changes nothing.
func (c *condition) candidates(src query.Source, chunk int) *query.Bits {
	var some query.Bits
	events := c.deps.events
	if c.deps.anyEvent {
		events = src.Events(chunk)
	}
	for _, event := range events {
		src.Series(event, chunk).Ever.AddTo(&some)
	}
	for _, attribute := range c.deps.attributes {
		for page, vec := range src.Attribute(attribute, chunk) {
			for row := range vec.Rows {
				if _, ok := vec.Raw(row); ok {
					some.Set(uint16(page*query.PageRows + row))
				}
			}
		}
	}
	return &some
}

// atBoundary evaluates the condition again for all profiles after a calendar boundary.
func (c *condition) atBoundary() {
	src := c.t.host.Source()
	var all, in, was query.Bits
	for chunk := range c.chunks(src) {
		src.Profiles(chunk, &all)
		c.evaluate(src, chunk, &all, &in)
		c.t.rows.fillBit(chunk, c.leaf.at, &all, &was)
		if was != in {
			c.t.rows.loadBit(chunk, c.leaf.at, &in)
			c.t.markUsers(&c.leaf, chunk)
		}
	}
	c.awaitBoundary()
}

// chunks returns the number of chunks that are kept current.
func (p *progress) chunks(src query.Source) int {
	if p.complete {
		return src.Chunks()
	}
	return min(p.built, src.Chunks())
}

// awaitBoundary queues the next boundary of a calendar condition.
func (c *condition) awaitBoundary() {
	if len(c.deps.windows) > 0 {
		c.boundaryAt = boundary(c.deps.windows, c.t.now, c.zone)
		c.t.queue.push(item{at: c.boundaryAt, what: dueBoundary, id: c.id})
	}
}

// boundary returns the first instant after now at which one of some calendar windows moves.
func boundary(windows []tree.Window, now int64, zone *time.Location) int64 {
	next := calendar.Forever
	for _, w := range windows {
		unit := tree.Window{Kind: tree.Today}
		if w.Kind == tree.This || w.Kind == tree.LastUnit {
			unit = tree.Window{Kind: tree.This, Unit: w.Unit}
		}
		if _, to := calendar.Resolve(unit, now, zone); to > now {
			next = min(next, to)
		} else {
			next = min(next, now+1)
		}
	}
	return next
}

// noFacts is a source without facts.
type noFacts struct{}

var _ query.Source = noFacts{}

func (noFacts) Chunks() int                             { return 0 }
func (noFacts) Attribute(uint32, int) []query.Vec       { return nil }
func (noFacts) Hides(int) bool                          { return false }
func (noFacts) ValueSets(uint32, int) query.ValueSets   { return nil }
func (noFacts) Series(uint32, int) query.Series         { return query.Series{} }
func (noFacts) Events(int) []uint32                     { return nil }
func (noFacts) ID(uint32) string                        { return "" }
func (noFacts) UserID(uint32) (string, bool)            { return "", false }
func (noFacts) AnonymousID(uint32) (string, bool)       { return "", false }
func (noFacts) Find(string) (uint32, bool)              { return 0, false }
func (noFacts) InList(_ uint32, _ int, out *query.Bits) { *out = query.Bits{} }
func (noFacts) Inputs() []query.Set                     { return nil }

func (noFacts) Profiles(_ int, out *query.Bits) int {
	*out = query.Bits{}
	return 0
}
