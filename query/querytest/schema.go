package querytest

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Schema is the catalog of a history.
type Schema struct {
	history  *History
	types    Types
	attrs    map[string]uint32
	events   map[string]uint32
	names    []string // event names by id
	props    []map[string]uint32
	lists    map[string]uint32
	segments map[string]*tree.Segment
}

var _ query.Schema = (*Schema)(nil)

// NewSchema assigns ids to the names of h, in the order of names. Ids of attributes have gaps, so that code
// that confuses an id with an index fails.
func NewSchema(h *History) *Schema {
	s := &Schema{
		history: h, types: h.Types(),
		attrs: map[string]uint32{
			"user_id": query.AttrUserID, "anonymous_id": query.AttrAnonymousID,
			"first_seen": query.AttrFirstSeen, "last_seen": query.AttrLastSeen,
		},
		events: map[string]uint32{}, lists: map[string]uint32{}, segments: map[string]*tree.Segment{},
	}
	for i, name := range sortedKeys(s.types.Attrs) {
		if _, builtIn := s.attrs[name]; !builtIn {
			s.attrs[name] = query.FirstAttribute + uint32(i)
		}
	}
	for i, name := range sortedKeys(s.types.Events) {
		s.events[name] = uint32(i)
		s.names = append(s.names, name)
		props := map[string]uint32{}
		for j, prop := range sortedKeys(s.types.Events[name]) {
			props[prop] = uint32(j)
		}
		s.props = append(s.props, props)
	}
	for i, name := range sortedKeys(h.Lists) {
		s.lists[name] = uint32(i)
	}
	for _, seg := range h.Segments {
		s.segments[seg.Name] = seg
	}
	return s
}

// Attribute implements query.Schema.
func (s *Schema) Attribute(name string) (uint32, tree.Type, bool) {
	id, ok := s.attrs[name]
	return id, s.types.Attrs[name], ok
}

// Event implements query.Schema.
func (s *Schema) Event(name string) (uint32, bool) {
	id, ok := s.events[name]
	return id, ok
}

// Property implements query.Schema.
func (s *Schema) Property(event uint32, name string) (uint32, tree.Type, bool) {
	if int(event) >= len(s.names) {
		return 0, tree.NoType, false
	}
	id, ok := s.props[event][name]
	return id, s.types.Events[s.names[event]][name], ok
}

// Segment implements query.Schema.
func (s *Schema) Segment(name string) (*tree.Segment, bool) {
	seg, ok := s.segments[name]
	return seg, ok
}

// List implements query.Schema.
func (s *Schema) List(name string) (uint32, bool) {
	id, ok := s.lists[name]
	return id, ok
}

// Zone implements query.Schema.
func (s *Schema) Zone() string { return s.history.Zone }

// Names implements query.Schema.
func (s *Schema) Names(kind query.NameKind, event string, yield func(string, tree.Type) bool) {
	types := map[string]tree.Type{}
	switch kind {
	case query.AttributeName:
		types = s.types.Attrs
	case query.EventName:
		for name := range s.types.Events {
			types[name] = tree.NoType
		}
	case query.PropertyName:
		for name, props := range s.types.Events {
			if event != "" && name != event {
				continue
			}
			for prop, t := range props {
				types[prop] = t
			}
		}
	case query.SegmentName:
		for name := range s.segments {
			types[name] = tree.NoType
		}
	case query.ListName:
		for name := range s.lists {
			types[name] = tree.NoType
		}
	}
	for _, name := range sortedKeys(types) {
		if !yield(name, types[name]) {
			return
		}
	}
}
