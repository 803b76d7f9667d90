package exec

import "github.com/musterdb/muster/query/tree"

// Property is a property of an event that a statement reads.
type Property struct {
	Event string
	Name  *tree.Name
}

// Properties returns the properties that a checked statement or predicate reads, also through segments.
func Properties(node tree.Node) []Property {
	var f propertyFinder
	f.find(node, "")
	return f.found
}

type propertyFinder struct{ found []Property }

// find searches below a node. event is the event whose properties the names are; "" means that names are
// attributes.
func (f *propertyFinder) find(node tree.Node, event string) {
	tree.Inspect(node, func(n tree.Node) bool {
		switch n := n.(type) {
		case *tree.Name:
			if event != "" {
				f.found = append(f.found, Property{event, n})
			}
			return true
		case *tree.Step:
			f.find(n.Where, n.Event)
			return false
		case *tree.Measure:
			if n.Event == "" {
				return true
			}
			f.find(n.Arg, n.Event)
			f.find(n.Where, n.Event)
			return false
		case *tree.InSegment:
			if n.Def != nil {
				f.find(n.Def.Pred, "")
			}
			return true
		case *tree.TrendStmt:
			if n.Of == nil {
				return true
			}
			f.find(n.Of, n.Step.Event)
			rest := *n
			rest.Of = nil
			f.find(&rest, "")
			return false
		case *tree.RFMStmt:
			f.find(n.Amount, n.Step.Event)
			f.find(&n.Step, "")
			f.find(n.Where, "")
			return false
		}
		return true
	})
}
