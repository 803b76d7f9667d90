package syntax

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// scope says what the names in an expression refer to.
type scope uint8

const (
	ofProfile   scope = iota // attributes
	ofMembers                // attributes, and bare measures over them: the columns of stats
	ofEvent                  // the properties of an event
	ofLaterStep              // the same, and previous.p
)

// parser is the state of a hand-written production: participle's tokens and the scope of names.
type parser struct {
	lex   *lexer.PeekingLexer
	scope scope
}

// peek returns the nth token after the next one. From the end on it returns EOF.
func (p *parser) peek(n int) *lexer.Token {
	at := p.lex.RawCursor()
	for {
		t := &p.lex.Range(at, at+1)[0]
		if n == 0 || t.EOF() {
			return t
		}
		at, n = at+1, n-1
	}
}

func (p *parser) next() *lexer.Token { return p.lex.Next() }

func isWord(t *lexer.Token, word string) bool {
	return t.Type == wordToken && strings.EqualFold(t.Value, word)
}

func isAny(t *lexer.Token, words ...string) bool {
	for _, word := range words {
		if isWord(t, word) {
			return true
		}
	}
	return false
}

func isOp(t *lexer.Token, op string) bool { return t.Type == opToken && t.Value == op }

// atWords reports whether the next tokens are these words.
func (p *parser) atWords(words ...string) bool {
	for i, word := range words {
		if !isWord(p.peek(i), word) {
			return false
		}
	}
	return true
}

// accept reads the words if they are next, and reports whether they were.
func (p *parser) accept(words ...string) bool {
	if !p.atWords(words...) {
		return false
	}
	for range words {
		p.next()
	}
	return true
}

// acceptOp reads the operator if it is next, and reports whether it was.
func (p *parser) acceptOp(op string) bool {
	if !isOp(p.peek(0), op) {
		return false
	}
	p.next()
	return true
}

// wrong returns a mistake at the next token.
func (p *parser) wrong(message, hint string) *mistake {
	return wrong(spanOf(p.peek(0)), message, hint)
}

// expected returns the mistake of the next token in place of what.
func (p *parser) expected(what, hint string) *mistake {
	if m := p.knownMistakeHere(); m != nil {
		return m
	}
	if hint == "" {
		hint = "for example  country = \"BR\"  or  did \"Order Completed\""
		if at := p.lex.RawCursor(); at > 0 {
			if missing := missingAfter(&p.lex.Range(at-1, at)[0]); missing != "" {
				hint = missing
			}
		}
	}
	return wrong(spanOf(p.peek(0)), fmt.Sprintf("expected %s, found %s", what, tokenText(p.peek(0))), hint)
}

// knownMistakeHere returns the known mistake that the next tokens are, or nil.
func (p *parser) knownMistakeHere() *mistake {
	return knownMistake(p.tokens(0, 8))
}

// manyTokens is more tokens than any text within the limits has.
const manyTokens = 1 << 20

// tokens returns the tokens peek(from) to peek(to-1), or up to and including EOF.
func (p *parser) tokens(from, to int) []lexer.Token {
	start := p.lex.RawCursor() + lexer.RawCursor(from)
	end := start
	for range to - from {
		end++
		if p.lex.Range(end-1, end)[0].EOF() {
			break
		}
	}
	return p.lex.Range(start, end)
}

// tokenText returns a token as messages show it.
func tokenText(t *lexer.Token) string {
	switch {
	case t.EOF():
		return "the end"
	case len(t.Value) > 40:
		return strings.ToValidUTF8(t.Value[:37], "") + "…"
	}
	return t.Value
}

// textAt returns the tokens as written, with one space wherever there was white space.
func textAt(tokens []lexer.Token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && tokens[i-1].Pos.Offset+len(tokens[i-1].Value) < t.Pos.Offset {
			b.WriteByte(' ')
		}
		b.WriteString(t.Value)
	}
	return b.String()
}

// across returns the span from the start of the first token to the end of the last.
func across(tokens []lexer.Token) tree.Span {
	last := &tokens[len(tokens)-1]
	from := tokens[0].Pos.Offset
	return tree.Span{Offset: from, Length: last.Pos.Offset + len(last.Value) - from}
}

// since returns the span from offset to the end of the token before the next one.
func (p *parser) since(offset int) tree.Span {
	at := p.lex.RawCursor()
	if at == 0 {
		return tree.Span{Offset: offset}
	}
	last := &p.lex.Range(at-1, at)[0]
	return tree.Span{Offset: offset, Length: max(last.Pos.Offset+len(last.Value)-offset, 0)}
}

// asError returns m as an error. It returns nil for a nil m: an error that holds a nil *mistake is not nil.
func asError(m *mistake) error {
	if m == nil {
		return nil
	}
	return m
}

// isReserved reports whether a word can never be a bare name.
func isReserved(word string) bool {
	switch strings.ToLower(word) {
	case "and", "or", "not", "where", "by", "order", "limit", "as", "of", "in", "is", "has", "between", "then", "within", "did", "was", "everyone", "true", "false":
		return true
	}
	return false
}

// The productions that participle's structs are made of.

type predicate struct {
	pred tree.Pred
	at   tree.Span
}

// Parse implements participle.Parseable, as do all Parse methods below.
func (d *predicate) Parse(lex *lexer.PeekingLexer) (err error) {
	p := &parser{lex: lex}
	d.at = spanOf(p.peek(0))
	pred, m := p.predicate()
	d.pred = pred
	return asError(m)
}

type text struct {
	value string
	at    tree.Span
}

func (d *text) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	d.at = spanOf(p.peek(0))
	value, m := p.quotedText("this text")
	d.value = value
	return asError(m)
}

type whole struct{ n int64 }

func (d *whole) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	n, m := p.wholeNumber("a whole number")
	d.n = n
	return asError(m)
}

type name struct {
	value string
	at    tree.Span
}

func (d *name) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	d.at = spanOf(p.peek(0))
	value, m := p.bareName()
	d.value = value
	return asError(m)
}

type event struct {
	value string
	at    tree.Span
}

func (d *event) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	d.at = spanOf(p.peek(0))
	value, m := p.eventName()
	d.value = value
	return asError(m)
}

type instant struct{ when tree.When }

func (d *instant) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	when, m := p.when()
	d.when = when
	return asError(m)
}

type within struct{ duration tree.Duration }

func (d *within) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	duration, m := p.fixedDuration()
	d.duration = duration
	return asError(m)
}

type step struct{ step tree.Step }

func (d *step) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	s, m := p.step(ofEvent)
	d.step = s
	return asError(m)
}

// eventWindow is an event, its condition, and a window.
type eventWindow struct {
	step   tree.Step
	window tree.Window
}

func (d *eventWindow) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	var m *mistake
	if d.step, m = p.step(ofEvent); m != nil {
		return m
	}
	d.window, m = p.eventWindow()
	return asError(m)
}

type optionalWindow struct{ window tree.Window }

func (d *optionalWindow) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	if !p.atWindow() {
		return participle.NextMatch
	}
	window, m := p.eventWindow()
	d.window = window
	return asError(m)
}

type expression struct{ x tree.Expr }

func (d *expression) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	x, m := p.expression()
	d.x = x
	return asError(m)
}

// rowKey orders the rows of count, statsExpr those of stats.
type (
	rowKey    struct{ x tree.Expr }
	statsExpr struct{ x tree.Expr }
)

func (d *rowKey) Parse(lex *lexer.PeekingLexer) (err error) {
	d.x, err = (&parser{lex: lex}).rowKey()
	return err
}

func (d *statsExpr) Parse(lex *lexer.PeekingLexer) (err error) {
	d.x, err = (&parser{lex: lex, scope: ofMembers}).rowKey()
	return err
}

// rowKey reads an expression or a dimension. It returns a dimension as the name of its column, which is the
// text of the dimension.
func (p *parser) rowKey() (tree.Expr, error) {
	if !p.atDimension() {
		x, m := p.expression()
		return x, asError(m)
	}
	d, m := p.dimension()
	if m != nil {
		return nil, asError(m)
	}
	w := &writer{}
	w.dimension(d)
	return &tree.Name{Name: w.String(), At: d.At}, nil
}

type propertyExpr struct{ x tree.Expr }

func (d *propertyExpr) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex, scope: ofEvent}
	x, m := p.expression()
	d.x = x
	return asError(m)
}

// column is a column of list, statsColumn a column of stats.
type (
	column      struct{ tree.Column }
	statsColumn struct{ tree.Column }
)

func (d *column) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	if t := p.peek(0); t.EOF() || isAny(t, "where", "order", "limit", "as", "in") {
		return participle.NextMatch
	}
	c, m := p.column()
	d.Column = c
	return asError(m)
}

func (d *statsColumn) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex, scope: ofMembers}
	c, m := p.column()
	if m == nil {
		m = onlyMeasures(c.X)
	}
	d.Column = c
	return asError(m)
}

func (p *parser) column() (c tree.Column, m *mistake) {
	from := p.peek(0).Pos.Offset
	if c.X, m = p.expression(); m != nil {
		return c, m
	}
	if isWord(p.peek(0), "as") && !isWord(p.peek(1), "of") {
		p.next()
		if t := p.peek(0); t.Type == stringToken {
			return c, wrong(spanOf(t), "a column name is not a string", "").fixed(spanOf(t), spelled(unquote(t.Value)))
		}
		if c.As, m = p.bareName(); m != nil {
			return c, m
		}
	}
	c.At = p.since(from)
	return c, nil
}

// onlyMeasures returns a mistake if a column of stats has a name outside a measure.
func onlyMeasures(x tree.Expr) (m *mistake) {
	tree.Inspect(x, func(n tree.Node) bool {
		if name, ok := n.(*tree.Name); ok && m == nil {
			text := FormatExpr(name)
			m = wrong(name.At, "stats computes measures, but "+text+" is not a measure", fmt.Sprintf("write  avg(%s)  or another of count, sum, avg, median, percentile, min, max, distinct", text)).fixed(name.At, "avg("+text+")")
		}
		return !isMeasure(n)
	})
	return m
}

// dimension is one `by D`.
type dimension struct{ tree.Dimension }

func (d *dimension) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	dim, m := p.dimension()
	d.Dimension = dim
	return asError(m)
}

// bucket is the unit of a trend, cohortBucket that of a retention.
type (
	bucket       struct{ unit tree.Unit }
	cohortBucket struct{ unit tree.Unit }
)

func (d *bucket) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	u, m := p.bucketUnit("hour", "day", "week", "month", "quarter", "year")
	d.unit = u
	return asError(m)
}

func (d *cohortBucket) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex}
	u, m := p.bucketUnit("day", "week", "month")
	d.unit = u
	return asError(m)
}

// trendOf is what a trend counts.
type trendOf struct {
	users   bool
	measure *tree.Measure
}

func (d *trendOf) Parse(lex *lexer.PeekingLexer) error {
	p := &parser{lex: lex, scope: ofEvent}
	if d.users = p.accept("users"); d.users || p.accept("count") {
		return nil
	}
	measure, m := p.trendMeasure()
	d.measure = measure
	return asError(m)
}
