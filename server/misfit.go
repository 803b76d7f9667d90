package server

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

// misfits finds the values of messages that the catalog will leave out: those of another type than
// their column's, and those whose names it cannot take. It knows the catalog of the moment before: the
// first values of a new name, when they disagree among themselves, and names that other requests
// make at the same time, get by.
type misfits struct {
	schema query.Schema // of the moment; nil while the node opens
	fresh  map[string]*freshNames
	names  int // in fresh
}

// freshNames are names of one event, or of attributes, that the catalog lacked when they first came.
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

// misfit is why a value is left out.
type misfit struct{ code, reason string }

// of returns what m loses, and keeps the values in m's Context under "mismatched", so that the history
// has them.
func (f *misfits) of(m *engine.Incoming) (lost []misfit) {
	if f.schema == nil {
		return nil
	}
	var kept []byte
	for i := range m.Fields {
		field := &m.Fields[i]
		why := f.column(m, field)
		if why.code == "" {
			continue
		}
		lost = append(lost, why)
		kept = append(kept, ',')
		kept, _ = jsontext.AppendQuote(kept, field.Name) // names came from valid JSON
		kept = render.AppendValue(append(kept, ':'), field.Value)
	}
	if len(lost) == 0 {
		return nil
	}
	rest := []byte(`{"mismatched":{`)
	rest = append(append(rest, kept[1:]...), '}')
	if len(m.Context) > 2 {
		rest = append(append(rest, ','), m.Context[1:]...)
	} else {
		rest = append(rest, '}')
	}
	m.Context = rest
	return lost
}

// column finds the column of a field and tells why the field does not fit; no code means that it does.
func (f *misfits) column(m *engine.Incoming, field *engine.NamedField) misfit {
	var (
		t    tree.Type
		ok   bool
		name = field.Name
		kind = query.AttributeName
	)
	switch {
	case m.Kind.HasEvent():
		kind = query.PropertyName
		if event, known := f.schema.Event(m.Event); known {
			_, t, ok = f.schema.Property(event, name)
		}
	case m.Kind == engine.Group:
		name = engine.GroupPrefix + name
		_, t, ok = f.schema.Attribute(name)
	default:
		_, t, ok = f.schema.Attribute(name)
	}
	switch {
	case !ok && !catalog.ValidName(name):
		return misfit{api.CodeRefused, name + " cannot be the name of a column: the value is in the history only"}
	case !ok && !f.takes(kind, m.Event, name):
		return misfit{api.CodeTooManyNames, "there are too many names for " + name + " to become a column: the value is in the history only"}
	case !ok || t == field.Value.Type:
		return misfit{}
	}
	if _, ok = engine.Coerce(field.Value, t); !ok {
		return misfit{api.CodeWrongSchema, name + " has another type than its column: the value is in the history only"}
	}
	return misfit{}
}

// takes tells whether the catalog will have room for a name it lacks, after the new names that came
// before it.
func (f *misfits) takes(kind query.NameKind, event, name string) bool {
	catalog, ok := f.schema.(roomy)
	if !ok {
		return true
	}
	if kind == query.AttributeName {
		event = "" // no event has this name
	}
	fresh := f.fresh[event]
	if fresh == nil {
		if f.fresh == nil || f.names > maxFreshNames {
			f.fresh, f.names = map[string]*freshNames{}, 0
		}
		fresh = &freshNames{room: catalog.Room(kind, event), names: map[string]bool{}}
		f.fresh[event] = fresh
	}
	if fresh.names[name] {
		return catalog.Room(kind, event) > 0
	}
	if len(fresh.names) >= min(fresh.room, maxFreshNames) {
		return false
	}
	fresh.names[name] = true
	f.names++
	return true
}

// noteMisfits reports the values that the catalog will leave out.
func (in *intake) noteMisfits(p *parcel, from origin, m *engine.Incoming) {
	for _, why := range in.misfits.of(m) {
		p.rejects = append(p.rejects, rejected{from, why.code, why.reason, true})
	}
}
