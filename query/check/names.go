package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// place says what a name refers to: an attribute, or a property of event. In the later steps of a
// sequence, previous is the event of the last step without `not`.
type place struct {
	event    *eventRef
	previous *eventRef
}

type eventRef struct {
	name  string
	id    uint32
	known bool
}

// event resolves an event name.
func (c *checker) event(name string, at tree.Span) *eventRef {
	e := &eventRef{name: name}
	if e.id, e.known = c.schema.Event(name); !e.known {
		c.unknown(tree.Diagnostic{
			Code: tree.CodeUnknownEvent, Message: fmt.Sprintf("no event %q has been received", name), At: at,
			Suggestions: c.suggest(query.EventName, "", name),
		})
	}
	return e
}

// name resolves an attribute or property. The type of an unknown name is NoType.
func (c *checker) name(n *tree.Name, in place) (*tree.Name, tree.Type) {
	t, problem := c.lookup(n, in)
	if problem != nil {
		c.unknown(*problem)
	}
	out := *n
	return &out, t
}

// lookup returns the type of a name, or a diagnostic if it is unknown, without reporting it.
func (c *checker) lookup(n *tree.Name, in place) (tree.Type, *tree.Diagnostic) {
	event := in.event
	if n.Previous {
		if event = in.previous; event == nil {
			c.errorf(tree.CodeBadPrevious, n.At, "compare with the step before:  did A then B where (p = previous.p)",
				"previous.%s can only be used in the later steps of a sequence", n.Name)
			return tree.NoType, nil
		}
	}
	if event == nil {
		if _, t, ok := c.schema.Attribute(n.Name); ok {
			return t, nil
		}
		return tree.NoType, &tree.Diagnostic{
			Code: tree.CodeUnknownAttribute, Message: fmt.Sprintf("no profile has an attribute %s", n.Name), At: n.At,
			Suggestions: c.suggest(query.AttributeName, "", n.Name),
		}
	}
	if !event.known { // the event has been reported
		return tree.NoType, nil
	}
	if _, t, ok := c.schema.Property(event.id, n.Name); ok {
		return t, nil
	}
	return tree.NoType, &tree.Diagnostic{
		Code: tree.CodeUnknownProperty, Message: fmt.Sprintf("event %q has no property %s", event.name, n.Name), At: n.At,
		Suggestions: c.suggest(query.PropertyName, event.name, n.Name),
	}
}

// rightSide refuses unknown bare names on the right of a comparison: they are strings without quotes.
func (c *checker) rightSide(x tree.Expr, in place) {
	tree.Inspect(x, func(n tree.Node) bool {
		if name, ok := n.(*tree.Name); ok && !name.Previous {
			c.rightName(name, in)
		}
		_, measure := n.(*tree.Measure)
		return !measure
	})
}

func (c *checker) rightName(x *tree.Name, in place) {
	known := in.event == nil || in.event.known
	_, problem := c.lookup(x, in)
	if problem == nil && known {
		return
	}
	d := tree.Diagnostic{Code: tree.CodeUnknownName, Message: fmt.Sprintf("%s is not a name in the catalog", x.Name),
		At: x.At, Hint: fmt.Sprintf("put a string in quotes:  %q", x.Name)}
	switch {
	case strings.EqualFold(x.Name, "now"):
		d.Message, d.Hint = "there is no now in MQL", "write  in last 30 days,  more than 30 days ago  or  in next 30 days"
	case problem != nil:
		d.Suggestions = problem.Suggestions
	}
	c.fail(d)
}

// maxDistance is the largest edit distance of a suggested name, maxSuggestions the largest number of them.
const (
	maxDistance    = 3
	maxSuggestions = 3
)

// suggest returns the known names closest to name.
func (c *checker) suggest(kind query.NameKind, event, name string) []string {
	type near struct {
		name     string
		distance int
	}
	var found []near
	want := []rune(strings.ToLower(name))
	c.schema.Names(kind, event, func(known string, _ tree.Type) bool {
		limit := min(maxDistance, len(want)-1)
		if d := distance(want, []rune(strings.ToLower(known)), max(limit, 0)); d <= max(limit, 0) {
			found = append(found, near{known, d})
		}
		return true
	})
	slices.SortStableFunc(found, func(a, b near) int {
		if a.distance != b.distance {
			return a.distance - b.distance
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, n := range found[:min(len(found), maxSuggestions)] {
		names = append(names, n.name)
	}
	return names
}

// distance returns the number of insertions, deletions, replacements and swaps of adjacent letters that
// turn a into b (optimal string alignment), or some number above limit if it is above limit.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit+1 {
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
