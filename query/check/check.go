package check

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Statement returns a checked copy of q and its warnings. The error is a *tree.Diagnostic, the first one
// of the statement; callers Locate it in the text. Unknown names are warnings, except in `create segment`
// without `allow unknown`, where they are errors.
func Statement(q *tree.Query, s query.Schema) (*tree.Query, []tree.Diagnostic, error) {
	c := newChecker(s)
	out := *q
	if q.AsOf != nil {
		at := *q.AsOf
		out.AsOf = &at
	}
	c.setZone(q.Zone)
	out.Stmt = c.stmt(q.Stmt)
	if c.err != nil {
		return nil, c.warnings, c.err
	}
	return &out, c.warnings, nil
}

// Predicate returns a checked copy of a predicate over profiles, like Statement for `count where`.
func Predicate(p tree.Pred, s query.Schema) (tree.Pred, []tree.Diagnostic, error) {
	c := newChecker(s)
	c.setZone("")
	out := c.pred(p, place{})
	if c.err != nil {
		return nil, c.warnings, c.err
	}
	return out, c.warnings, nil
}

// checker checks one statement. It keeps the first error and continues, so every function returns a tree,
// which the caller discards after an error.
type checker struct {
	schema   query.Schema
	zone     *time.Location
	strict   bool // unknown names are errors
	err      error
	warnings []tree.Diagnostic
	warned   map[string]bool

	defs   map[string]*tree.Segment // expanded segments by name
	sizes  map[string]int           // how many parts each of them has
	parts  int                      // of the statement so far, with segments expanded
	stack  []string                 // segments being expanded, outermost first
	inside *tree.Span               // where the statement refers to the outermost of them
}

func newChecker(s query.Schema) *checker {
	return &checker{schema: s, zone: time.UTC, warned: map[string]bool{}, defs: map[string]*tree.Segment{}, sizes: map[string]int{}}
}

// setZone loads the time zone of the statement. Name "" means the workspace's zone.
func (c *checker) setZone(name string) {
	if name == "" {
		name = c.schema.Zone()
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		c.fail(tree.Diagnostic{
			Code: tree.CodeUnknownTimezone, Message: fmt.Sprintf("time zone %q is not known", name),
			Hint: `write an IANA name such as in timezone "America/Sao_Paulo"`,
		})
		return
	}
	c.zone = zone
}

// fail keeps the first error. Positions inside the predicate of a segment are those of another text, so
// such an error gets the position of the reference to the segment.
func (c *checker) fail(d tree.Diagnostic) {
	if c.err != nil {
		return
	}
	if c.inside != nil {
		d.At = *c.inside
		d.Message = fmt.Sprintf("segment %q: %s", c.stack[len(c.stack)-1], d.Message)
	}
	c.err = &d
}

// errorf is fail for messages without suggestions.
func (c *checker) errorf(code string, at tree.Span, hint, format string, args ...any) {
	c.fail(tree.Diagnostic{Code: code, Message: fmt.Sprintf(format, args...), At: at, Hint: hint})
}

// unknown reports a name that is not in the catalog: an error in a new segment, else one warning per name.
func (c *checker) unknown(d tree.Diagnostic) {
	switch {
	case c.inside != nil: // allowed when the segment was saved
	case c.strict:
		if d.Hint == "" {
			d.Hint = "correct the name, or write  allow unknown  if it does not exist yet"
		}
		c.fail(d)
	case !c.warned[d.Code+d.Message]:
		c.warned[d.Code+d.Message] = true
		c.warnings = append(c.warnings, d)
	}
}

// segment returns a segment with its predicate checked in its own time zone, nil after an error.
func (c *checker) segment(name string, at tree.Span) *tree.Segment {
	for i, open := range c.stack {
		if open == name {
			c.errorf(tree.CodeSegmentCycle, at, "a segment cannot refer to itself, directly or through other segments",
				"segment %q refers to itself: %s", name, chain(append(c.stack[i:len(c.stack):len(c.stack)], name)))
			return nil
		}
	}
	if def := c.defs[name]; def != nil {
		c.countExpanded(name, at)
		return def
	}
	saved, ok := c.schema.Segment(name)
	if !ok {
		c.unknownSegment(name, at)
		return nil
	}
	def := *saved
	outer, strict, zone := c.inside, c.strict, c.zone
	c.stack = append(c.stack, name)
	if c.inside == nil {
		c.inside = &at
	}
	if z, err := time.LoadLocation(def.Zone); err == nil {
		c.zone = z
	}
	before := c.parts
	def.Pred = c.pred(saved.Pred, place{})
	c.sizes[name] = c.parts - before
	c.stack = c.stack[:len(c.stack)-1]
	c.inside, c.strict, c.zone = outer, strict, zone
	c.defs[name] = &def
	c.checkSize(at)
	return &def
}

func (c *checker) unknownSegment(name string, at tree.Span) {
	c.fail(tree.Diagnostic{
		Code: tree.CodeUnknownSegment, Message: fmt.Sprintf("there is no segment %q", name), At: at,
		Suggestions: c.suggest(query.SegmentName, "", name),
	})
}

func chain(names []string) string {
	text := ""
	for i, n := range names {
		if i > 0 {
			text += " → "
		}
		text += fmt.Sprintf("%q", n)
	}
	return text
}
