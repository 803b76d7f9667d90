package cluster

import (
	"fmt"
	"reflect"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// usedProperty is a property that a statement reads.
type usedProperty struct {
	event string
	name  *tree.Name
}

// usedProperties finds the properties a checked statement or predicate reads. It walks the tree by
// reflection: any node that may be added later is walked too, and a forgotten one would turn an error
// into a wrong number.
func usedProperties(node any) []usedProperty {
	var w propertyWalk
	w.walk(reflect.ValueOf(node), "")
	return w.found
}

type propertyWalk struct{ found []usedProperty }

// walk descends; event is the one whose properties names are, "" where they are attributes.
func (w *propertyWalk) walk(v reflect.Value, event string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if name, ok := v.Interface().(*tree.Name); ok {
			if event != "" {
				w.found = append(w.found, usedProperty{event, name})
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

// checkOverflow refuses what reads a property of which a shard does not hold all values: the number
// would be too small, and nobody would see it.
func checkOverflow(node any, schema query.Schema, v *views) error {
	for _, used := range usedProperties(node) {
		event, ok := schema.Event(used.event)
		if !ok {
			continue
		}
		id, _, ok := schema.Property(event, used.name.Name)
		if !ok {
			continue
		}
		for _, view := range v.all {
			if view.Overflowed(event, id) {
				return &tree.Diagnostic{
					Code:    "not_in_memory",
					Message: fmt.Sprintf("%q of %q has too many different values to be held in memory", used.name.Name, used.event),
					At:      used.name.At,
					Hint:    "its values are in the history of each profile; ask by a property with fewer values",
				}
			}
		}
	}
	return nil
}
