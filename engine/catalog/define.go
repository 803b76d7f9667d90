package catalog

import (
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// definer collects the names of one change on top of a state, which it does not modify.
type definer struct {
	old           *State
	attributes    vector[Attribute]
	events        vector[*Event]
	newAttributes map[string]uint32
	newEvents     map[string]uint32
	own           map[uint32]bool // events copied by this definer, which may be written
}

func newDefiner(s *State) *definer {
	return &definer{
		old: s, attributes: s.attributes, events: s.events,
		newAttributes: map[string]uint32{}, newEvents: map[string]uint32{}, own: map[uint32]bool{},
	}
}

// define adds one name; added is false if it was defined already.
func (d *definer) define(name Name) (added bool, err error) {
	if err := checkName(name.Name); err != nil {
		return false, err
	}
	switch name.Kind {
	case query.AttributeName:
		return d.attribute(name)
	case query.EventName:
		_, added, err := d.event(name.Name)
		return added, err
	case query.PropertyName:
		return d.property(name)
	}
	return false, ErrKind
}

func (d *definer) attribute(name Name) (bool, error) {
	if _, ok := builtinAttribute(name.Name); ok {
		return false, ErrReserved
	}
	if _, ok := d.old.attributeIndex.get(name.Name); ok {
		return false, nil
	}
	if _, ok := d.newAttributes[name.Name]; ok {
		return false, nil
	}
	if !validType(name.Type) {
		return false, ErrType
	}
	if d.attributes.n >= MaxAttributes {
		return false, ErrTooMany
	}
	i := uint32(d.attributes.n)
	d.attributes = d.attributes.with(Attribute{query.FirstAttribute + i, name.Name, name.Type})
	d.newAttributes[name.Name] = i
	return true, nil
}

func (d *definer) event(name string) (id uint32, added bool, err error) {
	if id, ok := d.old.eventIndex.get(name); ok {
		return id, false, nil
	}
	if id, ok := d.newEvents[name]; ok {
		return id, false, nil
	}
	if d.events.n >= MaxEvents {
		return 0, false, ErrTooMany
	}
	id = uint32(d.events.n)
	d.events = d.events.with(&Event{ID: id, Name: name, index: map[string]uint32{}})
	d.newEvents[name] = id
	d.own[id] = true
	return id, true, nil
}

func (d *definer) property(name Name) (bool, error) {
	if err := checkName(name.Event); err != nil {
		return false, err
	}
	if !validType(name.Type) {
		return false, ErrType
	}
	id, _, err := d.event(name.Event)
	if err != nil {
		return false, err
	}
	e := d.events.at(id)
	if _, ok := e.index[name.Name]; ok {
		return false, nil
	}
	if len(e.props) >= MaxProperties {
		return false, ErrTooMany
	}
	if !d.own[id] {
		e = &Event{ID: e.ID, Name: e.Name, props: append([]Property(nil), e.props...), index: maps.Clone(e.index)}
		d.events = d.events.put(id, e)
		d.own[id] = true
	}
	e.index[name.Name] = uint32(len(e.props))
	e.props = append(e.props, Property{uint32(len(e.props)), name.Name, name.Type})
	return true, nil
}

func validType(t tree.Type) bool { return t >= tree.BoolType && t <= tree.ListType }

// ValidName reports whether a catalog below its limits would accept a name.
func ValidName(name string) bool {
	return name != "" && len(name) <= MaxNameBytes && utf8.ValidString(name) && strings.IndexByte(name, 0) < 0
}
