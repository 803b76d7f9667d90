package check

import (
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// maxParts bounds the predicates and expressions of a statement after its segments are expanded. Segments
// that each refer to another one twice double the size at every level: forty of them, each a short text,
// make more conditions than can be evaluated, or even visited.
const maxParts = 50_000

// instructionsPerPart is the number of regular expression instructions that count as one part. A pattern of
// 40 bytes can compile to millions of instructions of one to five words each.
const instructionsPerPart = 10

// countPattern counts a regular expression. It returns false if it is too large to be compiled.
func (c *checker) countPattern(p *tree.Text) bool {
	c.parts += values.PatternSize(p.Pattern) / instructionsPerPart
	if c.parts <= maxParts {
		return true
	}
	c.parts = maxParts + 1
	c.errorf(tree.CodeLimit, spanOr(p.At, p.X), "use fewer repetitions, for example  a*  instead of  a{1000}", "the regular expressions of the statement are too large")
	return false
}

// countPart counts one predicate, expression or step.
func (c *checker) countPart() { c.parts++ }

// countExpanded counts a segment that has been expanded before. It is checked once, but evaluated everywhere it
// is used.
func (c *checker) countExpanded(name string, at tree.Span) {
	c.parts += c.sizes[name]
	c.checkSize(at)
}

// checkSize refuses a statement that is too large with the segment at a span.
func (c *checker) checkSize(at tree.Span) {
	if c.parts > maxParts {
		c.parts = maxParts + 1 // so that later sums cannot overflow
		c.errorf(tree.CodeLimit, at, "segments that use others several times multiply in size; save the shared part as a list",
			"with its segments expanded, the statement has more than %d parts", maxParts)
	}
}
