package check

import (
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// maxParts bounds the predicates and expressions of a statement with the segments it asks written
// out. Segments that ask others twice each double at every level: forty of them, each a short text,
// are more conditions than anything could evaluate, or even walk.
const maxParts = 50_000

// instructionsPerPart is the number of instructions of regular expressions that count as a part: a text
// of 40 bytes may have millions, each as large as a word or five.
const instructionsPerPart = 10

// pattern counts a regular expression; false when it is too large to be compiled.
func (c *checker) pattern(p *tree.Text) bool {
	c.parts += values.PatternSize(p.Pattern) / instructionsPerPart
	if c.parts <= maxParts {
		return true
	}
	c.parts = maxParts + 1
	c.errorf(tree.CodeLimit, spanOr(p.At, p.X), "repeat less, such as  a*  for  a{1000}", "the regular expressions up to this one are too large together")
	return false
}

// part counts one predicate, expression or step.
func (c *checker) part() { c.parts++ }

// written counts a segment that has been expanded before: it is checked once, but evaluated where it
// is asked.
func (c *checker) written(name string, at tree.Span) {
	c.parts += c.sizes[name]
	c.bounded(at)
}

// bounded refuses a statement that has grown too large by asking the segment at a place.
func (c *checker) bounded(at tree.Span) {
	if c.parts > maxParts {
		c.parts = maxParts + 1 // sums of refused sizes must not wrap round
		c.errorf(tree.CodeLimit, at, "segments that ask others several times multiply: save what they share as a list",
			"with its segments written out the statement has more than %d parts", maxParts)
	}
}
