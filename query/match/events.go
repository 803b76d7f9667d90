package match

import (
	"sort"

	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// holds returns the verdict of a step's `where (…)` for an event. A nil where is always true.
func (s *scope) holds(where tree.Pred, r, prev *row) Verdict {
	if where == nil {
		return always(true)
	}
	return s.inside(r, prev).pred(where)
}

// chosen returns the events up to now that satisfy the step and are in the window, in order of time.
// until is the next instant at which that may change.
func (s *scope) chosen(step tree.Step, w tree.Window) (rows []row, until int64) {
	from, to := calendar.Resolve(w, s.now, s.zone)
	until = calendar.Forever
	all := s.p.rows(step.Event)
	for i := range all {
		r := &all[i]
		v := s.holds(step.Where, r, nil)
		until = min(until, v.Until)
		if !v.True {
			continue
		}
		until = min(s.sooner(until, r.at), s.edgeOf(w, r.at))
		if r.at <= s.now && from <= r.at && r.at < to {
			rows = append(rows, *r)
		}
	}
	return rows, until
}

func (s *scope) did(p *tree.Did) Verdict {
	rows, until := s.chosen(p.Step, p.Window)
	lo, hi := int64(1), int64(-1)
	if p.Count != nil {
		lo, hi = p.Count.Bounds()
	}
	n := int64(len(rows))
	return Verdict{n >= lo && (hi < 0 || n <= hi), until}
}

// edge evaluates `first did` and `last did`: whether the first or latest such event up to now is in the
// window.
func (s *scope) edge(p *tree.Edge) Verdict {
	rows, until := s.chosen(p.Step, tree.Window{})
	if len(rows) == 0 {
		return Verdict{false, until}
	}
	at := rows[0].at
	if p.Last {
		at = rows[len(rows)-1].at
	}
	from, to := calendar.Resolve(p.Window, s.now, s.zone)
	return Verdict{from <= at && at < to, min(until, s.edgeOf(p.Window, at))}
}

// sequence finds, step by step, the events that can be chosen. It is true if at least one is left.
func (s *scope) sequence(p *tree.Sequence) Verdict {
	reached, until := s.chosen(p.First, p.Window)
	for i := range p.Steps {
		step := &p.Steps[i]
		gap := calendar.Forever
		if step.Within != nil {
			gap = calendar.Shift(0, *step.Within, +1, s.zone)
		}
		var stepUntil int64
		if step.Absent {
			reached, stepUntil = s.without(reached, step.Step, gap)
		} else {
			reached, stepUntil = s.following(reached, step, gap)
		}
		until = min(until, stepUntil)
	}
	return Verdict{len(reached) > 0, until}
}

// following returns the events of a step in (t, t + gap] for some t at which there is a reached event.
func (s *scope) following(reached []row, step *tree.SeqStep, gap int64) (next []row, until int64) {
	until = calendar.Forever
	all := s.p.rows(step.Step.Event)
	for i := range all {
		r := &all[i]
		until = s.sooner(until, r.at)
		if r.at > s.now {
			continue
		}
		for j := lastBefore(reached, r.at); j >= 0 && r.at <= calendar.Add(reached[j].at, gap); j-- {
			v := s.holds(step.Step.Where, r, &reached[j])
			until = min(until, v.Until)
			if v.True {
				next = append(next, *r)
				break
			}
			if !s.m.linked[step] {
				break
			}
		}
	}
	return next, until
}

// lastBefore returns the index of the last row earlier than t, -1 if there is none.
func lastBefore(rows []row, t int64) int {
	return sort.Search(len(rows), func(i int) bool { return rows[i].at >= t }) - 1
}

// without keeps the reached events at t for which (t, t + gap] has ended and contains no event of the
// step.
func (s *scope) without(reached []row, step tree.Step, gap int64) (kept []row, until int64) {
	until = calendar.Forever
	all := s.p.rows(step.Event)
	for i := range reached {
		a := &reached[i]
		end := calendar.Add(a.at, gap)
		until = s.sooner(until, end)
		found := false
		for j := lastBefore(all, a.at+1) + 1; j < len(all) && all[j].at <= end; j++ {
			v := s.holds(step.Where, &all[j], a)
			until = min(until, v.Until)
			found = found || v.True
		}
		if !found && end <= s.now {
			kept = append(kept, *a)
		}
	}
	return kept, until
}
