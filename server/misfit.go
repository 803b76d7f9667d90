package server

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

// misfits finds what of messages the catalog will leave out: values of another type than their column's,
// and what has a name that it cannot take, or not from this sender now. It knows the catalog of the moment
// before: the first values of a new name, when they disagree among themselves, and names that other
// requests make at the same time, get by.
type misfits struct {
	schema query.Schema // of the moment; nil while the node opens
	bound  *newNames
	sender nameSender
	fresh  map[nameSpace]*freshNames
	names  int // in fresh
}

// nameSpace is where names are told apart: the attributes, the events, or the properties of one event.
type nameSpace struct {
	kind  query.NameKind
	event string
}

// freshNames are names of one space that the catalog lacked when they first came.
type freshNames struct {
	room  int // of the catalog then
	names map[string]bool
}

// maxFreshNames bounds what a stream of ever new names keeps in memory.
const maxFreshNames = 20_000

// roomy is a schema that says how many more names it takes. One that does not takes any number.
type roomy interface {
	Room(kind query.NameKind, event string) int
}

// misfit is why something is left out; no code means that it is not.
type misfit struct{ code, reason string }

// of returns what m loses, and keeps that in m's Context under "mismatched", so that the history has it.
// Where the event has no name yet, the Context for the case that it gets none is made too.
func (f *misfits) of(m *engine.Incoming) (lost []misfit) {
	if f.schema == nil {
		return nil
	}
	event, known := uint32(0), false
	if m.Kind.HasEvent() {
		if event, known = f.schema.Event(m.Event); !known {
			unplaced := mismatched(m.Fields, m.Context)
			if why := f.fresher(nameSpace{kind: query.EventName}, m.Event); why.code != "" {
				m.Unnamed, m.Fields, m.Context = true, nil, unplaced
				return []misfit{why}
			}
			m.Unplaced = unplaced
		}
	}
	var out []engine.NamedField
	withheld := 0
	for i := range m.Fields {
		field := &m.Fields[i]
		why := f.column(m, event, known, field)
		if why.code != "" {
			lost, out = append(lost, why), append(out, *field)
		}
		if why.code != "" && why.code != api.CodeWrongSchema {
			withheld++ // or the node would make a name of it
		} else if withheld > 0 {
			m.Fields[i-withheld] = *field
		}
	}
	m.Fields = m.Fields[:len(m.Fields)-withheld]
	if len(lost) > 0 {
		m.Context = mismatched(out, m.Context)
	}
	return lost
}

// mismatched returns the rest of a message with fields that are no columns.
func mismatched(fields []engine.NamedField, rest []byte) []byte {
	if len(fields) == 0 {
		return rest
	}
	with := []byte(`{"mismatched":{`)
	for i := range fields {
		if i > 0 {
			with = append(with, ',')
		}
		with, _ = jsontext.AppendQuote(with, fields[i].Name) // names came from valid JSON
		with = render.AppendValue(append(with, ':'), fields[i].Value)
	}
	with = append(with, '}')
	if len(rest) > 2 {
		return append(append(with, ','), rest[1:]...)
	}
	return append(with, '}')
}

// column finds the column of a field and tells why the field does not fit. event is that of the message,
// if it is known.
func (f *misfits) column(m *engine.Incoming, event uint32, known bool, field *engine.NamedField) misfit {
	var (
		t    tree.Type
		ok   bool
		name = field.Name
		in   = nameSpace{kind: query.AttributeName}
	)
	switch {
	case m.Kind.HasEvent():
		in = nameSpace{query.PropertyName, m.Event}
		if known {
			_, t, ok = f.schema.Property(event, name)
		}
	case m.Kind == engine.Group:
		name = engine.GroupPrefix + name
		_, t, ok = f.schema.Attribute(name)
	default:
		_, t, ok = f.schema.Attribute(name)
	}
	switch {
	case !ok:
		return f.fresher(in, name)
	case t == field.Value.Type:
		return misfit{}
	}
	if _, ok = engine.Coerce(field.Value, t); !ok {
		return misfit{api.CodeWrongSchema, name + " has another type than its column: the value is in the history only"}
	}
	return misfit{}
}

// fresher tells why a name that the catalog lacks is not taken.
func (f *misfits) fresher(in nameSpace, name string) misfit {
	what := "the value"
	if in.kind == query.EventName {
		what = "the message"
	}
	if !catalog.ValidName(name) {
		return misfit{api.CodeRefused, strconv.Quote(name) + " cannot be a name: " + what + " is in the history only"}
	}
	switch f.takes(in, name) {
	case api.CodeTooManyNames:
		return misfit{api.CodeTooManyNames, "there are too many names for " + strconv.Quote(name) + " to become one: " + what + " is in the history only"}
	case api.CodeNewNames:
		return misfit{api.CodeNewNames, "the sender brings too many new names for " + strconv.Quote(name) + " to become one now: " + what + " is in the history only, and later ones are taken"}
	}
	return misfit{}
}

// takes tells with a code why a name that the catalog lacks is not taken: it has no room after the new
// names that came before, or the sender has brought enough of them. No code means that it is.
func (f *misfits) takes(in nameSpace, name string) (code string) {
	catalog, limited := f.schema.(roomy)
	fresh := f.fresh[in]
	if fresh == nil {
		if f.fresh == nil || f.names > maxFreshNames {
			f.fresh, f.names = map[nameSpace]*freshNames{}, 0
		}
		fresh = &freshNames{room: maxFreshNames, names: map[string]bool{}}
		if limited {
			fresh.room = catalog.Room(in.kind, in.event)
		}
		in.event = strings.Clone(in.event) // the body is somebody else's afterwards
		f.fresh[in] = fresh
	}
	if fresh.names[name] {
		if limited && catalog.Room(in.kind, in.event) <= 0 {
			return api.CodeTooManyNames
		}
		return ""
	}
	if len(fresh.names) >= min(fresh.room, maxFreshNames) {
		return api.CodeTooManyNames
	}
	if !f.bound.take(f.sender, in.event) {
		return api.CodeNewNames
	}
	fresh.names[name] = true
	f.names++
	return ""
}

// noteMisfits reports what the catalog will leave out.
func (in *intake) noteMisfits(p *parcel, from origin, m *engine.Incoming) {
	for _, why := range in.misfits.of(m) {
		p.rejects = append(p.rejects, rejected{from, why.code, why.reason, true})
	}
}
