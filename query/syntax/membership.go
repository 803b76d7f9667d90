package syntax

import (
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// wasIn reads `was in segment "VIP" at 2026-11-01`.
func (p *parser) wasIn() (tree.Pred, *mistake) {
	from := p.next().Pos.Offset
	if isWord(p.peek(0), "not") {
		at := across(p.tokens(0, 1))
		return nil, wrong(at, "not must come before  was", "write  not was in segment \"…\" at …")
	}
	if !p.accept("in", "segment") {
		return nil, p.expected("in segment", "write  was in segment \"VIP\" at 2026-11-01")
	}
	s := &tree.WasIn{}
	var m *mistake
	if s.Name, m = p.quotedText("the name of the segment"); m != nil {
		return nil, m
	}
	if !p.accept("at") {
		if isWord(p.peek(0), "on") {
			return nil, p.wrong("the day needs  at  before it", "").fixed(spanOf(p.peek(0)), "at")
		}
		return nil, p.expected("at", "write  was in segment \"VIP\" at 2026-11-01")
	}
	s.At, m = p.when()
	s.Pos = p.since(from)
	return s, m
}

// membership reads a condition that begins with `in`.
func (p *parser) membership() (tree.Pred, *mistake) {
	in := p.next()
	kind := p.peek(0)
	from := in.Pos.Offset
	var m *mistake
	switch {
	case p.accept("segment"):
		s := &tree.InSegment{}
		s.Name, m = p.quotedText("the name of the segment")
		s.At = p.since(from)
		return s, m
	case p.accept("list"):
		l := &tree.InList{}
		l.Name, m = p.quotedText("the name of the list")
		l.At = p.since(from)
		return l, m
	case p.accept("sample"):
		return p.sample(from)
	case p.accept("top"), p.accept("bottom"):
		return p.rank(from, isWord(kind, "bottom"))
	case kind.Type == stringToken:
		return nil, p.wrong("in  must be followed by  segment  or  list", "").fixed(tree.Span{Offset: kind.Pos.Offset}, "segment ")
	}
	if m := knownMistake(p.lex.Range(lastCursor(p), lastCursor(p)+lexer.RawCursor(len(p.tokens(0, 6)))+1)); m != nil {
		return nil, m
	}
	return nil, p.expected("segment, list, sample, top or bottom", "after a name use  in (…)  for values, after an event  in last 30 days  for a window")
}

// lastCursor returns the cursor of the token before the next one.
func lastCursor(p *parser) lexer.RawCursor { return p.lex.RawCursor() - 1 }

// sample reads `in sample "exp-7" 0% to 10%` after `sample`.
func (p *parser) sample(from int) (tree.Pred, *mistake) {
	s := &tree.InSample{}
	var m *mistake
	if s.Name, m = p.quotedText("the name of the sample"); m != nil {
		return nil, m
	}
	if isWord(p.peek(0), "from") {
		return nil, p.wrong("the share comes right after the name", "").fixed(spanOf(p.peek(0)), "")
	}
	at := p.peek(0).Pos.Offset
	if to := p.peek(2); p.peek(0).Type == numberToken && isWord(p.peek(1), "to") && to.Type == numberToken && !isOp(p.peek(3), "%") {
		share := across(p.tokens(0, 3))
		return nil, wrong(share, "a share needs its percent signs", "").fixed(share, p.peek(0).Value+"% to "+to.Value+"%")
	}
	if s.From, m = p.percent(); m != nil {
		return nil, m
	}
	if !p.accept("to") {
		return nil, p.expected("to", "write  in sample \"exp-7\" 0% to 10%")
	}
	if s.To, m = p.percent(); m != nil {
		return nil, m
	}
	if s.To.Compare(s.From) < 0 {
		span := p.since(at)
		return nil, wrong(span, "the share ends before it begins", "").fixed(span, s.To.String()+"% to "+s.From.String()+"%")
	}
	s.At = p.since(from)
	return s, nil
}

func (p *parser) percent() (tree.Number, *mistake) {
	from := p.peek(0).Pos.Offset
	n, m := p.number()
	if m != nil {
		return n, m
	}
	if !p.acceptOp("%") {
		at := p.since(from)
		return n, wrong(at, "a share needs its percent sign", "").fixed(at, n.String()+"%")
	}
	if n.Compare(tree.Number{}) < 0 || n.Compare(tree.Int(100)) > 0 {
		return n, wrong(p.since(from), "a share must be between 0% and 100%", "write  10%")
	}
	return n, nil
}

// rank reads `in top 10% by …` after `top`.
func (p *parser) rank(from int, bottom bool) (tree.Pred, *mistake) {
	r := &tree.Rank{Bottom: bottom}
	at := p.peek(0).Pos.Offset
	var m *mistake
	if r.N, m = p.number(); m != nil {
		return nil, m
	}
	if r.Percent = p.acceptOp("%"); r.Percent && r.N.Compare(tree.Int(100)) > 0 {
		return nil, wrong(p.since(at), "a share must be between 0% and 100%", "write  10%")
	}
	if isWord(p.peek(0), "percent") {
		return nil, p.wrong("percent is written as %", "").fixed(p.since(at), r.N.String()+"%").including(p.peek(0))
	}
	if _, whole := r.N.Int64(); r.N.Compare(tree.Number{}) < 0 || !r.Percent && !whole {
		return nil, wrong(p.since(at), "expected a whole number of profiles, or a share", "write  in top 1000 by ltv  or  in top 10% by ltv")
	}
	if !p.accept("by") {
		return nil, p.expected("by", "say what to rank by:  in top 10% by sum(amount) of \"Order Completed\"")
	}
	r.By, m = p.expression()
	r.At = p.since(from)
	return r, m
}

// including extends the edit of m to the end of t.
func (m *mistake) including(t *lexer.Token) *mistake {
	m.edit.at.Length = t.Pos.Offset + len(t.Value) - m.edit.at.Offset
	return m
}
