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

// part is what has to be computed chunk by chunk before segments can stand on it.
type part interface {
	// build computes a chunk at the tracker's now.
	build(chunk int)
	// units is what that costs a build.
	units(chunk int) int
	state() *progress
}

// progress says for which chunks a part is kept current.
type progress struct {
	built    int // chunks below it
	complete bool
	refs     int // segments, active or pending, that stand on the part
}

func (p *progress) ready(ordinal uint32) bool {
	return p.complete || int(ordinal>>query.ChunkBits) < p.built
}

func (p *progress) state() *progress { return p }

// condition is a leaf predicate in a zone, with the profiles for which it is true. It is evaluated
// again for a profile when a fact it depends on arrives or when its time comes, and for everybody
// where a calendar turns. Segments share it.
type condition struct {
	progress
	t       *Tracker
	id      uint32
	key     string
	pred    tree.Pred
	zone    *time.Location
	deps    dependencies
	matcher *match.Matcher
	leaf    leaf
	steps   []*step      // the events it hears of
	plain   bool         // an attribute's value decides
	agenda  agenda       // of rolling ones: when edges pass times in facts
	due     paged[int64] // of loose ones: the instant queued for a profile; 0: none
	stamp   uint64
	turn    int64 // of calendar ones: the boundary queued
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
	bare := c.matcher.Match(match.NewProfile(nobody{}, t.schema, 0), t.now).True
	c.leaf = leaf{t: t, kind: truthLeaf, at: t.rows.placeBit(), bare: bare}
	_, c.plain = plain(t.schema, p)
	c.agenda.reset(t.now)
	return c, nil
}

// compiled returns the condition for sets, at now.
func (c *condition) compiled() (*eval.Pred, error) {
	return eval.Compile(&eval.Env{Schema: c.t.schema, Now: c.t.now, Zone: c.zone}, c.pred)
}

func (c *condition) holds(ordinal uint32) bool {
	return c.t.rows.bit(c.t.rows.row(ordinal), c.leaf.at)
}

// put makes the condition true or false for a profile, and tells who stands on it.
func (c *condition) put(ordinal uint32, is bool) {
	if c.holds(ordinal) != is {
		c.t.rows.setBit(ordinal, c.leaf.at, is)
		c.t.flip(&c.leaf, ordinal)
	}
}

// match evaluates the condition for one profile and queues when to look again.
func (c *condition) match(p *match.Profile, ordinal uint32) {
	v := c.matcher.Match(p, c.t.now)
	c.put(ordinal, v.True)
	if c.deps.timing == rolling && c.deps.loose {
		c.await(ordinal, v.Until)
	}
}

// await queues the instant at which a profile has to be looked at again. An earlier one that is
// queued already stays: looking early does no harm, and each profile has one item only.
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

// come evaluates the condition for a profile whose time has come; stale items are dropped.
func (c *condition) come(x item) {
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
	if err != nil { // it was compiled before with the same names
		panic(fmt.Errorf("compile condition %q again: %w", c.key, err))
	}
	c.deps.chained.Evaluate(c.t.schema, p.On(src), src, chunk, all, in)
}

func (c *condition) units(chunk int) int {
	return c.deps.chained.units(c.t.schema, c.t.host.Source(), chunk)
}

// candidates are the profiles with a fact that time can act on: without one nothing ever changes.
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

// turns evaluates the condition anew for everybody: a calendar turned.
func (c *condition) turns() {
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
	c.awaitTurn()
}

// chunks is the number of chunks that are kept current.
func (p *progress) chunks(src query.Source) int {
	if p.complete {
		return src.Chunks()
	}
	return min(p.built, src.Chunks())
}

// awaitTurn queues the next boundary of a calendar condition.
func (c *condition) awaitTurn() {
	if len(c.deps.windows) > 0 {
		c.turn = boundary(c.deps.windows, c.t.now, c.zone)
		c.t.queue.push(item{at: c.turn, what: dueBoundary, id: c.id})
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

// nobody is a source without facts.
type nobody struct{}

var _ query.Source = nobody{}

func (nobody) Chunks() int                             { return 0 }
func (nobody) Attribute(uint32, int) []query.Vec       { return nil }
func (nobody) Hides(int) bool                          { return false }
func (nobody) ValueSets(uint32, int) query.ValueSets   { return nil }
func (nobody) Series(uint32, int) query.Series         { return query.Series{} }
func (nobody) Events(int) []uint32                     { return nil }
func (nobody) ID(uint32) string                        { return "" }
func (nobody) UserID(uint32) (string, bool)            { return "", false }
func (nobody) AnonymousID(uint32) (string, bool)       { return "", false }
func (nobody) Find(string) (uint32, bool)              { return 0, false }
func (nobody) InList(_ uint32, _ int, out *query.Bits) { *out = query.Bits{} }
func (nobody) Inputs() []query.Set                     { return nil }

func (nobody) Profiles(_ int, out *query.Bits) int {
	*out = query.Bits{}
	return 0
}
