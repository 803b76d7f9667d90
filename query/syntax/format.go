package syntax

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/musterdb/muster/query/tree"
)

// FormatPred returns the canonical text of p.
func FormatPred(p tree.Pred) string {
	var w writer
	w.pred(p, looseOr)
	return w.String()
}

// FormatExpr returns the canonical text of x.
func FormatExpr(x tree.Expr) string {
	var w writer
	w.expr(x, looseSum)
	return w.String()
}

// writer writes canonical text: one space between words, double quotes around events and strings, names
// bare where possible, parentheses only where precedence requires them.
type writer struct {
	strings.Builder
	members bool // in the columns of stats: a bare `count` is the measure there, so a name spelled so is quoted
}

// The levels of precedence, loosest first. A node looser than its place requires is put in parentheses.
const (
	looseOr = iota
	looseAnd
	looseNot
	tight
)

const (
	looseSum = iota
	looseProduct
	tightOperand
)

func (w *writer) write(parts ...string) {
	for _, part := range parts {
		w.WriteString(part)
	}
}

// pred writes p, in parentheses if it is looser than level.
func (w *writer) pred(p tree.Pred, level int) {
	own := tight
	switch p.(type) {
	case *tree.Or:
		own = looseOr
	case *tree.And:
		own = looseAnd
	}
	if own < level {
		w.write("(")
		defer w.write(")")
	}
	switch p := p.(type) {
	case *tree.Or:
		w.joined(p.Args, " or ", looseAnd)
	case *tree.And:
		w.joined(p.Args, " and ", looseNot)
	case *tree.Not:
		w.not(p.Arg)
	default:
		w.leaf(p, false)
	}
}

func (w *writer) joined(args []tree.Pred, word string, level int) {
	for i, arg := range args {
		if i > 0 {
			w.write(word)
		}
		w.pred(arg, level)
	}
}

// not writes the complement of p, with `not` inside p where the language has such a form.
func (w *writer) not(p tree.Pred) {
	switch p := p.(type) {
	case *tree.In, *tree.Range, *tree.IsSet, *tree.Text, *tree.Has, *tree.Did, *tree.Sequence, *tree.Anniversary:
		w.leaf(p, true)
		return
	case *tree.InWindow:
		if k := p.Window.Kind; k == tree.InLast || k == tree.InNext || k == tree.Between || k == tree.BetweenAgo {
			w.leaf(p, true)
			return
		}
	}
	w.write("not ")
	w.pred(p, looseNot)
}

// leaf writes a predicate other than And, Or and Not.
func (w *writer) leaf(p tree.Pred, negative bool) {
	not := ""
	if negative {
		not = "not "
	}
	switch p := p.(type) {
	case *tree.Everyone:
		w.write("everyone")
	case *tree.Truth:
		w.name(p.X)
	case *tree.Compare:
		w.expr(p.L, looseSum)
		w.write(" ", p.Op.String(), " ")
		w.expr(p.R, looseSum)
	case *tree.In:
		w.expr(p.X, looseSum)
		w.write(" ", not, "in ")
		w.values(p.Values)
	case *tree.Range:
		w.subject(p.X)
		w.write(" ", not, "between ")
		w.expr(p.Lo, looseSum)
		w.write(" and ")
		w.expr(p.Hi, looseSum)
	case *tree.IsSet:
		w.expr(p.X, looseSum)
		w.write(" is ", not, "set")
	case *tree.Text:
		w.expr(p.X, looseSum)
		w.write(" ", not, textForm(p.Op), " ", quote(p.Pattern))
		if p.Fold {
			w.write(" ignoring case")
		}
	case *tree.Has:
		w.expr(p.X, looseSum)
		w.write(" ", not, "has ")
		switch p.Which {
		case tree.HasOne:
			w.literal(p.Values[0])
			return
		case tree.HasAny:
			w.write("any ")
		case tree.HasAll:
			w.write("all ")
		}
		w.values(p.Values)
	case *tree.InWindow:
		w.subject(p.X)
		w.write(" ", not, windowText(p.Window))
	case *tree.Anniversary:
		w.expr(p.X, looseSum)
		w.write(" is ", not, "anniversary ", windowText(p.Window))
	default:
		w.eventLeaf(p, not)
	}
}

// eventLeaf writes the predicates that begin with their own keyword.
func (w *writer) eventLeaf(p tree.Pred, not string) {
	switch p := p.(type) {
	case *tree.Did:
		w.write("did ", not)
		w.step(p.Step)
		w.write(formatCountAfter(p.Count))
		w.window(p.Window)
	case *tree.Edge:
		w.write(map[bool]string{false: "first did ", true: "last did "}[p.Last])
		w.step(p.Step)
		w.window(p.Window)
	case *tree.Sequence:
		w.write("did ", not)
		w.step(p.First)
		for _, s := range p.Steps {
			w.write(" then ")
			if s.Absent {
				w.write("not ")
			}
			w.step(s.Step)
			if s.Within != nil {
				w.write(" within ", durationText(*s.Within))
			}
		}
		w.window(p.Window)
	case *tree.InSegment:
		w.write("in segment ", quote(p.Name))
	case *tree.WasIn:
		w.write("was in segment ", quote(p.Name), " at ", whenText(p.At))
	case *tree.InList:
		w.write("in list ", quote(p.Name))
	case *tree.InSample:
		w.write("in sample ", quote(p.Name), " ", p.From.String(), "% to ", p.To.String(), "%")
	case *tree.Rank:
		w.write(map[bool]string{false: "in top ", true: "in bottom "}[p.Bottom], p.N.String())
		if p.Percent {
			w.write("%")
		}
		w.write(" by ")
		w.expr(p.By, looseSum)
	}
}

func textForm(op tree.TextOp) string {
	return [...]string{tree.Contains: "contains", tree.StartsWith: "starts with", tree.EndsWith: "ends with", tree.Matches: "matches"}[op]
}

// subject writes an expression before a window or a between. After a measure that has no window they would
// be read as part of the measure, so `ever` is written between them.
func (w *writer) subject(x tree.Expr) {
	w.expr(x, looseSum)
	if endsOpen(x) {
		w.write(" ever")
	}
}

// endsOpen reports whether the text of x ends with a measure of events that has no window.
func endsOpen(x tree.Expr) bool {
	switch x := x.(type) {
	case *tree.Measure:
		return x.Event != "" && x.Window.Kind == tree.Ever
	case *tree.Arith:
		if parenthesized(x.R, rightLevel(x.Op)) {
			return false
		}
		return endsOpen(x.R)
	}
	return false
}

func rightLevel(op tree.Op) int {
	if op == tree.AddOp || op == tree.SubOp {
		return looseProduct
	}
	return tightOperand
}

func parenthesized(x tree.Expr, level int) bool {
	a, ok := x.(*tree.Arith)
	return ok && exprLevel(a.Op) < level
}

func exprLevel(op tree.Op) int {
	if op == tree.AddOp || op == tree.SubOp {
		return looseSum
	}
	return looseProduct
}

// expr writes x, in parentheses if it is looser than level.
func (w *writer) expr(x tree.Expr, level int) {
	switch x := x.(type) {
	case *tree.Name:
		w.name(x)
	case *tree.Literal:
		w.literal(x)
	case *tree.Arith:
		if parenthesized(x, level) {
			w.write("(")
			defer w.write(")")
		}
		w.expr(x.L, exprLevel(x.Op))
		w.write(" ", x.Op.String(), " ")
		w.expr(x.R, rightLevel(x.Op))
	case *tree.Measure:
		w.measure(x)
	}
}

func (w *writer) measure(x *tree.Measure) {
	w.write(x.Fn.String())
	if x.Arg != nil {
		members := w.members
		w.members = false
		w.write("(")
		w.expr(x.Arg, looseSum)
		if x.Fn == tree.PercentileFn {
			w.write(", ", x.Percent.String())
		}
		w.write(")")
		w.members = members
	}
	if x.Event != "" {
		w.write(" of ")
		w.step(tree.Step{Event: x.Event, Where: x.Where})
		w.window(x.Window)
	}
}

func (w *writer) step(s tree.Step) {
	w.write(quote(s.Event))
	if s.Where != nil {
		members := w.members
		w.members = false
		w.write(" where (")
		w.pred(s.Where, looseOr)
		w.write(")")
		w.members = members
	}
}

// window writes the window of an event, or nothing if it is ever.
func (w *writer) window(window tree.Window) {
	if window.Kind != tree.Ever {
		w.write(" ", windowText(window))
	}
}

func (w *writer) values(values []*tree.Literal) {
	w.write("(")
	for i, v := range values {
		if i > 0 {
			w.write(", ")
		}
		w.literal(v)
	}
	w.write(")")
}

func (w *writer) literal(l *tree.Literal) {
	switch {
	case l.When != nil:
		w.write(whenText(*l.When))
	case l.Value.Type == tree.StringType:
		w.write(quote(l.Value.Str))
	case l.Value.Type == tree.NumberType:
		w.write(l.Value.Number().String())
	case l.Value.Type == tree.BoolType:
		w.write(map[bool]string{true: "true", false: "false"}[l.Value.True()])
	case l.Value.Type == tree.TimeType:
		w.write(whenText(tree.When{Millis: l.Value.Int}))
	}
}

func (w *writer) name(n *tree.Name) {
	text := spelled(n.Name)
	if n.Previous {
		if bareName(n.Name) {
			w.write("previous.", n.Name)
		} else {
			w.write("previous.", backticks(n.Name))
		}
		return
	}
	if w.members && strings.EqualFold(n.Name, "count") {
		text = backticks(n.Name)
	}
	w.write(text)
}

// bareName reports whether the scanner reads s as one word.
func bareName(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	if !nameStart(r) {
		return false
	}
	scan := scanner{text: s}
	_, bad := scan.word()
	return bad == nil && scan.at == len(s)
}

// spelled returns a name as written in MQL, in backticks where necessary.
func spelled(name string) string {
	if !bareName(name) || isReserved(name) || len(name) > len("previous.") && strings.EqualFold(name[:len("previous.")], "previous.") {
		return backticks(name)
	}
	return name
}

func backticks(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// quote returns s as an MQL string. A backslash is doubled only where it would be read as an escape.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			b.WriteString(`\"`)
		case '\n':
			b.WriteString(`\n`)
		case '\t':
			b.WriteString(`\t`)
		case '\\':
			b.WriteByte(c)
			if i+1 == len(s) || strings.IndexByte("\\\"'nt\n\t", s[i+1]) >= 0 {
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func formatCountAfter(c *tree.Count) string {
	if c == nil {
		return ""
	}
	return " " + formatCount(c)
}

func formatCount(c *tree.Count) string {
	if c.Form == tree.BetweenTimes {
		return "between " + tree.Int(c.Lo).String() + " and " + tree.Int(c.Hi).String() + " times"
	}
	words := [...]string{tree.Exactly: "exactly ", tree.AtLeast: "at least ", tree.AtMost: "at most ", tree.MoreThan: "more than ", tree.FewerThan: "fewer than "}
	if c.Lo == 1 {
		return words[c.Form] + "1 time"
	}
	return words[c.Form] + tree.Int(c.Lo).String() + " times"
}

// formatTail returns the count and window of d, which follow its event and condition.
func formatTail(d *tree.Did) string {
	text := formatCountAfter(d.Count)
	if d.Window.Kind != tree.Ever {
		text += " " + windowText(d.Window)
	}
	return strings.TrimSpace(text)
}

func durationText(d tree.Duration) string {
	text := tree.Int(d.N).String() + " " + d.Unit.String()
	if d.N != 1 {
		text += "s"
	}
	return text
}

func whenText(w tree.When) string {
	if w.Date {
		return time.Date(w.Y, time.Month(w.M), w.D, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	}
	return time.UnixMilli(w.Millis).UTC().Format("2006-01-02T15:04:05.999Z")
}

func windowText(w tree.Window) string {
	switch w.Kind {
	case tree.InLast:
		return "in last " + durationText(w.Last)
	case tree.InNext:
		return "in next " + durationText(w.Last)
	case tree.MoreThanAgo:
		return "more than " + durationText(w.Last) + " ago"
	case tree.BetweenAgo:
		if w.Last.Unit == w.Other.Unit {
			return "between " + tree.Int(w.Last.N).String() + " and " + durationText(w.Other) + " ago"
		}
		return "between " + durationText(w.Last) + " and " + durationText(w.Other) + " ago"
	case tree.Today:
		return "today"
	case tree.Yesterday:
		return "yesterday"
	case tree.This:
		return "this " + w.Unit.String()
	case tree.LastUnit:
		return "last " + w.Unit.String()
	case tree.On:
		return "on " + whenText(w.From)
	case tree.Between:
		return "between " + whenText(w.From) + " and " + whenText(w.To)
	case tree.Since:
		return "since " + whenText(w.From)
	case tree.Before:
		return "before " + whenText(w.From)
	}
	return "ever"
}
