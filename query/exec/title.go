package exec

import (
	"fmt"

	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// dimensionTitle is the text of a dimension, which names its column.
func dimensionTitle(d tree.Dimension) string {
	switch {
	case d.Segment != nil:
		return syntax.FormatPred(d.Segment)
	case d.Measure != nil:
		return syntax.FormatExpr(d.Measure)
	case d.Step != nil:
		return fmt.Sprintf("%s in steps of %s", syntax.FormatExpr(d.Name), d.Step)
	case d.Unit != tree.NoUnit:
		return fmt.Sprintf("%s(%s)", d.Unit, syntax.FormatExpr(d.Name))
	}
	return d.Name.Name
}

// columnTitle is the name a column was given, or its text; an attribute is named as it is, without
// backticks.
func columnTitle(c tree.Column) string {
	if c.As != "" {
		return c.As
	}
	if name, ok := c.X.(*tree.Name); ok {
		return name.Name
	}
	return syntax.FormatExpr(c.X)
}
