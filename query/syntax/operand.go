package syntax

import (
	"fmt"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// knownOperand recognizes common right sides of a comparison that should be a window: `> now - 30 days`,
// `> 30 days ago`, `> in last 30 days`. after holds the tokens after the sign.
func knownOperand(sign *lexer.Token, left tree.Expr, after []lexer.Token) *mistake {
	t := tokenAt(after, 0)
	if isWord(t, "now") {
		return nowOperand(sign, after)
	}
	if isWord(t, "not") || isWord(t, "in") {
		at := across([]lexer.Token{*sign, *t})
		return wrong(at, fmt.Sprintf("%s and %s cannot be combined", sign.Value, t.Value), "").fixed(spanOf(sign), "")
	}
	size := 0
	switch {
	case t.Type == durationToken:
		size = 1
	case t.Type == numberToken && unitAt(tokenAt(after, 1)) != tree.NoUnit:
		size = 2
	}
	if size == 0 {
		return nil
	}
	duration := textAt(after[:size])
	last := size - 1
	if isWord(tokenAt(after, size), "ago") {
		last++
	}
	_, isMeasure := left.(*tree.Measure)
	if isMeasure && last == size-1 {
		at := across(after[:size])
		return wrong(at, "compare a measure with a number", "").fixed(at, t.Value)
	}
	return windowInstead(sign, &after[last], duration)
}

// nowOperand is the mistake of `> now - 30 days` and `> now()`. A bare `now` can be the name of an attribute.
func nowOperand(sign *lexer.Token, after []lexer.Token) *mistake {
	if isOp(tokenAt(after, 1), "(") {
		return wrong(spanOf(&after[0]), "there is no now in MQL", "write  in last 30 days,  more than 30 days ago  or  in next 30 days")
	}
	if !isOp(tokenAt(after, 1), "-") {
		return nil
	}
	switch d := tokenAt(after, 2); {
	case d.Type == durationToken:
		return windowInstead(sign, d, d.Value)
	case d.Type == numberToken && unitAt(tokenAt(after, 3)) != tree.NoUnit:
		return windowInstead(sign, tokenAt(after, 3), textAt(after[2:4]))
	}
	return nil
}

// windowInstead replaces a comparison with an instant in the past by a window: from that instant up to now
// for > and >=, everything before it for < and <=.
func windowInstead(sign, last *lexer.Token, duration string) *mistake {
	at := tree.Span{Offset: sign.Pos.Offset, Length: last.Pos.Offset + len(last.Value) - sign.Pos.Offset}
	text := "in last " + duration
	if sign.Value == "<" || sign.Value == "<=" {
		text = "more than " + duration + " ago"
	}
	return wrong(at, "a span of time is a window, not a value", "").fixed(at, text)
}
