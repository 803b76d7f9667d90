package syntax

import (
	"fmt"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// knownOperand recognizes what people write right of a comparison in place of a window: `> now - 30
// days`, `> 30 days ago`, `> in last 30 days`. after holds the tokens behind the sign.
func knownOperand(sign *lexer.Token, left tree.Expr, after []lexer.Token) *mistake {
	t := look(after, 0)
	if isWord(t, "now") {
		return nowOperand(sign, after)
	}
	if isWord(t, "not") || isWord(t, "in") {
		at := across([]lexer.Token{*sign, *t})
		return wrong(at, fmt.Sprintf("%s and %s do not stand together", sign.Value, t.Value), "").fixed(spanOf(sign), "")
	}
	size := 0
	switch {
	case t.Type == durationToken:
		size = 1
	case t.Type == numberToken && unitAt(look(after, 1)) != tree.NoUnit:
		size = 2
	}
	if size == 0 {
		return nil
	}
	stretch := textAt(after[:size])
	last := size - 1
	if isWord(look(after, size), "ago") {
		last++
	}
	_, isMeasure := left.(*tree.Measure)
	if isMeasure && last == size-1 {
		at := across(after[:size])
		return wrong(at, "a measure is compared with a number", "").fixed(at, t.Value)
	}
	return windowInstead(sign, &after[last], stretch)
}

// nowOperand is for `> now - 30 days` and `> now()`; a name `now` alone may be an attribute's.
func nowOperand(sign *lexer.Token, after []lexer.Token) *mistake {
	if isOp(look(after, 1), "(") {
		return wrong(spanOf(&after[0]), "now is not written: every statement has its own", "write  in last 30 days,  more than 30 days ago  or  in next 30 days")
	}
	if !isOp(look(after, 1), "-") {
		return nil
	}
	switch d := look(after, 2); {
	case d.Type == durationToken:
		return windowInstead(sign, d, d.Value)
	case d.Type == numberToken && unitAt(look(after, 3)) != tree.NoUnit:
		return windowInstead(sign, look(after, 3), textAt(after[2:4]))
	}
	return nil
}

// windowInstead mends a comparison with an instant some time ago: later than it is the window up to
// now, earlier is what lies further back.
func windowInstead(sign, last *lexer.Token, duration string) *mistake {
	at := tree.Span{Offset: sign.Pos.Offset, Length: last.Pos.Offset + len(last.Value) - sign.Pos.Offset}
	text := "in last " + duration
	if sign.Value == "<" || sign.Value == "<=" {
		text = "more than " + duration + " ago"
	}
	return wrong(at, "a stretch of time is a window, not a value", "").fixed(at, text)
}
