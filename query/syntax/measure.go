package syntax

import (
	"fmt"
	"strings"

	"github.com/musterdb/muster/query/tree"
)

// fnOf returns the function that a word names.
func fnOf(word string) (tree.Fn, bool) {
	for f := tree.CountFn; f <= tree.PercentileFn; f++ {
		if strings.EqualFold(word, f.String()) {
			return f, true
		}
	}
	return 0, false
}

func (p *parser) measureNode(fn tree.Fn) (node, *mistake) {
	t := p.peek(0)
	if p.scope == ofEvent || p.scope == ofLaterStep {
		return node{}, p.wrong(fmt.Sprintf("%s measures many events, but this condition is about one", t.Value), "compare the event's own properties inside the parentheses")
	}
	measure, m := p.measure(fn)
	return node{expr: measure, at: p.since(t.Pos.Offset)}, m
}

// measure reads `sum(amount) of "Order Completed" where (…) in last 90 days`. REQUIRES: the
// name of the function is next.
func (p *parser) measure(fn tree.Fn) (*tree.Measure, *mistake) {
	word := p.next()
	x := &tree.Measure{Fn: fn}
	hasEvent := fn != tree.MedianFn && fn != tree.PercentileFn
	if m := p.measureArgument(x); m != nil {
		return x, m
	}
	x.At = p.since(word.Pos.Offset)
	if !isWord(p.peek(0), "of") {
		if p.scope == ofMembers && fn <= tree.DistinctFn || !hasEvent && p.scope == ofMembers {
			return x, nil
		}
		if !hasEvent {
			return x, wrong(x.At, fmt.Sprintf("%s is a measure of stats", fn), "write  stats "+fn.String()+"(…)  to measure the members")
		}
		if m := p.knownMistakeHere(); m != nil {
			return x, m
		}
		return x, wrong(x.At, fmt.Sprintf("%s needs an event", fn), fmt.Sprintf("write  %s of \"Order Completed\"", FormatExpr(x)))
	}
	if !hasEvent {
		return x, wrong(spanOf(p.peek(0)), fmt.Sprintf("%s is for attributes of members, not for events", fn), "the measures for events are sum, avg, min, max, count, distinct, days, first, last, favorite")
	}
	if p.scope == ofMembers && fn >= tree.FirstFn && fn <= tree.FavoriteFn {
		return x, wrong(x.At, fmt.Sprintf("%s is a value of one profile, but stats measures all members together", fn), "break down by it instead:  by "+fn.String()+"(…) of …")
	}
	p.next()
	scope := p.scope
	s, m := p.step(ofEvent)
	p.scope = scope
	if m != nil {
		return x, m
	}
	x.Event, x.Where = s.Event, s.Where
	if isWord(p.peek(0), "between") && p.peek(1).Type == numberToken && isWord(p.peek(2), "and") && p.peek(3).Type == numberToken && p.atDuration(3) == 0 {
		at := across(p.tokens(0, 4))
		return x, wrong(at, "between after an event is a window, but these are numbers", "").fixed(at, "ever "+textAt(p.tokens(0, 4)))
	}
	x.Window, m = p.eventWindow()
	x.At = p.since(word.Pos.Offset)
	return x, m
}

// measureArgument reads the parenthesis after the name of the function.
func (p *parser) measureArgument(x *tree.Measure) *mistake {
	if x.Fn == tree.CountFn || x.Fn == tree.DaysFn {
		if !isOp(p.peek(0), "(") {
			return nil
		}
		if isOp(p.peek(1), ")") || isOp(p.peek(1), "*") && isOp(p.peek(2), ")") {
			n := 2
			if isOp(p.peek(1), "*") {
				n = 3
			}
			at := across(p.tokens(0, n))
			return wrong(at, x.Fn.String()+" takes no parentheses", "").fixed(at, "")
		}
		if x.Fn == tree.CountFn {
			return p.wrong("count counts events and takes no property", "write  count of \"…\",  or  distinct(…)  for different values")
		}
		return p.wrong("days takes no property", "write  days of \"…\"")
	}
	if !p.acceptOp("(") {
		return p.expected("(", fmt.Sprintf("write  %s(amount)", x.Fn))
	}
	inner := &parser{lex: p.lex, scope: ofEvent}
	if p.scope == ofMembers {
		inner.scope = ofProfile // they are attributes unless `of` follows; both are bare names
	}
	from := p.peek(0).Pos.Offset
	var m *mistake
	if x.Arg, m = inner.expression(); m != nil {
		return m
	}
	if tree.Any(x.Arg, isMeasure) {
		return wrong(p.since(from), "a measure cannot contain another measure", "use names or arithmetic on names inside")
	}
	if x.Fn == tree.PercentileFn {
		if !p.acceptOp(",") {
			return p.expected("a comma and the percentage", "").fixed(p.since(from), FormatExpr(x.Arg)+", 95")
		}
		at := p.peek(0).Pos.Offset
		if x.Percent, m = p.number(); m != nil {
			return m
		}
		if x.Percent.Compare(tree.Number{}) < 0 || x.Percent.Compare(tree.Int(100)) > 0 {
			return wrong(p.since(at), "a percentile must be between 0 and 100", "write  percentile(ltv, 95)")
		}
	}
	if !p.acceptOp(")") {
		return p.misplacedNext(")")
	}
	return nil
}

func isMeasure(n tree.Node) bool {
	_, is := n.(*tree.Measure)
	return is
}

// trendMeasure reads the measure of a trend: `sum(p)`, over the event of the trend.
func (p *parser) trendMeasure() (*tree.Measure, *mistake) {
	t := p.peek(0)
	fn, ok := fnOf(t.Value)
	if !ok || fn == tree.CountFn || fn > tree.DistinctFn || !isOp(p.peek(1), "(") {
		return nil, p.expected("count, users, sum(…), avg(…), min(…), max(…) or distinct(…)", "write  of users  or  of sum(amount)")
	}
	p.next()
	x := &tree.Measure{Fn: fn}
	m := p.measureArgument(x)
	x.At = p.since(t.Pos.Offset)
	if m == nil && isWord(p.peek(0), "of") {
		m = p.wrong("the measure of a trend always uses the event of the trend", "remove the second  of")
	}
	return x, m
}

// dimension reads one `by D`.
func (p *parser) dimension() (d tree.Dimension, m *mistake) {
	t, after := p.peek(0), p.peek(1)
	from := t.Pos.Offset
	defer func() { d.At = p.since(from) }()
	switch {
	case isWord(t, "in"):
		if !isWord(after, "segment") {
			return d, p.expected("a dimension", "write  by in segment \"…\"  or an attribute")
		}
		pred, m := p.membership()
		if m == nil {
			d.Segment = pred.(*tree.InSegment)
		}
		return d, m
	case unitAt(t) >= tree.Day && isOp(after, "(") && strings.EqualFold(t.Value, unitAt(t).String()):
		d.Unit = unitAt(t)
		p.next()
		p.next()
		if d.Name, m = p.dimensionName(); m == nil && !p.acceptOp(")") {
			m = p.expected(")", "")
		}
		return d, m
	}
	if fn, ok := fnOf(t.Value); ok && t.Type == wordToken && (isOp(after, "(") || isWord(after, "of")) {
		if fn < tree.FirstFn || fn > tree.FavoriteFn {
			return d, p.wrong(fmt.Sprintf("%s is not for  by", fn), "break down by an attribute, first(…), last(…) or favorite(…) of an event")
		}
		n, m := p.measureNode(fn)
		if m == nil {
			d.Measure = n.expr.(*tree.Measure)
		}
		return d, m
	}
	if d.Name, m = p.dimensionName(); m != nil {
		return d, m
	}
	if p.accept("in", "steps", "of") {
		at := p.peek(0).Pos.Offset
		n, m := p.number()
		if m == nil && n.Compare(tree.Number{}) <= 0 {
			m = wrong(p.since(at), "a step must be greater than 0", "write  in steps of 10")
		}
		d.Step = &n
		return d, m
	}
	return d, nil
}

// atDimension reports whether a dimension is next that is not an expression.
func (p *parser) atDimension() bool {
	t, after := p.peek(0), p.peek(1)
	return isWord(t, "in") && isWord(after, "segment") ||
		unitAt(t) >= tree.Day && isOp(after, "(") ||
		isWord(after, "in") && isWord(p.peek(2), "steps")
}

func (p *parser) dimensionName() (*tree.Name, *mistake) {
	t := p.peek(0)
	value, m := p.bareName()
	if m == nil && isOp(p.peek(0), "(") {
		return nil, p.unknownFunction(t)
	}
	return &tree.Name{Name: value, At: spanOf(t)}, m
}

// bucketUnit reads the unit of `by week`, which must be one of units.
func (p *parser) bucketUnit(units ...string) (tree.Unit, *mistake) {
	t := p.peek(0)
	if isAny(t, units...) {
		p.next()
		return unitOf(t.Value), nil
	}
	similar := map[string]string{"daily": "day", "hourly": "hour", "weekly": "week", "monthly": "month", "days": "day", "hours": "hour", "weeks": "week", "months": "month"}
	if unit := similar[strings.ToLower(t.Value)]; unit != "" && strings.Contains(strings.Join(units, " "), unit) {
		return 0, p.wrong(t.Value+" is not a bucket", "").fixed(spanOf(t), unit)
	}
	return 0, p.expected("one of "+strings.Join(units, ", "), "write  by "+units[len(units)/2]).fixed(spanOf(t), units[len(units)/2])
}
