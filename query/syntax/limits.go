package syntax

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// Limits bounds the cost of parsing a statement. Zero values mean the defaults: 64 KiB of text, nesting
// 64, 1,000 conditions.
type Limits struct {
	Text       int // bytes
	Nesting    int // nested parentheses, `not`s and chained arithmetic
	Predicates int // conditions, and parts that cost as much as one: see guard
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
	return &mistake{code: tree.CodeLimit, at: at, message: message, hint: hint}
}

// guard counts nesting and conditions in the tokens alone, before any production recurses. Deep nesting
// would overflow the stack, which Go cannot recover from. Each level is an open parenthesis with the
// `not`s before it. A chain of arithmetic counts as deep as it is long.
//
// Everything that reads events or computes values again counts as a condition: the operands of and and or,
// each step after the first of a sequence or funnel, each measure of events after the first in a condition,
// and items separated by commas outside parentheses (measures of stats, dimensions, predicates of overlap,
// orders). Columns of a list do not count.
type guard struct {
	limits     Limits
	levels     []level
	predicates int
	tokens     int
	listing    bool // the columns of a list are being read
}

type level struct {
	depth, nots, chain, between int
	measured                    bool // the condition being read has a measure
}

func newGuard(limits Limits) *guard {
	return &guard{limits: limits, levels: []level{{}}, predicates: 1}
}

// add counts the next token and returns a mistake if it exceeds a limit.
func (g *guard) add(t *lexer.Token) *mistake {
	top := &g.levels[len(g.levels)-1]
	nots := top.nots
	top.nots = 0
	g.tokens++
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
		if t.Value == "," && len(g.levels) == 1 && !g.listing {
			g.predicates++
		}
	case t.Type != wordToken:
	case strings.EqualFold(t.Value, "not"):
		top.nots = nots + 1
	case strings.EqualFold(t.Value, "between"):
		top.between++
	case strings.EqualFold(t.Value, "and") && top.between > 0:
		top.between--
	default:
		g.word(top, t)
	}
	top = &g.levels[len(g.levels)-1]
	if top.depth+top.nots+top.chain > g.limits.Nesting {
		return limited(spanOf(t), fmt.Sprintf("the statement is nested deeper than %d levels", g.limits.Nesting), "save parts of it as segments and use  in segment \"…\"")
	}
	if g.predicates > g.limits.Predicates {
		return limited(spanOf(t), fmt.Sprintf("the statement has more than %d conditions", g.limits.Predicates), g.hint(t))
	}
	return nil
}

// word counts a word other than `not`, `between` and the `and` of a `between`.
func (g *guard) word(top *level, t *lexer.Token) {
	switch strings.ToLower(t.Value) {
	case "and", "or":
		top.chain, top.measured = 0, false
		g.predicates++
	case "then":
		g.predicates++
	case "of":
		if top.measured {
			g.predicates++
		}
		top.measured = true
	case "list":
		g.listing = g.listing || g.tokens == 1
	case "explain", "analyze":
		if g.tokens <= 2 { // before the statement
			g.tokens = 0
		}
	case "where", "order":
		if len(g.levels) == 1 {
			g.listing = false
		}
	}
}

// hint returns the advice for the token that exceeds the limit on conditions.
func (g *guard) hint(t *lexer.Token) string {
	switch {
	case isWord(t, "then"):
		return "every step counts as a condition: use fewer steps, or a count such as  at least 5 times"
	case isWord(t, "of"):
		return "every measure of events counts as a condition: use fewer in one statement"
	case t.Value == ",":
		return "every column, dimension and order counts as a condition: use fewer in one statement"
	}
	return "write  in (…)  for many values, or save parts of it as segments"
}

func spanOf(t *lexer.Token) tree.Span {
	return tree.Span{Offset: t.Pos.Offset, Length: len(t.Value)}
}
