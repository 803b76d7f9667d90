package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// The limits of a catalog.
const (
	MaxAttributes = 10_000
	MaxEvents     = 10_000
	MaxProperties = 512 // of one event
	MaxSegments   = 10_000
	MaxLists      = 10_000
	MaxNameBytes  = tree.MaxNameBytes
	MaxTextBytes  = 64 << 10 // of a segment's predicate
)

// Attribute is a named, typed property of profiles.
type Attribute struct {
	ID   uint32
	Name string
	Type tree.Type
}

// Property is a named, typed property of the events of one name; ids are dense from 0.
type Property struct {
	ID   uint32
	Name string
	Type tree.Type
}

// Event is an event name with its properties.
type Event struct {
	ID    uint32
	Name  string
	props []Property
	index map[string]uint32
}

// Properties returns the properties in order of id. The result must not be changed.
func (e *Event) Properties() []Property { return e.props }

// Segment is a saved predicate: Text as it was written, and Canonical, its canonical form. Version is the
// catalog version that defined it.
type Segment struct {
	Name      string
	Described string
	Text      string
	Canonical string
	Zone      string
	Refresh   tree.Duration
	Version   uint64

	parsed *tree.Segment
}

// Tree returns the segment with its predicate parsed, not checked. The result must not be changed.
func (s *Segment) Tree() *tree.Segment { return s.parsed }

// List is a static list of profile ids; the shards hold its members. A Kept list is an internal set, not a
// user's list: it has the members that a segment had at an instant, for the saved segments whose text names
// it.
type List struct {
	ID   uint32
	Name string
	Kept bool
}

// isKept reports whether a list from a log or a snapshot that did not distinguish kept sets from lists is a
// kept set.
func isKept(name string) bool { return strings.HasPrefix(name, `was in segment "`) }

// Parse parses the text of a predicate. It must be deterministic.
type Parse func(text string) (tree.Pred, error)

// State is one version of the catalog. It is immutable: Apply returns the next version, which shares
// everything that did not change. Any goroutine may read a State for any length of time.
type State struct {
	parse   Parse
	version uint64
	zone    string

	attributes     vector[Attribute]
	attributeIndex layered
	events         vector[*Event]
	eventIndex     layered
	segments       directory
	lists          map[string]List
	nextList       uint32
}

var _ query.Schema = (*State)(nil)

// New returns version 0, which has only the built-in attributes. parse may be nil if there are never any
// segments.
func New(parse Parse) *State {
	return &State{parse: parse, lists: map[string]List{}}
}

// Version returns the number of changes applied.
func (s *State) Version() uint64 { return s.version }

// Schema returns the state as the query language sees it.
func (s *State) Schema() query.Schema { return s }

// Zone returns the workspace's time zone, an IANA name; "" is UTC.
func (s *State) Zone() string { return s.zone }

type builtin struct {
	id uint32
	t  tree.Type
}

func builtinAttribute(name string) (builtin, bool) {
	switch name {
	case "user_id":
		return builtin{query.AttrUserID, tree.StringType}, true
	case "anonymous_id":
		return builtin{query.AttrAnonymousID, tree.StringType}, true
	case "first_seen":
		return builtin{query.AttrFirstSeen, tree.TimeType}, true
	case "last_seen":
		return builtin{query.AttrLastSeen, tree.TimeType}, true
	}
	return builtin{}, false
}

// BuiltinNames returns the names of the attributes that every workspace has, ascending. They cannot be
// defined.
func BuiltinNames() []string { return []string{"anonymous_id", "first_seen", "last_seen", "user_id"} }

// Attribute implements query.Schema.
func (s *State) Attribute(name string) (uint32, tree.Type, bool) {
	if b, ok := builtinAttribute(name); ok {
		return b.id, b.t, true
	}
	i, ok := s.attributeIndex.get(name)
	if !ok {
		return 0, tree.NoType, false
	}
	a := s.attributes.at(i)
	return a.ID, a.Type, true
}

// AttributeByID returns an attribute by id, excluding built-in ones.
func (s *State) AttributeByID(id uint32) (Attribute, bool) {
	if id < query.FirstAttribute || int(id-query.FirstAttribute) >= s.attributes.n {
		return Attribute{}, false
	}
	return s.attributes.at(id - query.FirstAttribute), true
}

// Attributes returns the number of defined attributes; their ids follow query.FirstAttribute.
func (s *State) Attributes() int { return s.attributes.n }

// Event implements query.Schema.
func (s *State) Event(name string) (uint32, bool) { return s.eventIndex.get(name) }

// EventByID returns an event, nil if there is none.
func (s *State) EventByID(id uint32) *Event {
	if int(id) >= s.events.n {
		return nil
	}
	return s.events.at(id)
}

// Events returns the number of events; their ids are dense from 0.
func (s *State) Events() int { return s.events.n }

// Property implements query.Schema.
func (s *State) Property(event uint32, name string) (uint32, tree.Type, bool) {
	e := s.EventByID(event)
	if e == nil {
		return 0, tree.NoType, false
	}
	id, ok := e.index[name]
	if !ok {
		return 0, tree.NoType, false
	}
	return id, e.props[id].Type, true
}

// Segment implements query.Schema.
func (s *State) Segment(name string) (*tree.Segment, bool) {
	segment, ok := s.segments.get(name)
	if !ok {
		return nil, false
	}
	return segment.parsed, true
}

// SegmentText returns a segment with its text.
func (s *State) SegmentText(name string) (*Segment, bool) {
	segment, ok := s.segments.get(name)
	return segment, ok
}

// Segments returns the segments in ascending order of name.
func (s *State) Segments() []*Segment {
	all := make([]*Segment, 0, s.segments.n)
	for _, segment := range s.segments.all {
		all = append(all, segment)
	}
	slices.SortFunc(all, func(a, b *Segment) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// List implements query.Schema. It also finds kept sets, which the predicates of saved segments refer to.
func (s *State) List(name string) (uint32, bool) {
	l, ok := s.lists[name]
	return l.ID, ok
}

// Lists returns the lists in ascending order of name, without kept sets.
func (s *State) Lists() []List {
	return slices.DeleteFunc(s.AllLists(), func(l List) bool { return l.Kept })
}

// Kept returns the kept sets in ascending order of name.
func (s *State) Kept() []List {
	return slices.DeleteFunc(s.AllLists(), func(l List) bool { return !l.Kept })
}

// AllLists returns lists and kept sets in ascending order of name: everything that the shards hold.
func (s *State) AllLists() []List {
	all := make([]List, 0, len(s.lists))
	for _, name := range slices.Sorted(maps.Keys(s.lists)) {
		all = append(all, s.lists[name])
	}
	return all
}

// IsKept reports whether a kept set has this name.
func (s *State) IsKept(name string) bool { return s.lists[name].Kept }

// Names implements query.Schema. With event "", properties are those of all events, each name once, with
// the type it has in the event defined first.
func (s *State) Names(kind query.NameKind, event string, yield func(string, tree.Type) bool) {
	types := map[string]tree.Type{}
	switch kind {
	case query.AttributeName:
		for _, name := range BuiltinNames() {
			b, _ := builtinAttribute(name)
			types[name] = b.t
		}
		for i := range s.attributes.n {
			a := s.attributes.at(uint32(i))
			types[a.Name] = a.Type
		}
	case query.EventName:
		for i := range s.events.n {
			types[s.events.at(uint32(i)).Name] = tree.NoType
		}
	case query.PropertyName:
		for i := range s.events.n {
			e := s.events.at(uint32(i))
			if event != "" && e.Name != event {
				continue
			}
			for _, p := range e.props {
				if _, ok := types[p.Name]; !ok {
					types[p.Name] = p.Type
				}
			}
		}
	case query.SegmentName:
		for name := range s.segments.all {
			types[name] = tree.NoType
		}
	case query.ListName:
		for name, l := range s.lists {
			if !l.Kept {
				types[name] = tree.NoType
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if !yield(name, types[name]) {
			return
		}
	}
}
