package member

import (
	"errors"
	"fmt"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// timing is how a condition changes by time alone.
type timing uint8

const (
	steady     timing = iota // only when the time of an event in the future comes
	byCalendar               // for all profiles together, at the end of a day, week, …
	rolling                  // for each profile at its own instant
)

// Property is a property of an event, by ids.
type Property struct{ Event, Property uint32 }

// dependencies are the facts and names that can change a predicate.
type dependencies struct {
	events     []uint32
	attributes []uint32
	lists      []uint32
	properties []Property
	anyEvent   bool // first_seen, last_seen
	ids        bool // user_id, anonymous_id, samples
	unknown    bool // it has a name that may be defined later
	timing     timing
	windows    []tree.Window // the calendar windows, whose boundaries matter
	asked      []tree.Step   // the events, each with its `where (…)`
	chained    Chain         // the names of the events of sequences, step by step
	previous   bool          // it reads the event of the previous step
	edges      []int64       // how long after a time in a fact a rolling condition can change (negative: before)
	loose      bool          // it can change at other instants too: months vary in length, and times in properties have no edges
}

// dependsOn finds what a checked leaf predicate depends on. An unknown form is an error, so that no
// dependency is missed silently.
func dependsOn(schema query.Schema, p tree.Pred) (dependencies, error) {
	w := walker{schema: schema}
	w.walk(p, "", "")
	slices.Sort(w.events)
	w.events = slices.Compact(w.events)
	slices.Sort(w.attributes)
	w.attributes = slices.Compact(w.attributes)
	slices.Sort(w.edges)
	w.edges = slices.Compact(w.edges)
	return w.dependencies, w.err
}

// Needs is what a segment depends on, including the segments it refers to.
type Needs struct {
	Properties []Property
	Segments   []string
	Lists      []uint32
	Unknown    bool // it has a name that may be defined later
}

// NeedsOf finds what a checked predicate depends on.
func NeedsOf(schema query.Schema, p tree.Pred) Needs {
	w := walker{schema: schema, deep: true}
	w.walk(p, "", "")
	return Needs{Properties: w.properties, Segments: w.segments, Lists: w.lists, Unknown: w.unknown}
}

type walker struct {
	dependencies
	deep     bool // descend into segments and ranks
	segments []string
	schema   query.Schema
	err      error
}

func (w *walker) slower(t timing) { w.timing = max(w.timing, t) }

// walk visits a predicate or an expression. event is the event that names are properties of, "" for
// attributes; previous is the event of the previous step.
func (w *walker) walk(n tree.Node, event, previous string) {
	tree.Inspect(n, func(n tree.Node) bool {
		switch n := n.(type) {
		case *tree.And, *tree.Or, *tree.Not, *tree.Everyone, *tree.Truth, *tree.Compare, *tree.In, *tree.Range, *tree.IsSet,
			*tree.Text, *tree.Has, *tree.Arith, *tree.Literal:
			return true
		case *tree.Name:
			if n.Previous {
				w.previous = true
				w.name(n.Name, previous)
			} else {
				w.name(n.Name, event)
			}
		case *tree.InWindow:
			w.walk(n.X, event, previous)
			w.window(n.Window)
			_, measured := n.X.(*tree.Measure)
			w.loose = w.loose || event != "" || measured // its times are neither of an event nor of an attribute
		case *tree.Anniversary:
			w.walk(n.X, event, previous)
			if n.Window.Kind != tree.On {
				w.window(tree.Window{Kind: tree.Today})
			}
		default:
			w.ofProfile(n)
		}
		return false
	})
}

// ofProfile visits a node that can only be evaluated for a profile.
func (w *walker) ofProfile(n tree.Node) {
	switch n := n.(type) {
	case *tree.Did:
		w.step(n.Step, "")
		w.window(n.Window)
	case *tree.Edge:
		w.step(n.Step, "")
		w.window(n.Window)
	case *tree.Sequence:
		w.sequence(n)
	case *tree.Measure:
		w.step(tree.Step{Event: n.Event, Where: n.Where}, "")
		w.walk(n.Arg, n.Event, "")
		w.window(n.Window)
	case *tree.InList:
		if id, ok := w.schema.List(n.Name); ok {
			w.lists = append(w.lists, id)
		}
	case *tree.InSample:
		w.ids = true
	case *tree.InSegment:
		w.nested(n)
	case *tree.Rank:
		if !w.deep {
			w.err = errors.New("a rank changes by refresh only")
		}
		w.walk(n.By, "", "")
	default:
		w.err = fmt.Errorf("a predicate of type %T cannot be live", n)
	}
}

func (w *walker) sequence(p *tree.Sequence) {
	w.step(p.First, "")
	w.window(p.Window)
	w.chained = append(w.chained, p.First.Event)
	previous := p.First.Event
	for _, s := range p.Steps {
		w.step(s.Step, previous)
		w.chained = append(w.chained, s.Step.Event)
		if s.Within != nil {
			w.edge(*s.Within, 1)
		}
		if s.Absent {
			w.slower(rolling) // true when the gap is over
		} else {
			previous = s.Step.Event
		}
	}
}

func (w *walker) nested(p *tree.InSegment) {
	if !w.deep || p.Def == nil {
		w.err = errors.New("a segment is asked by its program")
		return
	}
	if !slices.Contains(w.segments, p.Name) {
		w.segments = append(w.segments, p.Name)
		w.walk(p.Def.Pred, "", "")
	}
}

func (w *walker) step(s tree.Step, previous string) {
	w.event(s.Event)
	w.asked = append(w.asked, s)
	w.walk(s.Where, s.Event, previous)
}

func (w *walker) event(name string) {
	id, ok := w.schema.Event(name)
	if !ok {
		w.unknown = true
		return
	}
	w.events = append(w.events, id)
}

func (w *walker) name(name, event string) {
	if event != "" {
		id, known := w.schema.Event(event)
		property, _, ok := w.schema.Property(id, name)
		if !known || !ok {
			w.unknown = true
			return
		}
		w.properties = append(w.properties, Property{id, property})
		return
	}
	id, _, ok := w.schema.Attribute(name)
	switch {
	case !ok:
		w.unknown = true
	case id == query.AttrFirstSeen || id == query.AttrLastSeen:
		w.anyEvent = true
	case id == query.AttrUserID || id == query.AttrAnonymousID:
		w.ids = true
	default:
		w.attributes = append(w.attributes, id)
	}
}

func (w *walker) edge(d tree.Duration, sign int64) {
	ms, fixed := d.Millis()
	w.edges = append(w.edges, sign*ms)
	w.loose = w.loose || !fixed
}

func (w *walker) window(win tree.Window) {
	switch win.Kind {
	case tree.InLast, tree.MoreThanAgo, tree.BetweenAgo, tree.InNext:
		w.slower(rolling)
		sign := int64(1)
		if win.Kind == tree.InNext {
			sign = -1
		}
		w.edges = append(w.edges, 0)
		w.edge(win.Last, sign)
		if win.Kind == tree.BetweenAgo {
			w.edge(win.Other, sign)
		}
	case tree.Today, tree.Yesterday, tree.This, tree.LastUnit:
		w.slower(byCalendar)
		w.windows = append(w.windows, win)
	}
}
