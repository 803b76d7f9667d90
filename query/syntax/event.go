package syntax

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// eventName reads an event: a string, a name, or any word but `not`.
func (p *parser) eventName() (string, *mistake) {
	t := p.peek(0)
	switch {
	case isWord(t, "not"):
		return "", p.wrong("expected an event, found  not", "put an event of that name in quotes: \"not\"")
	case t.Type == wordToken:
		p.next()
		return t.Value, nil
	case t.Type == quotedToken && t.Value[0] == '`':
		p.next()
		return unbacktick(t.Value), nil
	case t.Type == stringToken && len(t.Value) > 2:
		p.next()
		return unquote(t.Value), nil
	case t.Type == stringToken:
		return "", p.wrong("the name of the event is empty", "write it between the quotes")
	case isOp(t, "("):
		return "", p.eventsInParenthesis()
	}
	return "", p.expected("an event", "write its name in quotes, for example  did \"Order Completed\"")
}

// eventsInParenthesis is the mistake of `did ("A" or "B")`.
func (p *parser) eventsInParenthesis() *mistake {
	m := p.wrong("expected an event, found a parenthesis", "repeat  did  for each event:  did \"A\" or did \"B\"")
	inside := p.enclosed()
	if len(inside) < 3 || !isOp(&inside[len(inside)-1], ")") || p.lex.RawCursor() == 0 || !isWord(&p.lex.Range(lastCursor(p), lastCursor(p)+1)[0], "did") {
		return m
	}
	did := p.lex.Range(lastCursor(p), lastCursor(p)+1)[0]
	text := ""
	for i, t := range inside[1 : len(inside)-1] {
		switch {
		case i%2 == 0 && t.Type == stringToken:
			text += "did " + t.Value
		case i%2 == 1 && (isAny(&t, "or", "and") || isOp(&t, ",")):
			text += map[bool]string{true: " and ", false: " or "}[isWord(&t, "and")]
		default:
			return m
		}
	}
	if text == "" || strings.HasSuffix(text, " ") {
		return m
	}
	return m.fixed(across(append([]lexer.Token{did}, inside...)), "("+text+")")
}

// step reads an event and its optional `where (…)`.
func (p *parser) step(scope scope) (s tree.Step, m *mistake) {
	from := p.peek(0).Pos.Offset
	if s.Event, m = p.eventName(); m != nil {
		return s, m
	}
	if isWord(p.peek(0), "where") && isOp(p.peek(1), "(") {
		p.next()
		if s.Where, m = p.eventCondition(scope); m != nil {
			return s, m
		}
	}
	s.At = p.since(from)
	return s, nil
}

// eventCondition reads the parenthesis of `where (…)`.
func (p *parser) eventCondition(scope scope) (tree.Pred, *mistake) {
	open := p.next()
	outer := p.scope
	p.scope = scope
	defer func() { p.scope = outer }()
	where, m := p.predicate()
	if m != nil {
		return nil, m
	}
	if p.acceptOp(")") {
		return where, nil
	}
	if m := p.knownMistakeHere(); m != nil {
		return nil, m
	}
	if p.peek(0).EOF() {
		return nil, wrong(spanOf(open), "this parenthesis is not closed", "").fixed(tree.Span{Offset: p.peek(0).Pos.Offset}, ")")
	}
	return nil, p.misplacedNext(")")
}

// did reads `did …`: an event condition or a sequence.
func (p *parser) did() (tree.Pred, *mistake) {
	from := p.next().Pos.Offset
	negative := p.accept("not")
	if isWord(p.peek(0), "did") && p.peek(1).Type == stringToken {
		return nil, p.wrong("did  appears twice", "").fixed(spanOf(p.peek(0)), "")
	}
	first, m := p.step(ofEvent)
	if m != nil {
		return nil, m
	}
	var pred tree.Pred
	if isWord(p.peek(0), "then") {
		pred, m = p.sequence(from, first)
	} else {
		d := &tree.Did{Step: first}
		if d.Count, m = p.count(); m != nil {
			return nil, m
		}
		if d.Window, m = p.eventWindow(); m != nil {
			return nil, m
		}
		d.At = p.since(from)
		pred, m = d, p.outOfOrder(d)
	}
	if m == nil && negative {
		pred = &tree.Not{Arg: pred}
	}
	return pred, m
}

// outOfOrder refuses what cannot follow the event condition d: a part in the wrong order, a part that d
// already has, or a step.
func (p *parser) outOfOrder(d *tree.Did) *mistake {
	t := p.peek(0)
	rest := p.since(d.Step.At.Offset + d.Step.At.Length)
	switch {
	case isWord(t, "where"):
		if m := p.unparenthesized(); m != nil {
			return m
		}
		if d.Step.Where != nil {
			return p.wrong("the event already has a  where", "join the conditions with  and  inside one pair of parentheses")
		}
		clause := p.enclosed()
		text := textAt(clause) + " " + formatTail(d)
		at := across(clause)
		return p.wrong("where (…)  must come right after the event", "").fixed(tree.Span{Offset: rest.Offset, Length: at.Offset + at.Length - rest.Offset}, " "+text)
	case p.atCount():
		if d.Count != nil {
			return p.wrong("the event already has a count", "remove one of them")
		}
		c, m := p.count()
		if m != nil {
			return m
		}
		moved := *d
		moved.Count = c
		return wrong(spanOf(t), "the count must come before the window", "").fixed(tree.Span{Offset: rest.Offset, Length: p.since(rest.Offset).Length}, " "+formatTail(&moved))
	case isWord(t, "then"):
		if d.Count != nil {
			return p.wrong("a step takes no count", "remove the count, or add a separate condition with  and did …")
		}
		return p.wrong("the window of a sequence must come at its end", "write  did \"A\" then \"B\" within 1 hour in last 7 days")
	case isWord(t, "within"):
		return p.wrong("within  can only follow a step after  then", "write  in last 7 days  for a window")
	case t.Type == dateToken:
		return p.wrong("a day needs  on  before it", "").fixed(spanOf(t), "on "+t.Value)
	case p.atWindow():
		return p.wrong("the event already has a window", "remove one of them, or write two conditions joined by  and")
	}
	return nil
}

// unparenthesized is the mistake of `where amount > 50` after an event. To suggest where the parentheses
// go, it parses ahead for the end of the condition and then restores the position.
func (p *parser) unparenthesized() *mistake {
	if !isWord(p.peek(0), "where") || isOp(p.peek(1), "(") {
		return nil
	}
	start := p.lex.MakeCheckpoint()
	p.next()
	first := p.peek(0)
	at := spanOf(first)
	message := "event conditions need parentheses"
	outer := p.scope
	p.scope = ofLaterStep
	n, m := p.comparison()
	if second := p.lex.MakeCheckpoint(); m == nil && isAny(p.peek(0), "and", "or") {
		p.lex.LoadCheckpoint(start)
		p.next()
		all, bad := p.or() // the whole of it, if more of the event follows; else the rest is about the profile
		if n.at.Length = all.at.Offset + all.at.Length - n.at.Offset; bad != nil || !p.atCount() && !p.atWindow() && !isAny(p.peek(0), "within", "then") {
			p.lex.LoadCheckpoint(second)
		}
	}
	p.scope = outer
	if m != nil || first.EOF() {
		p.lex.LoadCheckpoint(start)
		return wrong(at, message, "write  where (amount > 50)")
	}
	span := p.since(n.at.Offset)
	var tokens []lexer.Token
	for i := p.lex.RawCursor() - 1; i >= 0; i-- {
		if t := p.lex.Range(i, i+1)[0]; t.Pos.Offset == span.Offset {
			tokens = p.lex.Range(i, p.lex.RawCursor())
			break
		}
	}
	p.lex.LoadCheckpoint(start)
	text := textAt(tokens)
	return wrong(at, message, "write  where ("+text+")").fixed(span, "("+text+")")
}

// enclosed returns the tokens from the next one up to the parenthesis that closes the first open one.
func (p *parser) enclosed() []lexer.Token {
	tokens := p.tokens(0, manyTokens)
	depth := 0
	for i := range tokens {
		switch t := &tokens[i]; {
		case t.EOF():
			return tokens[:i]
		case isOp(t, "("):
			depth++
		case isOp(t, ")"):
			if depth--; depth == 0 {
				return tokens[:i+1]
			}
		}
	}
	return tokens
}

// sequence reads what follows the first step.
func (p *parser) sequence(from int, first tree.Step) (tree.Pred, *mistake) {
	s := &tree.Sequence{First: first}
	for isWord(p.peek(0), "then") {
		then := p.next()
		next, m := p.seqStep(then)
		if m != nil {
			return nil, m
		}
		if len(s.Steps) > 0 && (next.Within == nil) != (s.Steps[0].Within == nil) {
			return nil, wrong(p.since(then.Pos.Offset), "either every step or no step has a  within", "give every step one, for example  within 1 day")
		}
		s.Steps = append(s.Steps, next)
	}
	var m *mistake
	if s.Window, m = p.eventWindow(); m != nil {
		return nil, m
	}
	s.At = p.since(from)
	switch t := p.peek(0); {
	case isWord(t, "where"):
		if m := p.unparenthesized(); m != nil {
			return nil, m
		}
		return nil, p.wrong("where (…)  must come right after its event", "write  then \"B\" where (…) within 1 day")
	case p.atCount():
		return nil, p.wrong("a sequence takes no count", "remove the count: a profile did the steps in this order, or it did not")
	case isWord(t, "then"), isWord(t, "within"):
		return nil, p.wrong("the window of a sequence must come at its end", "write  then \"B\" within 1 hour in last 7 days")
	case p.atWindow():
		return nil, p.wrong("the sequence already has a window", "remove one of them")
	}
	return s, nil
}

// seqStep reads one step after its `then`.
func (p *parser) seqStep(then *lexer.Token) (tree.SeqStep, *mistake) {
	s := tree.SeqStep{Absent: p.accept("not")}
	if isWord(p.peek(0), "did") && p.peek(1).Type == stringToken {
		return s, p.wrong("write the event after  then  without  did", "").fixed(spanOf(p.peek(0)), "")
	}
	var m *mistake
	if s.Step, m = p.step(ofLaterStep); m != nil {
		return s, m
	}
	if p.atCount() {
		return s, p.wrong("a step takes no count", "remove the count, or add a separate condition with  and did …")
	}
	if isWord(p.peek(0), "where") {
		if m := p.unparenthesized(); m != nil {
			return s, m
		}
	}
	if p.accept("within") {
		d, m := p.fixedDuration()
		if m != nil {
			return s, m
		}
		s.Within = &d
	} else if s.Absent {
		at := p.since(then.Pos.Offset)
		return s, wrong(at, "then not  needs a time limit", "").fixed(tree.Span{Offset: at.Offset + at.Length}, " within 1 day")
	}
	return s, nil
}

// edge reads `first did …` and `last did …`.
func (p *parser) edge() (tree.Pred, *mistake) {
	t := p.next()
	word := strings.ToLower(t.Value)
	e := &tree.Edge{Last: word == "last"}
	p.next()
	if isWord(p.peek(0), "not") {
		at := p.since(t.Pos.Offset)
		return nil, wrong(across(p.tokens(0, 1)), "not must come before  "+word+" did", "").fixed(tree.Span{Offset: at.Offset, Length: p.peek(0).Pos.Offset + len(p.peek(0).Value) - at.Offset}, "not "+word+" did")
	}
	var m *mistake
	if e.Step, m = p.step(ofEvent); m != nil {
		return nil, m
	}
	if isWord(p.peek(0), "where") {
		if m := p.unparenthesized(); m != nil {
			return nil, m
		}
	}
	if p.atCount() {
		return nil, p.wrong(fmt.Sprintf("%s did  is one event and takes no count", word), "remove the count, or write  did  without  "+word)
	}
	if isWord(p.peek(0), "then") {
		return nil, p.wrong(fmt.Sprintf("%s did  takes no sequence", word), "write the sequence as a separate condition:  did \"A\" then \"B\"")
	}
	if e.Window, m = p.eventWindow(); m != nil {
		return nil, m
	}
	e.At = p.since(t.Pos.Offset)
	return e, p.outOfOrder(&tree.Did{Step: e.Step, Window: e.Window})
}

// atCount reports whether a count is next, including a mistaken one such as `3 times`.
func (p *parser) atCount() bool {
	t := p.peek(0)
	switch {
	case isAny(t, "once", "twice", "exactly"):
		return true
	case isWord(t, "at"):
		return isAny(p.peek(1), "least", "most")
	case isAny(t, "more", "fewer", "less"):
		return isWord(p.peek(1), "than") && p.atDuration(2) == 0
	case isWord(t, "between"):
		return p.peek(1).Type == numberToken && isWord(p.peek(2), "and") && p.peek(3).Type == numberToken && isAny(p.peek(4), "times", "time")
	case t.Type == numberToken:
		return true
	}
	return false
}

// count reads a count. It returns nil if there is none.
func (p *parser) count() (*tree.Count, *mistake) {
	if !p.atCount() {
		return nil, nil
	}
	t := p.peek(0)
	c := &tree.Count{}
	switch {
	case p.accept("once"):
		c.Lo = 1
		return c, nil
	case p.atWords("twice"):
		return nil, p.wrong("twice is not a count here", "").fixed(spanOf(t), "exactly 2 times")
	case t.Type == numberToken:
		return nil, p.bareCount()
	case p.accept("exactly"):
		c.Form = tree.Exactly
	case p.accept("at", "least"):
		c.Form = tree.AtLeast
	case p.accept("at", "most"):
		c.Form = tree.AtMost
	case p.accept("more", "than"):
		c.Form = tree.MoreThan
	case p.accept("fewer", "than"):
		c.Form = tree.FewerThan
	case p.accept("between"):
		return p.countBetween(t)
	default:
		return nil, p.wrong("counts use  fewer than,  not  less than", "").fixed(across(p.tokens(0, 2)), "fewer than")
	}
	if p.atWords("once") || p.atWords("twice") {
		text := map[bool]string{true: "1 time", false: "2 times"}[p.atWords("once")]
		return nil, p.wrong("a count is a number of times", "").fixed(spanOf(p.peek(0)), text)
	}
	var m *mistake
	if c.Lo, m = p.wholeNumber("a whole number of times"); m != nil {
		return nil, m
	}
	if !p.accept("times") && !p.accept("time") {
		at := p.since(t.Pos.Offset)
		return nil, wrong(at, "the count is missing  times", "").fixed(at, formatCount(c))
	}
	return c, nil
}

func (p *parser) countBetween(between *lexer.Token) (*tree.Count, *mistake) {
	c := &tree.Count{Form: tree.BetweenTimes}
	var m *mistake
	if c.Lo, m = p.wholeNumber("a whole number of times"); m != nil {
		return nil, m
	}
	p.next()
	if c.Hi, m = p.wholeNumber("a whole number of times"); m != nil {
		return nil, m
	}
	p.next()
	if c.Hi < c.Lo {
		at := p.since(between.Pos.Offset)
		return nil, wrong(at, "between needs its lower end first", "").fixed(at, formatCount(&tree.Count{Form: c.Form, Lo: c.Hi, Hi: c.Lo}))
	}
	return c, nil
}

// bareCount is the mistake of `did X 3 times` and `did X 3`.
func (p *parser) bareCount() *mistake {
	count := p.tokens(0, 1)
	if isAny(p.peek(1), "times", "time", "x") {
		count = p.tokens(0, 2)
	}
	n := count[0].Value
	if n == "1" {
		return wrong(across(count), "a count needs  exactly, at least  or another such word", "write  exactly 1 time  or  at least 1 time").fixed(across(count), "exactly 1 time")
	}
	return wrong(across(count), "a count needs  exactly, at least  or another such word", fmt.Sprintf("write  exactly %s times  or  at least %s times", n, n)).fixed(across(count), "exactly "+n+" times")
}
