package syntax

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// predicate reads a whole condition.
func (p *parser) predicate() (tree.Pred, *mistake) {
	n, m := p.or()
	if m != nil {
		return nil, m
	}
	return p.truth(n)
}

// truth returns the node as a predicate. A bare name is a boolean.
func (p *parser) truth(n node) (tree.Pred, *mistake) {
	if n.pred != nil {
		return n.pred, nil
	}
	switch x := n.expr.(type) {
	case *tree.Name:
		if m := p.knownMistakeHere(); m != nil {
			return nil, m
		}
		return &tree.Truth{X: x}, nil
	case *tree.Literal:
		if x.Value.Type == tree.BoolType && p.scope == ofProfile {
			word := map[bool]string{true: "everyone", false: "not everyone"}[x.Value.True()]
			return nil, wrong(n.at, "true or false alone is not a condition", "").fixed(n.at, word)
		}
	}
	if m := p.knownMistakeHere(); m != nil {
		return nil, m
	}
	m := wrong(n.at, "expected a condition, found a value", "compare it, for example with  = …  or  > …")
	if x, ok := n.expr.(*tree.Literal); ok && x.Value.Type == tree.StringType && p.afterDid(n.at.Offset) {
		m.message, m.hint = "every event needs its own  did", ""
		return nil, m.fixed(tree.Span{Offset: n.at.Offset}, "did ")
	}
	return nil, m
}

// afterDid reports whether the condition before offset began with `did`, as in `did "A" or "B"`.
func (p *parser) afterDid(offset int) bool {
	before := p.lex.Range(0, p.lex.RawCursor())
	for i := len(before) - 1; i > 0; i-- {
		if t := &before[i]; t.Pos.Offset < offset && !isAny(t, "and", "or") && t.Type != stringToken {
			return isWord(t, "did")
		}
	}
	return false
}

// or and and read their operands in a loop, and flatten nested ones in parentheses.
func (p *parser) or() (node, *mistake) {
	return p.joined(p.and, "or", func(args []tree.Pred) tree.Pred { return join(args, false) })
}

func (p *parser) and() (node, *mistake) {
	return p.joined(p.not, "and", func(args []tree.Pred) tree.Pred { return join(args, true) })
}

func (p *parser) joined(operand func() (node, *mistake), word string, build func([]tree.Pred) tree.Pred) (node, *mistake) {
	first, m := operand()
	if m != nil || !isWord(p.peek(0), word) {
		return first, m
	}
	pred, m := p.truth(first)
	if m != nil {
		return first, m
	}
	args := []tree.Pred{pred}
	for p.accept(word) {
		n, m := operand()
		if m != nil {
			return n, m
		}
		if pred, m = p.truth(n); m != nil {
			return n, m
		}
		args = append(args, pred)
	}
	return node{pred: build(args), at: p.since(first.at.Offset)}, nil
}

// join returns the conjunction (all) or disjunction of args, flattened. A single argument is returned as it is.
func join(args []tree.Pred, all bool) tree.Pred {
	flat := make([]tree.Pred, 0, len(args))
	for _, arg := range args {
		switch arg := arg.(type) {
		case *tree.And:
			if all {
				flat = append(flat, arg.Args...)
				continue
			}
		case *tree.Or:
			if !all {
				flat = append(flat, arg.Args...)
				continue
			}
		}
		flat = append(flat, arg)
	}
	switch {
	case len(flat) == 1:
		return flat[0]
	case all:
		return &tree.And{Args: flat}
	}
	return &tree.Or{Args: flat}
}

func (p *parser) not() (node, *mistake) {
	t := p.peek(0)
	if !isWord(t, "not") {
		return p.comparison()
	}
	p.next()
	n, m := p.not()
	if m != nil {
		return n, m
	}
	pred, m := p.truth(n)
	return node{pred: &tree.Not{Arg: pred}, at: p.since(t.Pos.Offset)}, m
}

var comparisons = map[string]tree.Op{"=": tree.Eq, "!=": tree.Ne, "<": tree.Lt, "<=": tree.Le, ">": tree.Gt, ">=": tree.Ge}

// comparison reads a value and the condition on it, if any.
func (p *parser) comparison() (node, *mistake) {
	left, m := p.sum()
	if m != nil {
		return left, m
	}
	t := p.peek(0)
	op, compares := comparisons[t.Value]
	compares = compares && t.Type == opToken
	if left.pred != nil {
		if compares {
			return left, p.wrong("a condition cannot be compared", "comparisons do not chain; join two of them with  and")
		}
		return left, nil
	}
	if compares {
		return p.compare(left, op)
	}
	pred, m := p.suffix(left)
	if pred == nil || m != nil {
		return left, m
	}
	return node{pred: pred, at: p.since(left.at.Offset)}, p.unchained(left)
}

func (p *parser) compare(left node, op tree.Op) (node, *mistake) {
	sign := p.next()
	if m := knownOperand(sign, left.expr, p.tokens(0, 4)); m != nil {
		return left, m
	}
	right, m := p.sum()
	if m != nil {
		return right, m
	}
	r, m := right.value()
	if m != nil {
		return right, m
	}
	at := p.since(left.at.Offset)
	n := node{pred: &tree.Compare{Op: op, L: left.expr, R: r, At: at}, at: at}
	if next := p.peek(0); next.Type == opToken && comparisons[next.Value] != 0 || isOp(next, "=") {
		m := p.wrong("comparisons do not chain", "")
		return n, m.fixed(tree.Span{Offset: next.Pos.Offset}, "and "+FormatExpr(r)+" ")
	}
	return n, p.unchained(left)
}

// unchained returns a mistake if another condition on a value follows a complete one: `x = 1 in (2)`.
func (p *parser) unchained(left node) *mistake {
	t := p.peek(0)
	if isAny(t, "is", "contains", "has", "between", "matches") || isWord(t, "in") && isOp(p.peek(1), "(") {
		return knownMistakeOr(p.tokens(0, 8), p.wrong("the condition before this is already complete", "join conditions with  and  or  or")).fixed(
			tree.Span{Offset: t.Pos.Offset}, "and "+FormatExpr(left.expr)+" ")
	}
	return nil
}

// suffix reads the condition that follows a value. It returns nil if there is none.
func (p *parser) suffix(left node) (tree.Pred, *mistake) {
	t := p.peek(0)
	if t.Type != wordToken {
		return nil, nil
	}
	if isWord(t, "not") {
		if !isAny(p.peek(1), "in", "between", "contains", "starts", "ends", "matches", "has") {
			return nil, p.misplacedNot(left)
		}
		p.next()
		pred, m := p.suffix(left)
		if pred == nil && m == nil {
			m = p.expected("in, between, contains, starts, ends, matches or has", "")
		}
		return &tree.Not{Arg: pred}, m
	}
	from := left.at.Offset
	switch strings.ToLower(t.Value) {
	case "is":
		return p.isForm(left)
	case "contains":
		return p.textForm(left, tree.Contains, "contains")
	case "starts":
		return p.textForm(left, tree.StartsWith, "starts", "with")
	case "ends":
		return p.textForm(left, tree.EndsWith, "ends", "with")
	case "matches":
		return p.textForm(left, tree.Matches, "matches")
	case "has":
		return p.hasForm(left)
	case "between":
		return p.betweenForm(left)
	case "in":
		if isOp(p.peek(1), "(") {
			p.next()
			values, m := p.values()
			return &tree.In{X: left.expr, Values: values, At: p.since(from)}, m
		}
		if m := p.bareIn(); m != nil {
			return nil, m
		}
	}
	if !p.atWindow() {
		return nil, nil
	}
	w, m := p.window()
	return &tree.InWindow{X: left.expr, Window: w, At: p.since(from)}, m
}

// bareIn is the mistake of `plan in "pro"` and `country in BR`.
func (p *parser) bareIn() *mistake {
	t := p.peek(1)
	if t.Type == stringToken || t.Type == numberToken && p.atDuration(1) == 0 {
		values := listedValues(p.tokens(1, manyTokens))
		return wrong(across(values), "the values after in must be in parentheses", "").fixed(across(values), "("+textAt(values)+")")
	}
	return nil
}

// listedValues returns the values separated by commas, all of one kind, that tokens begin with.
func listedValues(tokens []lexer.Token) []lexer.Token {
	n := 1
	for isOp(tokenAt(tokens, n), ",") && tokenAt(tokens, n+1).Type == tokens[0].Type {
		n += 2
	}
	return tokens[:n]
}

func (p *parser) misplacedNot(left node) *mistake {
	after := p.peek(1)
	if isAny(after, "set", "null", "empty") {
		at := across(p.tokens(0, 2))
		return wrong(at, "is  is missing here", "").fixed(at, "is not set")
	}
	return knownMistakeOr(p.tokens(1, 8), p.wrong("not must come before a condition, or before in, between, contains, starts, ends, matches, has", "write  not  before the whole condition"))
}

// values reads `("a", "b")`.
func (p *parser) values() ([]*tree.Literal, *mistake) {
	open := p.next()
	if isOp(p.peek(0), ")") {
		return nil, p.wrong("the list of values is empty", "write at least one value:  in (\"a\", \"b\")")
	}
	var values []*tree.Literal
	for {
		v, m := p.literal()
		if m != nil {
			return nil, m
		}
		values = append(values, v)
		if p.acceptOp(")") {
			return values, nil
		}
		if !p.acceptOp(",") {
			t := p.peek(0)
			if t.EOF() {
				return nil, wrong(spanOf(open), "this parenthesis is not closed", "").fixed(tree.Span{Offset: t.Pos.Offset}, ")")
			}
			if t.Type == stringToken || t.Type == numberToken {
				return nil, p.wrong("a comma is missing before this value", "").fixed(tree.Span{Offset: t.Pos.Offset}, ", ")
			}
			return nil, p.expected("a comma or )", "")
		}
	}
}

// isForm reads `is set`, `is not set`, `is anniversary …`.
func (p *parser) isForm(left node) (tree.Pred, *mistake) {
	is := p.next()
	from := left.at.Offset
	negative := p.accept("not")
	var pred tree.Pred
	var m *mistake
	switch {
	case p.accept("set"):
		pred = &tree.IsSet{X: left.expr, At: p.since(from)}
	case p.accept("anniversary"):
		var w tree.Window
		w, m = p.dayWindow()
		pred = &tree.Anniversary{X: left.expr, Window: w, At: p.since(from)}
	default:
		return nil, p.wrongIs(is, negative)
	}
	if negative {
		pred = &tree.Not{Arg: pred}
	}
	return pred, m
}

// wrongIs is the mistake of `is "BR"`, `is null`, `is true`.
func (p *parser) wrongIs(is *lexer.Token, negative bool) *mistake {
	at := p.since(is.Pos.Offset)
	t := p.peek(0)
	switch {
	case isAny(t, "null", "empty", "missing", "unknown", "none"):
		p.next()
		text := "is not set"
		if negative {
			text = "is set"
		}
		at = p.since(is.Pos.Offset)
		return wrong(at, "use  is set  to check whether there is a value", "").fixed(at, text)
	case t.Type == stringToken || t.Type == numberToken || t.Type == dateToken || t.Type == timeToken || isAny(t, "true", "false"):
		text := "="
		if negative {
			text = "!="
		}
		m := wrong(at, "is  checks whether there is a value; compare values with  "+text, "write  "+text+" "+tokenText(t))
		return m.fixed(at, text)
	case isWord(t, "in"):
		m := wrong(at, "is  can only be followed by set or anniversary", "")
		if negative {
			return m.fixed(at, "not")
		}
		return m.fixed(at, "").withHint("write  in (…)  without  is")
	}
	return p.expected("set, not set or anniversary", "write  is set  or  is not set")
}

func (m *mistake) withHint(hint string) *mistake {
	m.hint = hint
	return m
}

// dayWindow reads the window of an anniversary, which is in whole days.
func (p *parser) dayWindow() (tree.Window, *mistake) {
	from := p.peek(0).Pos.Offset
	hint := "an anniversary takes today, yesterday, on 2026-01-31, this week, this month, in next 7 days, in last 7 days"
	if !p.atWindow() {
		return tree.Window{}, p.expected("a day or a window", hint)
	}
	w, m := p.window()
	if m != nil {
		return w, m
	}
	at := p.since(from)
	switch {
	case w.Kind == tree.Today || w.Kind == tree.Yesterday || w.Kind == tree.On:
		return w, nil
	case w.Kind == tree.This && (w.Unit == tree.Week || w.Unit == tree.Month):
		return w, nil
	case w.Kind == tree.InLast || w.Kind == tree.InNext:
		if w.Last.Unit == tree.Day {
			return w, nil
		}
		if ms, ok := w.Last.Millis(); ok && ms%86_400_000 == 0 {
			word := map[tree.WindowKind]string{tree.InLast: "last", tree.InNext: "next"}[w.Kind]
			return w, wrong(at, "the window of an anniversary must be in days", "").fixed(at, fmt.Sprintf("in %s %d days", word, ms/86_400_000))
		}
	}
	return w, wrong(at, "an anniversary cannot use this window", hint)
}

func (p *parser) textForm(left node, op tree.TextOp, words ...string) (tree.Pred, *mistake) {
	if !p.accept(words...) {
		t := p.peek(0)
		if p.peek(1).Type == stringToken {
			return nil, p.wrong(words[0]+" is missing  with", "").fixed(spanOf(t), strings.Join(words, " "))
		}
		return nil, p.wrong(words[0]+" is missing  with", "write  "+strings.Join(words, " ")+" \"…\"")
	}
	t := p.peek(0)
	if t.Type != stringToken {
		if t.Type == numberToken || t.Type == wordToken && !isReserved(t.Value) {
			return nil, p.wrong(strings.Join(words, " ")+" takes a string", "").fixed(spanOf(t), quote(t.Value))
		}
		return nil, p.expected("a string", "write  "+strings.Join(words, " ")+" \"…\"")
	}
	p.next()
	pred := &tree.Text{X: left.expr, Op: op, Pattern: unquote(t.Value)}
	if isWord(p.peek(0), "ignoring") {
		if !p.accept("ignoring", "case") {
			return nil, p.wrong("ignoring is missing  case", "").fixed(spanOf(p.peek(0)), "ignoring case")
		}
		pred.Fold = true
	}
	pred.At = p.since(left.at.Offset)
	return pred, nil
}

func (p *parser) hasForm(left node) (tree.Pred, *mistake) {
	p.next()
	pred := &tree.Has{X: left.expr}
	t := p.peek(0)
	if isAny(t, "any", "all") {
		pred.Which = tree.HasAny
		if isWord(t, "all") {
			pred.Which = tree.HasAll
		}
		p.next()
		if !isOp(p.peek(0), "(") {
			if m := p.bareValues("the values after has " + strings.ToLower(t.Value)); m != nil {
				return nil, m
			}
			return nil, p.expected("(", "write  has "+strings.ToLower(t.Value)+" (\"a\", \"b\")")
		}
		values, m := p.values()
		pred.Values, pred.At = values, p.since(left.at.Offset)
		return pred, m
	}
	if isOp(t, "(") {
		return nil, p.wrong("has takes one value; has any and has all take a list", "").fixed(tree.Span{Offset: t.Pos.Offset}, "any ")
	}
	v, m := p.literal()
	pred.Values, pred.At = []*tree.Literal{v}, p.since(left.at.Offset)
	return pred, m
}

// bareValues is the mistake of values without their parentheses.
func (p *parser) bareValues(what string) *mistake {
	if t := p.peek(0); t.Type == stringToken || t.Type == numberToken {
		values := listedValues(p.tokens(0, manyTokens))
		return wrong(across(values), what+" must be in parentheses", "").fixed(across(values), "("+textAt(values)+")")
	}
	return nil
}

// betweenForm reads a `between` after a value. It is a window if both ends are dates or times, of which one
// may be quoted, or if they are durations ago. Otherwise it is a range of values.
func (p *parser) betweenForm(left node) (tree.Pred, *mistake) {
	_, first := whenToken(p.peek(1))
	_, second := whenToken(p.peek(3))
	quotedBoth := p.peek(1).Type == stringToken && p.peek(3).Type == stringToken
	ago := p.peek(1).Type == numberToken && isWord(p.peek(2), "and") && p.atDuration(3) > 0 || p.atDuration(1) > 0
	if first && second && isWord(p.peek(2), "and") && !quotedBoth || ago {
		w, m := p.window()
		return &tree.InWindow{X: left.expr, Window: w, At: p.since(left.at.Offset)}, m
	}
	p.next()
	from := p.peek(0).Pos.Offset
	lo, m := p.expression()
	if m != nil {
		return nil, m
	}
	if !p.accept("and") {
		if t := p.peek(0); isOp(t, ",") || isWord(t, "to") || isOp(t, "-") {
			return nil, p.wrong("join the ends of between with  and", "").fixed(spanOf(t), " and ")
		}
		return nil, p.expected("and", "write  between 25 and 34")
	}
	hi, m := p.expression()
	if m != nil {
		return nil, m
	}
	l, isLow := lo.(*tree.Literal)
	h, isHigh := hi.(*tree.Literal)
	if isLow && isHigh && l.Value.Type == h.Value.Type && l.When == nil && h.When == nil && h.Value.Compare(l.Value) < 0 {
		at := p.since(from)
		return nil, wrong(at, "between needs its lower end first", "").fixed(at, FormatExpr(hi)+" and "+FormatExpr(lo))
	}
	return &tree.Range{X: left.expr, Lo: lo, Hi: hi, At: p.since(left.at.Offset)}, nil
}
