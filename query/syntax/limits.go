package syntax

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// Limits bound what a statement may cost before it is understood. Zero values mean the defaults:
// 64 KiB of text, nesting 64, 1,000 predicates.
type Limits struct {
	Text       int // bytes
	Nesting    int // parentheses, `not`s and chained arithmetic inside one another
	Predicates int // conditions joined by and, or
}

func (l Limits) withDefaults() Limits {
	if l.Text <= 0 {
		l.Text = 64 << 10
	}
	if l.Nesting <= 0 {
		l.Nesting = 64
	}
	if l.Predicates <= 0 {
		l.Predicates = 1000
	}
	return l
}

func limited(at tree.Span, message, hint string) *mistake {
	return &mistake{code: "limit", at: at, message: message, hint: hint}
}

// guard counts nesting and predicates over the tokens alone, before any production recurses: a deep
// nest would overflow the stack, which Go cannot recover from. Each level holds an open parenthesis
// with the `not`s before it; a chain of arithmetic is as deep as it is long.
type guard struct {
	limits     Limits
	levels     []level
	predicates int
}

type level struct{ depth, nots, chain, between int }

func newGuard(limits Limits) *guard {
	return &guard{limits: limits, levels: []level{{}}, predicates: 1}
}

// see takes the next token and refuses it if it goes beyond a limit.
func (g *guard) see(t *lexer.Token) *mistake {
	top := &g.levels[len(g.levels)-1]
	nots := top.nots
	top.nots = 0
	switch {
	case t.Value == "(":
		g.levels = append(g.levels, level{depth: top.depth + nots + top.chain + 1})
	case t.Value == ")":
		if len(g.levels) > 1 {
			g.levels = g.levels[:len(g.levels)-1]
		}
	case t.Type == opToken && strings.Contains("+-*/", t.Value):
		top.chain++
	case t.Type == opToken && t.Value != "%":
		top.chain = 0
	case t.Type != wordToken:
	case strings.EqualFold(t.Value, "not"):
		top.nots = nots + 1
	case strings.EqualFold(t.Value, "between"):
		top.between++
	case strings.EqualFold(t.Value, "and") && top.between > 0:
		top.between--
	case strings.EqualFold(t.Value, "and") || strings.EqualFold(t.Value, "or"):
		top.chain = 0
		g.predicates++
	}
	top = &g.levels[len(g.levels)-1]
	if top.depth+top.nots+top.chain > g.limits.Nesting {
		return limited(spanOf(t), fmt.Sprintf("the statement is nested deeper than %d levels", g.limits.Nesting), "name parts of it as segments and ask  in segment \"…\"")
	}
	if g.predicates > g.limits.Predicates {
		return limited(spanOf(t), fmt.Sprintf("the statement has more than %d predicates", g.limits.Predicates), "write  in (…)  for many values, or name parts of it as segments")
	}
	return nil
}

func spanOf(t *lexer.Token) tree.Span {
	return tree.Span{Offset: t.Pos.Offset, Length: len(t.Value)}
}
