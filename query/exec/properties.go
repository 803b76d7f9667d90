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
	f.find(node, "", "")
	return f.found
}

type propertyFinder struct{ found []Property }

// find searches below a node. event is the event whose properties the names are; "" means that names are
// attributes. previous is the event of the step before, whose properties follow `previous.`.
func (f *propertyFinder) find(node tree.Node, event, previous string) {
	tree.Inspect(node, func(n tree.Node) bool {
		switch n := n.(type) {
		case *tree.Name:
			if of := ownerOf(n, event, previous); of != "" {
				f.found = append(f.found, Property{of, n})
			}
			return true
		case *tree.Step:
			f.find(n.Where, n.Event, previous)
			return false
		case *tree.Sequence:
			previous := f.step(&n.First, "")
			for i := range n.Steps {
				previous = f.step(&n.Steps[i].Step, previous)
			}
			return false
		case *tree.Measure:
			if n.Event == "" {
				return true
			}
			f.find(n.Arg, n.Event, "")
			f.find(n.Where, n.Event, "")
			return false
		case *tree.InSegment:
			if n.Def != nil {
				f.find(n.Def.Pred, "", "")
			}
			return true
		case *tree.TrendStmt:
			if n.Of == nil {
				return true
			}
			f.find(n.Of, n.Step.Event, "")
			rest := *n
			rest.Of = nil
			f.find(&rest, "", "")
			return false
		case *tree.RFMStmt:
			f.find(n.Amount, n.Step.Event, "")
			f.find(&n.Step, "", "")
			f.find(n.Where, "", "")
			return false
		}
		return true
	})
}

// step searches a step of a sequence and returns its event.
func (f *propertyFinder) step(s *tree.Step, previous string) (event string) {
	f.find(s, "", previous)
	return s.Event
}

// ownerOf returns the event that a name is a property of, "" for an attribute.
func ownerOf(n *tree.Name, event, previous string) string {
	if n.Previous {
		return previous
	}
	return event
}
