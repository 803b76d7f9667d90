package member

import (
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// A rolling condition can change by time alone only when one of its edges reaches a time in a fact it
// depends on: the time of an event or the value of an attribute. Those instants are on its schedule, and
// the profile is evaluated when one comes. (Calendar conditions change for all profiles together; loose
// conditions queue an instant for each profile.)

// watches reports whether the condition has an schedule.
func (c *condition) watches() bool { return c.deps.timing == rolling && !c.deps.loose }

// addEdges adds the edges of a new time in a fact to the schedule.
func (c *condition) addEdges(ordinal uint32, time int64) {
	if !c.watches() || !c.ready(ordinal) {
		return
	}
	for _, e := range c.deps.edges {
		if at := calendar.Add(time, e); at > c.t.now && at <= c.schedule.horizon {
			c.schedule.insert(moment{at: at, ordinal: ordinal})
			c.schedule.enqueue(c.t, c.id)
		}
	}
}

// takeScheduled marks the profiles to be evaluated whose instant has come.
func (c *condition) takeScheduled(at int64) {
	reached := c.schedule.popDue(c.t, at, func(m moment) { c.t.touch(m.ordinal, touchCondition, c.id) })
	if reached {
		c.lookAhead()
	}
	c.schedule.enqueue(c.t, c.id)
}

// lookAhead fills the schedule up to a new horizon, at most a quarter of the shortest edge away.
func (c *condition) lookAhead() {
	reach := int64(math.MaxInt64)
	for _, e := range c.deps.edges {
		if e != 0 {
			reach = min(reach, max(e, -e)/4)
		}
	}
	src := c.t.host.Source()
	after, upTo := c.schedule.begin(c.t, c.id, max(reach, 1))
	for chunk := range c.chunks(src) {
		c.scan(src, chunk, after, upTo)
	}
	c.schedule.endLookAhead(upTo)
}

// resume adds a chunk that has just been built to the schedule.
func (c *condition) resume(src query.Source, chunk int) {
	upTo := c.schedule.reopen(c.t.now)
	c.scan(src, chunk, c.t.now, upTo)
	c.schedule.sort()
	c.schedule.enqueue(c.t, c.id)
}

// scan adds the edges in (after, upTo] of the times in a chunk to the schedule, unsorted.
func (c *condition) scan(src query.Source, chunk int, after, upTo int64) {
	if after >= upTo {
		return
	}
	base := uint32(chunk) << query.ChunkBits
	events := c.deps.events
	if c.deps.anyEvent {
		events = src.Events(chunk)
	}
	for _, event := range events {
		for _, b := range src.Series(event, chunk).Blocks {
			c.scanBlock(b, c.testsOf(event, b), base, after, upTo)
		}
	}
	for _, attribute := range c.deps.attributes {
		for page, vec := range src.Attribute(attribute, chunk) {
			for row := 0; vec.Type == tree.TimeType && row < vec.Rows; row++ {
				if at, ok := vec.Raw(row); ok {
					c.addEdgesAt(base|uint32(page*query.PageRows+row), at, after, upTo)
				}
			}
		}
	}
}

func (c *condition) scanBlock(b *query.Block, tests []blockTest, base uint32, after, upTo int64) {
	concerned := false
	for _, e := range c.deps.edges {
		concerned = concerned || calendar.Add(b.Max, e) > after && calendar.Add(b.Min, e) <= upTo
	}
	if !concerned {
		return
	}
	for row := range b.Rows {
		at := b.Time(row)
		for _, e := range c.deps.edges {
			if edge := calendar.Add(at, e); edge > after && edge <= upTo && anyHolds(tests, row) {
				c.schedule.moments = append(c.schedule.moments, moment{at: edge, ordinal: base | uint32(b.Pos[row])})
			}
		}
	}
}

func (c *condition) addEdgesAt(ordinal uint32, time, after, upTo int64) {
	for _, e := range c.deps.edges {
		if edge := calendar.Add(time, e); edge > after && edge <= upTo {
			c.schedule.moments = append(c.schedule.moments, moment{at: edge, ordinal: ordinal})
		}
	}
}

// testsOf prepares the steps of an event for a block; nil means that all of its events concern the condition.
func (c *condition) testsOf(event uint32, b *query.Block) (tests []blockTest) {
	if c.deps.anyEvent {
		return nil
	}
	for _, s := range c.steps {
		if s.event != event {
			continue
		}
		if s.where == nil {
			return nil
		}
		tests = append(tests, s.on(b))
	}
	return tests
}

func anyHolds(tests []blockTest, row int) bool {
	for i := range tests {
		if tests[i].holds(row) {
			return true
		}
	}
	return len(tests) == 0
}
