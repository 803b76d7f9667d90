package exec

import (
	"reflect"

	"github.com/musterdb/muster/query/tree"
)

// Property is a property of an event that a statement reads.
type Property struct {
	Event string
	Name  *tree.Name
}

// Properties finds the properties a checked statement or predicate reads. It walks the tree by
// reflection: any node that may be added later is walked too, and a forgotten one would turn an error
// into a wrong number.
func Properties(node any) []Property {
	var w propertyWalk
	w.walk(reflect.ValueOf(node), "")
	return w.found
}

type propertyWalk struct{ found []Property }

// walk descends; event is the one whose properties names are, "" where they are attributes.
func (w *propertyWalk) walk(v reflect.Value, event string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if name, ok := v.Interface().(*tree.Name); ok {
			if event != "" {
				w.found = append(w.found, Property{event, name})
			}
			return
		}
		w.walk(v.Elem(), event)
	case reflect.Slice:
		for i := range v.Len() {
			w.walk(v.Index(i), event)
		}
	case reflect.Struct:
		w.fields(v, event)
	}
}

func (w *propertyWalk) fields(v reflect.Value, event string) {
	switch node := v.Interface().(type) {
	case tree.Step:
		event = node.Event
	case tree.Measure:
		if node.Event != "" {
			event = node.Event
		}
	case tree.TrendStmt:
		w.walk(reflect.ValueOf(node.Of), node.Step.Event)
		node.Of = nil
		v = reflect.ValueOf(node)
	case tree.RFMStmt:
		w.walk(reflect.ValueOf(node.Amount), node.Step.Event)
		node.Amount = nil
		v = reflect.ValueOf(node)
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			w.walk(v.Field(i), event)
		}
	}
}
