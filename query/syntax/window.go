package syntax

import (
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// maxDuration bounds durations to ten thousand years, so that no evaluator overflows.
var maxDuration = [...]int64{
	tree.Second: 315_360_000_000, tree.Minute: 5_256_000_000, tree.Hour: 87_600_000,
	tree.Day: 3_650_000, tree.Week: 520_000, tree.Month: 120_000, tree.Quarter: 40_000, tree.Year: 10_000,
}

// unitOf returns the unit that a word names, in singular or plural.
func unitOf(word string) tree.Unit {
	word = strings.TrimSuffix(strings.ToLower(word), "s")
	for u := tree.Second; u <= tree.Year; u++ {
		if word == u.String() {
			return u
		}
	}
	return tree.NoUnit
}

// unitAt returns the unit that a token names.
func unitAt(t *lexer.Token) tree.Unit {
	if t.Type != wordToken {
		return tree.NoUnit
	}
	return unitOf(t.Value)
}

var joinedUnits = map[byte]tree.Unit{'s': tree.Second, 'm': tree.Minute, 'h': tree.Hour, 'd': tree.Day, 'w': tree.Week}

// atDuration returns how many tokens the duration at peek(n) has, 0 if there is none.
func (p *parser) atDuration(n int) int {
	t := p.peek(n)
	if t.Type == durationToken {
		return 1
	}
	if t.Type == numberToken && unitAt(p.peek(n+1)) != tree.NoUnit {
		return 2
	}
	return 0
}

// duration reads `30 days` or `90d`.
func (p *parser) duration() (tree.Duration, *mistake) {
	t := p.peek(0)
	switch {
	case t.Type == durationToken:
		p.next()
		letter := t.Value[len(t.Value)-1] | 0x20
		return durationOf(t.Value[:len(t.Value)-1], joinedUnits[letter], spanOf(t))
	case t.Type == numberToken && unitAt(p.peek(1)) != tree.NoUnit:
		p.next()
		u := p.next()
		at := tree.Span{Offset: t.Pos.Offset, Length: u.Pos.Offset + len(u.Value) - t.Pos.Offset}
		return durationOf(t.Value, unitAt(u), at)
	case t.Type == numberToken:
		return tree.Duration{}, p.durationUnit(t, p.peek(1))
	case unitAt(t) != tree.NoUnit:
		return tree.Duration{}, p.wrong("a duration must begin with a number", "").fixed(spanOf(t), "1 "+t.Value)
	case isOp(t, "-") && p.peek(1).Type == numberToken:
		return tree.Duration{}, p.wrong("a duration cannot be negative", "").fixed(spanOf(t), "")
	}
	return tree.Duration{}, p.expected("a duration", "durations are written  30 days  or  90d")
}

// durationUnit is the mistake of a number with a missing or unknown unit.
func (p *parser) durationUnit(number, unit *lexer.Token) *mistake {
	short := map[string]string{
		"s": "seconds", "sec": "seconds", "secs": "seconds", "m": "minutes", "min": "minutes", "mins": "minutes", "h": "hours", "hr": "hours",
		"hrs": "hours", "d": "days", "w": "weeks", "mo": "months", "mon": "months", "y": "years", "yr": "years", "yrs": "years",
	}
	if unit.Type == wordToken {
		if full := short[strings.ToLower(unit.Value)]; full != "" {
			return wrong(spanOf(unit), fmt.Sprintf("%s is not a unit of time", unit.Value), "").fixed(spanOf(unit), full)
		}
	}
	return wrong(spanOf(number), "a duration needs a unit", "").fixed(spanOf(number), strings.TrimSuffix(number.Value+" days", map[bool]string{true: "s"}[number.Value == "1"]))
}

func durationOf(number string, unit tree.Unit, at tree.Span) (tree.Duration, *mistake) {
	n, ok := tree.ParseNumber(strings.ReplaceAll(number, "_", ""))
	count, exact := n.Int64()
	if !ok || !exact || n.IsFloat() {
		const message = "a duration must be a whole number of units"
		if finer := map[tree.Unit]int64{tree.Minute: 60, tree.Hour: 60, tree.Day: 24, tree.Week: 7}[unit]; finer > 0 {
			if smaller, ok := n.Mul(tree.Int(finer)); ok && smaller.Scale == 0 {
				return tree.Duration{}, wrong(at, message, "").fixed(at, durationText(tree.Duration{N: smaller.Coef, Unit: unit - 1}))
			}
		}
		return tree.Duration{}, wrong(at, message, "use a smaller unit")
	}
	if unit == tree.Quarter {
		return tree.Duration{}, wrong(at, "a duration cannot be in quarters", "").fixed(at, durationText(tree.Duration{N: min(count, 40_000) * 3, Unit: tree.Month}))
	}
	if count > maxDuration[unit] {
		return tree.Duration{}, wrong(at, "the duration is longer than ten thousand years", "remove the window, or write  ever")
	}
	return tree.Duration{N: count, Unit: unit}, nil
}

// fixedDuration reads a duration of fixed length, that is, not in months or years.
func (p *parser) fixedDuration() (tree.Duration, *mistake) {
	from := p.peek(0).Pos.Offset
	d, m := p.duration()
	if m != nil {
		return d, m
	}
	if _, ok := d.Millis(); !ok {
		days := map[tree.Unit]int64{tree.Month: 30, tree.Year: 365}[d.Unit]
		at := p.since(from)
		return d, wrong(at, "months and years have no fixed length and can only be used in windows", "").fixed(at, durationText(tree.Duration{N: d.N * days, Unit: tree.Day}))
	}
	return d, nil
}

// whenToken returns the date or time that a token is, in quotes or not.
func whenToken(t *lexer.Token) (tree.When, bool) {
	value := t.Value
	switch t.Type {
	case stringToken:
		value = unquote(value)
	case dateToken, timeToken:
	default:
		return tree.When{}, false
	}
	return tree.ParseWhen(value)
}

func (p *parser) when() (tree.When, *mistake) {
	t := p.peek(0)
	if w, ok := whenToken(t); ok {
		p.next()
		return w, nil
	}
	hint := "write a date such as 2026-01-31 or a time such as 2026-01-31T10:00:00Z"
	switch {
	case t.Type == stringToken:
		inner := scan(unquote(t.Value))
		if len(inner) == 1 && inner[0].bad != nil && inner[0].bad.edit != nil {
			return tree.When{}, p.wrong(t.Value+" is neither a date nor a time", "").fixed(spanOf(t), inner[0].bad.edit.text)
		}
		return tree.When{}, p.wrong(tokenText(t)+" is neither a date nor a time", hint)
	case t.Type == numberToken && isOp(p.peek(1), "-") && p.peek(2).Type == numberToken && len(t.Value) == 4:
		month := p.tokens(0, 3)
		if first := textAt(month) + "-01"; len(first) == len(time.DateOnly) {
			if _, ok := tree.ParseWhen(first); ok {
				return tree.When{}, wrong(across(month), "a month is not a date", "").fixed(across(month), first)
			}
		}
	case t.Type == numberToken && len(t.Value) == 4:
		return tree.When{}, p.wrong("a year is not a date", "").fixed(spanOf(t), t.Value+"-01-01")
	case isWord(t, "now"):
		return tree.When{}, p.wrong("there is no now in MQL", hint)
	}
	return tree.When{}, p.expected("a date or a time", hint)
}

// atWindow reports whether a window is next. REQUIRES: a count before it has been read.
func (p *parser) atWindow() bool {
	t := p.peek(0)
	switch {
	case isAny(t, "ever", "today", "yesterday", "on", "since", "before", "this", "last", "next", "more", "between", "during", "past", "until", "after", "from"):
		return true
	case isWord(t, "in"):
		return !isAny(p.peek(1), "timezone", "segment", "list", "sample", "top", "bottom") && !isOp(p.peek(1), "(")
	}
	return false
}

// eventWindow reads the window after an event. Without one it returns ever.
func (p *parser) eventWindow() (tree.Window, *mistake) {
	if !p.atWindow() {
		return tree.Window{}, nil
	}
	w, m := p.window()
	if m == nil && w.Kind == tree.InNext {
		m = wrong(w.At, "there are no events in the future", "").fixed(w.At, "in last "+durationText(w.Last))
	}
	return w, m
}

// window reads a window. REQUIRES: atWindow.
func (p *parser) window() (w tree.Window, m *mistake) {
	from := p.peek(0).Pos.Offset
	switch {
	case p.accept("ever"):
	case p.accept("today"):
		w.Kind = tree.Today
	case p.accept("yesterday"):
		w.Kind = tree.Yesterday
	case p.accept("in", "last"):
		w, m = p.rolling(tree.InLast, from)
	case p.accept("in", "next"):
		w, m = p.rolling(tree.InNext, from)
	case p.atWords("more"):
		w, m = p.moreThanAgo()
	case p.accept("on"):
		w.Kind = tree.On
		if w.From, m = p.when(); m == nil && !w.From.Date {
			m = wrong(p.since(from), "on takes a day, not a time", "").fixed(p.since(from), "on "+time.UnixMilli(w.From.Millis).UTC().Format(time.DateOnly))
		}
	case p.accept("since"):
		w.Kind = tree.Since
		w.From, m = p.when()
	case p.accept("before"):
		w.Kind = tree.Before
		w.From, m = p.when()
	case p.atWords("between"):
		w, m = p.betweenWindow()
	case calendar(p.peek(0), p.peek(1)):
		w.Kind, w.Unit = tree.LastUnit, unitAt(p.peek(1))
		if isWord(p.peek(0), "this") {
			w.Kind = tree.This
		}
		p.next()
		p.next()
	default:
		return w, p.wrongWindow()
	}
	w.At = p.since(from)
	return w, m
}

// calendar reports whether the tokens are a calendar window such as `this week`.
func calendar(t, u *lexer.Token) bool {
	if !isAny(t, "this", "last") || !isAny(u, "week", "month", "quarter", "year") {
		return false
	}
	return true
}

// rolling reads the duration after `in last` or `in next`.
func (p *parser) rolling(kind tree.WindowKind, from int) (tree.Window, *mistake) {
	if u := unitAt(p.peek(0)); u != tree.NoUnit {
		name := p.peek(0).Value
		p.next()
		at := p.since(from)
		if kind == tree.InLast && isAny(&lexer.Token{Type: wordToken, Value: u.String()}, "week", "month", "quarter", "year") {
			m := wrong(at, fmt.Sprintf("in last %s needs a number", name), fmt.Sprintf("write  last %s  for the calendar %s, or  in last 1 %s", u, u, u))
			return tree.Window{}, m.fixed(at, "last "+u.String())
		}
		word := map[tree.WindowKind]string{tree.InLast: "last", tree.InNext: "next"}[kind]
		return tree.Window{}, wrong(at, fmt.Sprintf("in %s %s needs a number", word, name), "").fixed(at, fmt.Sprintf("in %s 1 %s", word, u))
	}
	d, m := p.duration()
	return tree.Window{Kind: kind, Last: d}, m
}

// moreThanAgo reads `more than D ago`.
func (p *parser) moreThanAgo() (w tree.Window, m *mistake) {
	from := p.peek(0).Pos.Offset
	p.next()
	if !p.accept("than") {
		return w, p.expected("than", "write  more than 30 days ago")
	}
	w.Kind = tree.MoreThanAgo
	if w.Last, m = p.duration(); m != nil {
		return w, m
	}
	if !p.accept("ago") {
		at := p.since(from)
		return w, wrong(at, "the window is missing  ago", "").fixed(at, "more than "+durationText(w.Last)+" ago")
	}
	return w, nil
}

// betweenWindow reads `between 30 and 60 days ago` and `between X and Y`.
func (p *parser) betweenWindow() (w tree.Window, m *mistake) {
	from := p.next().Pos.Offset
	t := p.peek(0)
	if t.Type == numberToken && isWord(p.peek(1), "and") && p.atDuration(2) > 0 {
		w.Kind = tree.BetweenAgo
		p.next()
		p.next()
		if w.Other, m = p.duration(); m != nil {
			return w, m
		}
		if w.Last, m = durationOf(t.Value, w.Other.Unit, spanOf(t)); m != nil {
			return w, m
		}
		return w, p.ago(from, w)
	}
	if p.atDuration(0) > 0 {
		w.Kind = tree.BetweenAgo
		if w.Last, m = p.duration(); m != nil {
			return w, m
		}
		if !p.accept("and") {
			return w, p.expected("and", "write  between 30 and 60 days ago")
		}
		if w.Other, m = p.duration(); m != nil {
			return w, m
		}
		return w, p.ago(from, w)
	}
	if t.Type == numberToken && isWord(p.peek(1), "and") && p.peek(2).Type == numberToken && !isOp(p.peek(3), "-") {
		return w, p.numbersForWindow(from)
	}
	w.Kind = tree.Between
	if w.From, m = p.when(); m != nil {
		return w, m
	}
	if !p.accept("and") {
		return w, p.expected("and", "write  between 2026-01-01 and 2026-01-31")
	}
	if w.To, m = p.when(); m != nil {
		return w, m
	}
	if before(w.To, w.From) {
		at := p.since(from)
		m = wrong(at, "the window ends before it begins", "").fixed(at, "between "+whenText(w.To)+" and "+whenText(w.From))
	}
	return w, m
}

func (p *parser) ago(from int, w tree.Window) *mistake {
	if p.accept("ago") {
		return nil
	}
	at := p.since(from)
	return wrong(at, "the window is missing  ago", "").fixed(at, windowText(w))
}

// numbersForWindow is the mistake of `between 2 and 5` after an event.
func (p *parser) numbersForWindow(from int) *mistake {
	lo, hi := p.peek(0).Value, p.peek(2).Value
	for range 3 {
		p.next()
	}
	at := p.since(from)
	m := wrong(at, "between after an event is a window or a count, but these are plain numbers",
		fmt.Sprintf("write  between %s and %s times  for a count,  between %s and %s days ago  for a window", lo, hi, lo, hi))
	return m.fixed(at, fmt.Sprintf("between %s and %s times", lo, hi))
}

// before reports whether a is before b in every zone. It is false for a date and an instant.
func before(a, b tree.When) bool {
	if a.Date != b.Date {
		return false
	}
	if !a.Date {
		return a.Millis < b.Millis
	}
	return a.Y*10_000+a.M*100+a.D < b.Y*10_000+b.M*100+b.D
}
