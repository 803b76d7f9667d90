package server

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

// mismatched finds the values of m that are of another type than the catalog's, which the catalog
// will leave out: it keeps them in m's Context under "mismatched", so that the history has them, and
// returns their names. It knows the catalog of the moment before: the first values of a new name,
// when they disagree among themselves, get by.
func mismatched(schema query.Schema, m *engine.Incoming) (names []string) {
	if schema == nil {
		return nil
	}
	event, known := uint32(0), true
	if m.Kind.HasEvent() {
		event, known = schema.Event(m.Event)
	}
	var kept []byte
	for i := range m.Fields {
		f := &m.Fields[i]
		if !known || fitsColumn(schema, m, event, f) {
			continue
		}
		names = append(names, f.Name)
		kept = append(kept, ',')
		kept, _ = jsontext.AppendQuote(kept, f.Name) // names came from valid JSON
		kept = render.AppendValue(append(kept, ':'), f.Value)
	}
	if len(names) == 0 {
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
	return names
}

func fitsColumn(schema query.Schema, m *engine.Incoming, event uint32, f *engine.NamedField) bool {
	var t tree.Type
	var ok bool
	switch {
	case m.Kind.HasEvent():
		_, t, ok = schema.Property(event, f.Name)
	case m.Kind == engine.Group:
		_, t, ok = schema.Attribute(engine.GroupPrefix + f.Name)
	default:
		_, t, ok = schema.Attribute(f.Name)
	}
	if !ok || t == f.Value.Type {
		return true
	}
	_, ok = engine.Coerce(f.Value, t)
	return ok
}

// noteMismatched reports the values that the catalog will leave out.
func (in *intake) noteMismatched(p *parcel, from origin, m *engine.Incoming) {
	for _, name := range mismatched(in.schema, m) {
		p.rejects = append(p.rejects, rejected{from, api.CodeWrongSchema, name + " has another type than its column: the value is in the history only", true})
	}
}
