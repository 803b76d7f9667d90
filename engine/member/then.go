package member

import (
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// then makes a counter count sequences: an event of its step at t counts only if an event of the second
// step is in (t, t + gap], or, with absent, if there is none once the gap is over. Open gaps are not kept:
// whether the second step followed is looked up in the series when an edge reaches a first step and when a
// second step arrives.
type then struct {
	sequence *tree.Sequence
	second   *step
	gap      int64
	absent   bool
	passed   passages
}

// passages are the leading edges that have recently reached first steps, in order of instant. They show
// which first steps a new second step can follow, without reading the series.
type passages struct {
	all   []passage
	since int64 // all passages at later instants are in all
}

type passage struct {
	at      int64
	ordinal uint32
}

const mostPassages = 1024

// reset forgets the passages up to now.
func (p *passages) reset(now int64) { p.all, p.since = p.all[:0], now }

func (p *passages) add(at int64, ordinal uint32) {
	if len(p.all) == mostPassages {
		p.since = p.all[mostPassages/2-1].at
		p.all = slices.DeleteFunc(p.all, func(x passage) bool { return x.at <= p.since })
	}
	if at <= p.since {
		return
	}
	p.all = append(p.all, passage{at, ordinal})
	for i := len(p.all) - 1; i > 0 && p.all[i-1].at > at; i-- { // the event arrived late
		p.all[i-1], p.all[i] = p.all[i], p.all[i-1]
	}
}

// none reports whether it is certain that no edge has reached a first step of a profile between from and to.
func (p *passages) none(ordinal uint32, from, to int64) bool {
	if from <= p.since {
		return false
	}
	for i := len(p.all) - 1; i >= 0 && p.all[i].at >= from; i-- {
		if p.all[i].ordinal == ordinal && p.all[i].at <= to {
			return false
		}
	}
	return true
}

// follows reports whether a second step has followed an event at a time.
func (s *then) follows(t *Tracker, ordinal uint32, time int64) bool {
	return s.seconds(t, ordinal, time, 1) > 0
}

// seconds counts the second steps in (time, time + gap] up to now; it stops at most.
func (s *then) seconds(t *Tracker, ordinal uint32, time int64, most int) (n int) {
	t.near = t.host.Rows(ordinal, s.second.event, time+1, min(calendar.Add(time, s.gap), t.now), t.near[:0])
	for i := range t.near {
		if r := &t.near[i]; s.second.where == nil || s.second.test.Holds(r.Block, r.Row) {
			if n++; n == most {
				break
			}
		}
	}
	return n
}

// follow handles a new event of the second step: it may be the first one to follow some first steps.
func (k *counter) follow(ordinal uint32, time int64) {
	if !k.ready(ordinal) {
		return
	}
	if time > k.t.now {
		k.awaitSecond(ordinal, time)
		return
	}
	from, to := k.countedRange()
	from, to = max(from, calendar.Add(time, -k.then.gap)), min(to, time-1)
	if from > to || k.then.absent && k.then.passed.none(ordinal, calendar.Add(from, k.lead), calendar.Add(to, k.lead)) {
		return
	}
	delta := int64(1)
	if k.then.absent {
		delta = -1
	}
	found := k.t.host.Rows(ordinal, k.step.event, from, to, k.t.found[:0])
	for i := range found {
		r := &found[i]
		if k.step.where != nil && !k.step.test.Holds(r.Block, r.Row) {
			continue
		}
		if k.then.seconds(k.t, ordinal, r.At, 2) == 1 {
			k.change(ordinal, delta)
		}
	}
	k.t.found = found
}

// awaitSecond schedules a recount of the profile for the time of a second step in the future. (With absent,
// nothing counts before the gap is over.)
func (k *counter) awaitSecond(ordinal uint32, time int64) {
	if !k.then.absent {
		k.t.queue.push(item{at: time, what: dueRecount, id: k.id, ordinal: ordinal})
	}
}

// await queues the second steps of a chunk whose times are in the future.
func (s *then) await(k *counter, src query.Source, chunk int) {
	series := src.Series(s.second.event, chunk)
	if series.Rows == 0 || series.Max <= k.t.now {
		return
	}
	for _, b := range series.Blocks {
		for row := 0; row < b.Rows && b.Max > k.t.now; row++ {
			if at := b.Time(row); at > k.t.now {
				k.awaitSecond(uint32(chunk)<<query.ChunkBits|uint32(b.Pos[row]), at)
			}
		}
	}
}

func (s *then) chain() Chain { return Chain{s.sequence.First.Event, s.second.name} }

// count recounts the profiles of a chunk for which the sequence is true; the others stay 0.
func (s *then) count(k *counter, src query.Source, chunk int) {
	p, err := eval.Compile(&eval.Env{Schema: k.t.schema, Now: k.t.now, Zone: k.zone}, s.sequence)
	if err != nil { // it has been compiled with the same names before
		panic("compile counter " + k.key + " again: " + err.Error())
	}
	var all, in query.Bits
	src.Profiles(chunk, &all)
	s.chain().Evaluate(k.t.schema, p.On(src), src, chunk, &all, &in)
	for pos := range in.All {
		k.recount(uint32(chunk)<<query.ChunkBits | uint32(pos))
	}
}
