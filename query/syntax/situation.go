package syntax

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// situation is what can be typed at the cursor, derived from the tokens before it.
type situation struct {
	words   []phrases
	kinds   []CandidateKind
	event   string // properties are those of this event, "" if names are attributes
	subject string // the name that the next value or operator belongs to
}

// openParen is an open parenthesis.
type openParen struct {
	holds string // "event" (the condition of one), "argument" (of a measure), "values", "group"
	event string // the event whose condition it is in, "" outside
	name  string // the name that the values are compared with
}

// walker goes through the tokens and keeps track of the state after them.
type walker struct {
	tokens  []lexer.Token
	stack   []openParen
	event   string // the last event named
	subject string // the last attribute or property named
	stmt    string
	where   bool // a condition has begun
}

// walk returns the situation after tokens. after holds the tokens after the cursor.
func walk(tokens, after []lexer.Token) situation {
	w := walker{tokens: tokens}
	for i := range tokens {
		w.step(i)
	}
	s := w.situation()
	if n := len(w.stack); n > 0 {
		top := w.stack[n-1]
		if top.holds == "argument" {
			s.event = eventAfter(after)
			if s.event == "" && w.stmt == "stats" && len(s.kinds) > 0 && s.kinds[len(s.kinds)-1] == PropertyCandidate {
				s.kinds = []CandidateKind{AttributeCandidate}
			}
		} else if s.event == "" {
			s.event = top.event
		}
	}
	return s
}

func (w *walker) step(i int) {
	t, before := &w.tokens[i], tokenAt(w.tokens, max(i-1, 0))
	if i == 0 {
		before = &end
		w.stmt = strings.ToLower(t.Value)
	}
	switch {
	case i == 1 && isWord(before, "explain"), i == 2 && isWord(before, "analyze"):
		w.stmt = strings.ToLower(t.Value)
	case isOp(t, "("):
		w.stack = append(w.stack, w.opening(i))
	case isOp(t, ")"):
		if len(w.stack) > 0 {
			w.stack = w.stack[:len(w.stack)-1]
		}
	case isAny(t, "where", "as", "against", "among", "overlap") && len(w.stack) == 0:
		w.where = true
	case isWord(t, "of"):
		w.where = w.where || isWord(before, "lookalike")
	case w.eventPlace(i):
		if t.Type != opToken && !isWord(t, "not") {
			w.event = nameText(t)
		}
	case t.Type == quotedToken || t.Type == wordToken && !isReserved(t.Value):
		w.subject = nameText(t)
	}
}

func (w *walker) opening(i int) openParen {
	o := openParen{holds: "group"}
	if n := len(w.stack); n > 0 {
		o = w.stack[n-1]
		o.holds = "group"
	}
	before := &end
	if i > 0 {
		before = &w.tokens[i-1]
	}
	_, fn := fnOf(before.Value)
	switch {
	case isWord(before, "where") && w.event != "" && i > 1 && w.eventPlace(i-2):
		o.holds, o.event = "event", w.event
	case fn && before.Type == wordToken:
		o.holds = "argument"
	case isAny(before, "in", "any", "all"):
		o.holds, o.name = "values", w.subject
	}
	return o
}

// eventPlace reports whether token i is where an event is expected.
func (w *walker) eventPlace(i int) bool {
	if i < 1 || i >= len(w.tokens)+1 {
		return false
	}
	before := &w.tokens[i-1]
	if isWord(before, "not") && i > 1 {
		before = &w.tokens[i-2]
		return isAny(before, "did", "then")
	}
	if isWord(before, "of") {
		return i > 1 && !isAny(&w.tokens[i-2], "as", "steps", "lookalike") && !(w.stmt == "trend" && isAny(&w.tokens[i-2], "hour", "day", "week", "month", "quarter", "year"))
	}
	return isAny(before, "did", "then") || isAny(before, "trend", "funnel", "retention") && i <= 3
}

func nameText(t *lexer.Token) string {
	switch t.Type {
	case stringToken:
		return unquote(t.Value)
	case quotedToken:
		return unbacktick(t.Value)
	}
	return t.Value
}

// eventAfter returns the event after the cursor in `sum(|) of "A"`.
func eventAfter(after []lexer.Token) string {
	for i := 0; i+2 < len(after); i++ {
		if isOp(&after[i], ")") && isWord(&after[i+1], "of") {
			return nameText(&after[i+2])
		}
	}
	return ""
}

// situation returns what can follow the last tokens.
func (w *walker) situation() situation {
	n := len(w.tokens)
	if n == 0 {
		return situation{words: []phrases{statementWords()}}
	}
	last, before := &w.tokens[n-1], &end
	if n > 1 {
		before = &w.tokens[n-2]
	}
	if w.eventPlace(n) {
		s := situation{kinds: []CandidateKind{EventCandidate}}
		if isAny(last, "did", "then") {
			s.words = []phrases{{rank: 5, list: []phrase{{"not", "profiles that did not", ""}}}}
		}
		return s
	}
	top := openParen{}
	if len(w.stack) > 0 {
		top = w.stack[len(w.stack)-1]
	}
	if top.holds == "values" {
		return situation{kinds: []CandidateKind{ValueCandidate}, subject: top.name}
	}
	names := AttributeCandidate
	if top.event != "" || top.holds == "argument" || w.stmt == "rfm" && isWord(last, "by") || w.stmt == "trend" && isWord(before, "of") {
		names = PropertyCandidate
	}
	if s, ok := w.afterWord(last, before, names, top); ok {
		return s
	}
	switch {
	case last.Type == opToken && comparisons[last.Value] != 0 || isOp(last, "="):
		return situation{kinds: []CandidateKind{ValueCandidate, names}, subject: w.subject}
	case isOp(last, "(") || isOp(last, ",") || last.Type == opToken && strings.Contains("+-*/", last.Value):
		s := situation{kinds: []CandidateKind{names}}
		if isOp(last, "(") && top.holds == "group" && names == AttributeCandidate {
			s.words = []phrases{conditionWords()}
		}
		if isOp(last, ",") && w.stmt == "stats" && !w.where {
			s.words = []phrases{statsWords()}
		}
		return s
	case w.eventPlace(n - 1):
		s := situation{words: []phrases{eventWords(), clauseWordsOf(w.stmt, w.where)}}
		return s
	case last.Type == numberToken:
		return situation{words: []phrases{numberWords(), clauseWordsOf(w.stmt, w.where)}}
	case last.Type == quotedToken || last.Type == wordToken && !isReserved(last.Value):
		return situation{words: []phrases{questionWords(), windowWords(), clauseWordsOf(w.stmt, w.where)}, subject: w.subject}
	}
	return situation{words: []phrases{clauseWordsOf(w.stmt, w.where), windowWords()}}
}

// afterWord returns the situation after a word that determines it alone, and whether last is such a word.
func (w *walker) afterWord(last, before *lexer.Token, names CandidateKind, top openParen) (situation, bool) {
	if last.Type != wordToken {
		return situation{}, false
	}
	condition := situation{kinds: []CandidateKind{names}}
	if names == AttributeCandidate {
		condition.words = []phrases{conditionWords()}
	} else {
		condition.words = []phrases{{rank: 5, list: []phrase{{"not", "the opposite", ""}}}}
	}
	first := len(w.tokens) == 1 || len(w.tokens) <= 3 && isAny(before, "explain", "analyze")
	switch strings.ToLower(last.Value) {
	case "where":
		if names == PropertyCandidate || w.event == "" || len(w.tokens) < 3 || !w.eventPlace(len(w.tokens)-2) {
			return condition, true
		}
		return situation{words: []phrases{{list: []phrase{{"(", "the event's own condition", ""}}}}}, true
	case "and", "or", "not", "against", "among", "overlap":
		if isWord(last, "not") && isWord(before, "is") {
			return situation{words: []phrases{{list: isWords().list[:1]}}}, true
		}
		return condition, true
	case "as":
		if w.stmt == "create" {
			return condition, true
		}
		return situation{words: []phrases{{list: []phrase{{"of", "sets the statement's now", ""}}}}}, true
	case "by":
		return w.afterBy(before, names), true
	case "segment":
		return situation{kinds: []CandidateKind{SegmentCandidate}}, true
	case "list":
		if isWord(before, "in") {
			return situation{kinds: []CandidateKind{ListCandidate}}, true
		}
		if first {
			return situation{kinds: []CandidateKind{AttributeCandidate}, words: []phrases{clauseWordsOf("list", false)}}, true
		}
	case "in":
		return situation{words: []phrases{inWords(before)}, subject: w.subject}, true
	case "is":
		return situation{words: []phrases{isWords()}}, true
	case "has":
		return situation{words: []phrases{hasWords()}, kinds: []CandidateKind{ValueCandidate}, subject: w.subject}, true
	case "stats", "count", "explain", "analyze", "create", "drop", "show", "describe", "insights", "lookalike", "rfm", "why":
		if first {
			return situation{words: []phrases{firstWords(strings.ToLower(last.Value))}}, true
		}
	case "contains", "with", "matches":
		return situation{kinds: []CandidateKind{ValueCandidate}, subject: w.subject}, true
	case "last", "next", "within", "than":
		return situation{words: []phrases{durationWords()}}, true
	case "least", "most", "exactly":
		return situation{words: []phrases{countWords()}}, true
	case "order":
		return situation{words: []phrases{{list: []phrase{{"by", "the order of the rows", ""}}}}}, true
	case "event":
		return situation{kinds: []CandidateKind{EventCandidate}}, true
	case "attribute":
		return situation{kinds: []CandidateKind{AttributeCandidate}}, true
	case "this":
		return situation{words: []phrases{unitWords()}}, true
	}
	return situation{}, false
}

func (w *walker) afterBy(before *lexer.Token, names CandidateKind) situation {
	if (w.stmt == "trend" || w.stmt == "retention") && !w.where && !isWord(before, "order") {
		return situation{words: []phrases{bucketWords()}}
	}
	s := situation{kinds: []CandidateKind{names}}
	if !isWord(before, "order") && w.stmt != "rfm" {
		s.words = []phrases{dimensionWords()}
	}
	return s
}
