package syntax

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// expression reads a value: names, literals, measures, and arithmetic on them, but no comparison.
func (p *parser) expression() (tree.Expr, *mistake) {
	n, m := p.sum()
	if m != nil {
		return nil, m
	}
	return n.value()
}

// node is the result of a production: a value or a predicate. A parenthesis can hold either, and which one
// it is becomes clear only after it. So values and predicates share the chain of productions from or to
// primary.
type node struct {
	pred tree.Pred
	expr tree.Expr
	at   tree.Span
}

// value returns the node as a value.
func (n node) value() (tree.Expr, *mistake) {
	if n.pred != nil {
		return nil, wrong(n.at, "expected a value, found a condition", "remove the comparison, or close the parenthesis before it")
	}
	return n.expr, nil
}

func (p *parser) sum() (node, *mistake) {
	return p.chain(p.product, "+", tree.AddOp, "-", tree.SubOp)
}

func (p *parser) product() (node, *mistake) {
	return p.chain(p.primary, "*", tree.MulOp, "/", tree.DivOp)
}

// chain reads operands joined by either of two operators of equal precedence, from left to right.
func (p *parser) chain(operand func() (node, *mistake), first string, firstOp tree.Op, second string, secondOp tree.Op) (node, *mistake) {
	left, m := operand()
	for m == nil {
		op := firstOp
		if t := p.peek(0); isOp(t, second) {
			op = secondOp
		} else if !isOp(t, first) {
			break
		}
		l, bad := left.value()
		if bad != nil {
			return left, bad
		}
		p.next()
		var right node
		if right, m = operand(); m != nil {
			break
		}
		r, bad := right.value()
		if bad != nil {
			return left, bad
		}
		at := p.since(left.at.Offset)
		left = node{expr: &tree.Arith{Op: op, L: l, R: r, At: at}, at: at}
	}
	return left, m
}

// primary reads a literal, a name, a measure, a parenthesis, or a condition that begins with its own
// keyword.
func (p *parser) primary() (node, *mistake) {
	t := p.peek(0)
	switch t.Type {
	case stringToken, numberToken, dateToken, timeToken:
		return p.literalNode()
	case quotedToken:
		return p.nameNode()
	case durationToken:
		return node{}, p.bareDuration()
	case wordToken:
		return p.wordPrimary(t)
	}
	switch {
	case isOp(t, "("):
		return p.parenthesis()
	case isOp(t, "-") && p.peek(1).Type == numberToken:
		return p.literalNode()
	case isOp(t, "-"):
		return node{}, p.wrong("a minus sign can only come before a number or between two values", "").fixed(spanOf(t), "0 - ")
	}
	return node{}, p.expected("a condition or a value", "")
}

func (p *parser) parenthesis() (node, *mistake) {
	open := p.next()
	n, m := p.or()
	if m != nil {
		return n, m
	}
	if !isOp(p.peek(0), ")") {
		if m := p.knownMistakeHere(); m != nil {
			return n, m
		}
		if p.peek(0).EOF() {
			return n, wrong(spanOf(open), "this parenthesis is not closed", "").fixed(tree.Span{Offset: p.peek(0).Pos.Offset}, ")")
		}
		return n, p.misplacedNext(")")
	}
	p.next()
	n.at = p.since(open.Pos.Offset)
	return n, nil
}

// misplacedNext is the mistake of the next token after a complete production. instead is what could follow.
func (p *parser) misplacedNext(instead string) *mistake {
	t := p.peek(0)
	m := misplaced(p.lex.Range(0, p.lex.RawCursor()+lexer.RawCursor(len(p.tokens(0, 8)))), int(p.lex.RawCursor()))
	if m.hint == "" {
		m.message = fmt.Sprintf("expected %s, found %s", instead, tokenText(t))
	}
	return m
}

func (p *parser) wordPrimary(t *lexer.Token) (node, *mistake) {
	after := p.peek(1)
	if fn, ok := fnOf(t.Value); ok && (isOp(after, "(") || isWord(after, "of") && (fn == tree.CountFn || fn == tree.DaysFn) ||
		fn == tree.CountFn && p.scope == ofMembers) {
		return p.measureNode(fn)
	}
	if isWord(t, "first") || isWord(t, "last") {
		if isWord(after, "did") {
			return p.condition(p.edge)
		}
	}
	switch strings.ToLower(t.Value) {
	case "true", "false":
		return p.literalNode()
	case "everyone":
		p.next()
		return node{pred: &tree.Everyone{At: spanOf(t)}, at: spanOf(t)}, p.onlyOfProfiles(t, "everyone")
	case "did":
		return p.condition(p.did)
	case "was":
		return p.condition(p.wasIn)
	case "in":
		return p.condition(p.membership)
	}
	if isReserved(t.Value) {
		return node{}, p.reservedName(t, after)
	}
	return p.nameNode()
}

// condition reads a predicate with production. None of these predicates is allowed inside the `where (…)`
// of an event.
func (p *parser) condition(production func() (tree.Pred, *mistake)) (node, *mistake) {
	t := p.peek(0)
	if m := p.onlyOfProfiles(t, strings.ToLower(t.Value)); m != nil {
		return node{}, m
	}
	pred, m := production()
	return node{pred: pred, at: p.since(t.Pos.Offset)}, m
}

func (p *parser) onlyOfProfiles(t *lexer.Token, what string) *mistake {
	if p.scope != ofEvent && p.scope != ofLaterStep {
		return nil
	}
	return wrong(spanOf(t), fmt.Sprintf("%q is about a profile, but here names are properties of the event", what),
		"close the parenthesis first, then join with  and")
}

// reservedName is the mistake of a reserved word in place of a condition or a value.
func (p *parser) reservedName(t, after *lexer.Token) *mistake {
	if m := p.knownMistakeHere(); m != nil {
		return m
	}
	if after.Type == opToken && strings.Contains("=!=<=>=", after.Value) || isAny(after, "is", "in", "between", "contains", "has") {
		return wrong(spanOf(t), fmt.Sprintf("%s is a reserved word", t.Value), "").fixed(spanOf(t), "`"+t.Value+"`")
	}
	if isAny(t, "and", "or") {
		return wrong(spanOf(t), fmt.Sprintf("a condition is missing before %s", t.Value), "add it, or remove the word")
	}
	return wrong(spanOf(t), fmt.Sprintf("expected a condition or a value, found %s", t.Value), "put a name that is a reserved word in backticks: `"+t.Value+"`")
}

func (p *parser) literalNode() (node, *mistake) {
	from := p.peek(0).Pos.Offset
	l, m := p.literal()
	return node{expr: l, at: p.since(from)}, m
}

// literal reads a literal value.
func (p *parser) literal() (*tree.Literal, *mistake) {
	t := p.peek(0)
	l := &tree.Literal{At: spanOf(t)}
	switch {
	case t.Type == stringToken:
		l.Value = tree.Str(unquote(t.Value))
	case t.Type == dateToken || t.Type == timeToken:
		w, _ := whenToken(t)
		l.When = &w
	case isWord(t, "true") || isWord(t, "false"):
		l.Value = tree.Bool(isWord(t, "true"))
	case t.Type == numberToken, isOp(t, "-") && p.peek(1).Type == numberToken:
		n, m := p.number()
		l.Value, l.At = tree.Num(n), p.since(t.Pos.Offset)
		return l, m
	case t.Type == durationToken:
		return l, p.bareDuration()
	case t.Type == wordToken || t.Type == quotedToken:
		return l, p.wrong(fmt.Sprintf("expected a value, but %s is a name", t.Value), "").fixed(spanOf(t), quote(strings.Trim(t.Value, "`")))
	default:
		return l, p.expected("a value", "")
	}
	p.next()
	return l, nil
}

// number reads a number with an optional minus.
func (p *parser) number() (tree.Number, *mistake) {
	from := p.peek(0).Pos.Offset
	sign := ""
	if p.acceptOp("-") {
		sign = "-"
	}
	t := p.peek(0)
	if t.Type != numberToken {
		return tree.Number{}, p.expected("a number", "")
	}
	p.next()
	n, ok := tree.ParseNumber(sign + strings.ReplaceAll(t.Value, "_", ""))
	if !ok {
		return n, wrong(p.since(from), "the number is too large", "numbers go up to about 1.7e308")
	}
	return n, nil
}

// bareDuration is the mistake of `> 90d`.
func (p *parser) bareDuration() *mistake {
	return knownMistakeOr(p.tokens(0, 8), p.wrong("a duration can only be used in a window or after within", "write  in last "+p.peek(0).Value+"  or  more than "+p.peek(0).Value+" ago"))
}

func (p *parser) nameNode() (node, *mistake) {
	t := p.next()
	n := nameOf(t)
	if n.Previous && p.scope != ofLaterStep {
		return node{}, wrong(spanOf(t), "previous. refers to the step before, but there is none here",
			"use it in  where (…)  after  then; put an attribute of that name in backticks: "+backticks("previous."+n.Name))
	}
	if n.Name == "" {
		return node{}, wrong(spanOf(t), "the name is empty", "write it between the backticks")
	}
	if isOp(p.peek(0), "(") {
		return node{}, p.unknownFunction(t)
	}
	return node{expr: n, at: n.At}, nil
}

// nameOf returns the name a token spells.
func nameOf(t *lexer.Token) *tree.Name {
	const prefix = "previous."
	previous := len(t.Value) > len(prefix) && strings.EqualFold(t.Value[:len(prefix)], prefix)
	if t.Type == quotedToken {
		return &tree.Name{Name: unbacktick(t.Value), Previous: previous, At: spanOf(t)}
	}
	if previous {
		return &tree.Name{Name: t.Value[len(prefix):], Previous: true, At: spanOf(t)}
	}
	return &tree.Name{Name: t.Value, At: spanOf(t)}
}

func (p *parser) unknownFunction(t *lexer.Token) *mistake {
	similar := map[string]string{"average": "avg", "mean": "avg", "total": "sum", "minimum": "min", "maximum": "max", "unique": "distinct", "mode": "favorite", "favourite": "favorite", "earliest": "first", "latest": "last", "count_distinct": "distinct"}
	if fn := similar[strings.ToLower(t.Value)]; fn != "" {
		return wrong(spanOf(t), fmt.Sprintf("there is no function %s", t.Value), "").fixed(spanOf(t), fn)
	}
	return wrong(spanOf(t), fmt.Sprintf("there is no function %s", t.Value), "the functions are sum, avg, min, max, count, distinct, days, first, last, favorite, and in stats median, percentile")
}

// bareName reads a name where only a name is allowed, such as that of a column or an attribute.
func (p *parser) bareName() (string, *mistake) {
	t := p.peek(0)
	switch {
	case t.Type == wordToken && isReserved(t.Value):
		return "", p.wrong(fmt.Sprintf("%s is a reserved word", t.Value), "").fixed(spanOf(t), "`"+t.Value+"`")
	case t.Type == wordToken:
		p.next()
		return t.Value, nil
	case t.Type == quotedToken && t.Value[0] == '`':
		p.next()
		return unbacktick(t.Value), nil
	case t.Type == stringToken && len(t.Value) > 2:
		return "", p.wrong("expected a name, found a string", "").fixed(spanOf(t), spelled(unquote(t.Value)))
	}
	return "", p.expected("a name", "")
}

// quotedText reads a string that names something: a segment, a list, a zone.
func (p *parser) quotedText(what string) (string, *mistake) {
	t := p.peek(0)
	switch {
	case t.Type == stringToken && len(t.Value) == 2:
		return "", p.wrong("the string is empty", "write a name between the quotes")
	case t.Type == stringToken:
		p.next()
		return unquote(t.Value), nil
	case t.Type == quotedToken:
		return "", p.wrong(what+" must be in quotes", "").fixed(spanOf(t), quote(unbacktick(t.Value)))
	case t.Type == wordToken && !isReserved(t.Value):
		return "", p.wrong(what+" must be in quotes", "").fixed(spanOf(t), quote(t.Value))
	}
	return "", p.expected(what, `put it in quotes: "…"`)
}

// wholeNumber reads a whole number, 0 or more.
func (p *parser) wholeNumber(what string) (int64, *mistake) {
	t := p.peek(0)
	if words := map[string]string{"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "ten": "10"}; t.Type == wordToken && words[strings.ToLower(t.Value)] != "" {
		return 0, p.wrong(what+" must be written in digits", "").fixed(spanOf(t), words[strings.ToLower(t.Value)])
	}
	if t.Type != numberToken && !isOp(t, "-") {
		return 0, p.expected(what, "")
	}
	from := t.Pos.Offset
	n, m := p.number()
	if m != nil {
		return 0, m
	}
	i, ok := n.Int64()
	if !ok || i < 0 {
		at := p.since(from)
		m := wrong(at, "expected "+what+", 0 or more", "")
		return 0, m.fixed(at, fmt.Sprint(int64(min(max(n.Float64(), 0), 1e15))))
	}
	return i, nil
}
