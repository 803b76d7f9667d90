package check

import (
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// step checks an event and its condition.
func (c *checker) step(s tree.Step, previous *eventRef) (tree.Step, *eventRef) {
	event := c.event(s.Event, s.At)
	s.Where = c.where(s.Where, place{event: event, previous: previous})
	return s, event
}

func (c *checker) where(p tree.Pred, in place) tree.Pred {
	if p == nil {
		return nil
	}
	return c.pred(p, in)
}

func (c *checker) did(p *tree.Did) tree.Pred {
	out := *p
	out.Step, _ = c.step(p.Step, nil)
	out.Window = c.window(p.Window, false)
	if p.Count != nil {
		count := *p.Count
		out.Count = &count
		if count.Form == tree.BetweenTimes && count.Hi < count.Lo {
			c.errorf(tree.CodeBadRange, p.At, "exchange the two numbers", "between needs its lower end first")
		}
	}
	return &out
}

func (c *checker) sequence(p *tree.Sequence) tree.Pred {
	out := *p
	var last *eventRef
	out.First, last = c.step(p.First, nil)
	out.Steps = make([]tree.SeqStep, len(p.Steps))
	bounded := 0
	for i, s := range p.Steps {
		c.countPart()
		var event *eventRef
		out.Steps[i] = s
		out.Steps[i].Step, event = c.step(s.Step, last)
		if s.Within != nil {
			within := *s.Within
			out.Steps[i].Within = &within
			bounded++
			if _, ok := within.Millis(); !ok {
				c.errorf(tree.CodeBadSequence, s.Step.At, "write it in days", "within needs a fixed length, but months and years have none")
			}
		} else if s.Absent {
			c.errorf(tree.CodeBadSequence, s.Step.At, "add  within 1 hour", "then not needs a within")
		}
		if !s.Absent {
			last = event
		}
	}
	if bounded != 0 && bounded != len(p.Steps) {
		c.errorf(tree.CodeBadSequence, p.At, "give every step a within, or none", "some steps have a within and some have none")
	}
	out.Window = c.window(p.Window, false)
	return &out
}

// window checks a window. ahead allows windows in the future, which only time attributes can have.
func (c *checker) window(w tree.Window, ahead bool) tree.Window {
	switch w.Kind {
	case tree.InNext:
		if !ahead {
			c.errorf(tree.CodeBadWindow, w.At, "use  in last", "there are no events in the future, so in next is for time attributes")
		}
	case tree.Between:
		if w.From.Date && w.To.Date && calendar.Day(w.To.Y, w.To.M, w.To.D) < calendar.Day(w.From.Y, w.From.M, w.From.D) {
			c.errorf(tree.CodeBadWindow, w.At, "exchange the two ends", "the window ends before it begins")
			break
		}
		from, _ := calendar.Span(w.From, c.zone)
		to, next := calendar.Span(w.To, c.zone)
		if w.To.Date {
			to = next
		}
		if to < from {
			c.errorf(tree.CodeBadWindow, w.At, "exchange the two ends", "the window ends before it begins")
		}
	}
	return w
}

func (c *checker) anniversary(p *tree.Anniversary) {
	w := p.Window
	ok := false
	switch w.Kind {
	case tree.Today, tree.Yesterday:
		ok = true
	case tree.On:
		ok = w.From.Date
	case tree.This:
		ok = w.Unit == tree.Week || w.Unit == tree.Month
	case tree.InNext, tree.InLast:
		ok = w.Last.Unit == tree.Day || w.Last.Unit == tree.Week
	}
	if !ok {
		c.errorf(tree.CodeBadWindow, w.At, "use today, yesterday, on a date, this week, this month, in next or in last some days",
			"is anniversary needs a window in whole days")
	}
}
