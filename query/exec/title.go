package exec

import (
	"fmt"

	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// dimensionTitle returns the text of a dimension, which is the name of its column.
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

// columnTitle returns the given name of a column, or its text. An attribute is written without
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
