package cluster

import (
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/tree"
)

// checkOverflow refuses a property that has values a shard does not hold in memory: the result would be
// too small, and no one would notice.
func checkOverflow(all []exec.Property, schema query.Schema, v *views) error {
	for _, used := range all {
		event, ok := schema.Event(used.Event)
		if !ok {
			continue
		}
		id, _, ok := schema.Property(event, used.Name.Name)
		if !ok {
			continue
		}
		for _, view := range v.all {
			if view.Overflowed(event, id) {
				return &tree.Diagnostic{
					Code:    tree.CodeNotInMemory,
					Message: fmt.Sprintf("%q of %q has too many different values to be held in memory", used.Name.Name, used.Event),
					At:      used.Name.At,
					Hint:    "its values are in the history of each profile; use a property with fewer values",
				}
			}
		}
	}
	return nil
}
