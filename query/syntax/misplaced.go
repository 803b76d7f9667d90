package syntax

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// end is the token that tokenAt returns past the last one.
var end = lexer.EOFToken(lexer.Position{})

// tokenAt returns the token at i, or end if there is none.
func tokenAt(tokens []lexer.Token, i int) *lexer.Token {
	if i < len(tokens) {
		return &tokens[i]
	}
	return &end
}

// knownMistakeOr returns the known mistake that tokens begin with, or m if there is none.
func knownMistakeOr(tokens []lexer.Token, m *mistake) *mistake {
	if known := knownMistake(tokens); known != nil {
		return known
	}
	return m
}

// knownMistake recognizes habits from other languages by the tokens at a place where the grammar does not
// allow them. It returns nil if they are not a known mistake.
func knownMistake(tokens []lexer.Token) *mistake {
	t := tokenAt(tokens, 0)
	if t.Type == wordToken {
		return knownWord(t, tokens)
	}
	switch after := tokenAt(tokens, 1); {
	case t.EOF():
	case t.Type == numberToken && unitAt(after) != tree.NoUnit && isWord(tokenAt(tokens, 2), "ago"):
		at := across(tokens[:3])
		return wrong(at, "a span of time is a window, not a value", "write  more than "+t.Value+" "+after.Value+" ago  or  in last "+t.Value+" "+after.Value).fixed(at, "more than "+textAt(tokens[:3]))
	case isOp(t, ",") && after.Type == numberToken && thousands(after.Value) && t.Pos.Offset+1 == after.Pos.Offset:
		return wrong(spanOf(t), "commas cannot group the digits of a number", "").fixed(spanOf(t), "_")
	}
	return nil
}

func thousands(digits string) bool { return len(digits) == 3 && !strings.Contains(digits, ".") }

// knownWord recognizes mistakes by their first word.
func knownWord(t *lexer.Token, tokens []lexer.Token) *mistake {
	after := tokenAt(tokens, 1)
	replaced := func(message, text string) *mistake { return wrong(spanOf(t), message, "").fixed(spanOf(t), text) }
	switch strings.ToLower(t.Value) {
	case "like", "ilike", "rlike", "regexp":
		return likeMistake(t, after, tokens)
	case "equals", "eq", "equal":
		return replaced("compare values with  =", "=")
	case "includes", "include", "containing":
		return replaced(t.Value+" is not a condition", "contains")
	case "startswith", "beginswith":
		return replaced(t.Value+" is written as two words", "starts with")
	case "endswith":
		return replaced(t.Value+" is written as two words", "ends with")
	case "begins":
		return replaced("begins is not a condition", "starts")
	case "exists":
		return replaced("use  is set  to check whether there is a value", "is set")
	case "group":
		if isWord(after, "by") {
			at := across(tokens[:2])
			return wrong(at, "group by  is written  by", "").fixed(at, "by")
		}
	case "sort", "sorted":
		if isWord(after, "by") {
			return replaced("sort by  is written  order by", "order")
		}
	case "filter", "having", "when", "if":
		return replaced(t.Value+" is not a clause", "where")
	case "descending", "ascending":
		return replaced(t.Value+" is written "+strings.TrimSuffix(strings.ToLower(t.Value), "ending"), strings.TrimSuffix(strings.ToLower(t.Value), "ending"))
	case "xor":
		return wrong(spanOf(t), "there is no xor", "write  a and not b or b and not a")
	}
	return nil
}

// likeMistake turns a SQL pattern into the equivalent text form.
func likeMistake(t, pattern *lexer.Token, tokens []lexer.Token) *mistake {
	m := wrong(spanOf(t), t.Value+" is not a condition", "write  contains, starts with, ends with  or  matches")
	if pattern.Type != stringToken {
		return m
	}
	inner := unquote(pattern.Value)
	form, body := "contains", strings.Trim(inner, "%")
	switch {
	case strings.EqualFold(t.Value, "rlike") || strings.EqualFold(t.Value, "regexp"):
		form, body = "matches", inner
	case strings.ContainsAny(body, "%_"):
		return m
	case strings.HasPrefix(inner, "%") && !strings.HasSuffix(inner, "%"):
		form = "ends with"
	case strings.HasSuffix(inner, "%") && !strings.HasPrefix(inner, "%"):
		form = "starts with"
	}
	text := form + " " + quote(body)
	if strings.EqualFold(t.Value, "ilike") {
		text += " ignoring case"
	}
	m.hint = ""
	return m.fixed(across(tokens[:2]), text)
}

// misplaced is the mistake of a token i that the grammar does not allow there: either what comes before it
// is complete, or something else must follow.
func misplaced(tokens []lexer.Token, i int) *mistake {
	t := &tokens[i]
	if m := knownMistake(tokens[i:]); m != nil {
		if isOp(t, ",") && i > 0 && tokens[i-1].Type == numberToken {
			at := across(tokens[i-1 : i+2])
			return wrong(at, m.message, "").fixed(at, tokens[i-1].Value+"_"+tokens[i+1].Value)
		}
		return m
	}
	m := wrong(spanOf(t), fmt.Sprintf("unexpected %s", tokenText(t)), "")
	if t.EOF() {
		m.message = "the statement ends too early"
	}
	if i == 0 {
		return firstWord(t, m)
	}
	before := &tokens[i-1]
	switch {
	case t.EOF():
		if m.hint = missingAfter(before); m.hint == "" || usage(tokens) != "" && i < 4 {
			m.hint = usage(tokens)
		}
	case isOp(t, ")"):
		m.hint = "no parenthesis is open here"
		m.message = "this parenthesis closes nothing"
		return m.fixed(spanOf(t), "")
	case (t.Type == stringToken || isOp(t, "(")) && isAny(before, "and", "or"):
		m.hint = "repeat  did"
	case t.Type == stringToken && t.Value[0] == '"' && before.Type == stringToken:
		m.hint = "join two conditions with  and  or  or"
	case isAny(t, "where", "by", "order", "limit"):
		return clauseOrder(tokens, i, m)
	case isWord(t, "as") && isWord(tokenAt(tokens, i+1), "of"):
		m.hint = "as of  must come at the end of the statement"
	case isWord(t, "of") && before.Type == wordToken && isMeasureName(before.Value):
		m.message = fmt.Sprintf("%s needs a value to measure", before.Value)
		m.hint = fmt.Sprintf("write  %s(amount) of …", before.Value)
	case usage(tokens) != "" && (t.Type != wordToken || Nearest(t.Value, clauseWords(tokens)) == ""):
		m.hint = usage(tokens)
	case isAny(t, "did", "first", "last", "in", "not", "was", "everyone") && conditionBefore(before):
		m.hint = "join conditions with  and  or  or"
		return m.fixed(tree.Span{Offset: t.Pos.Offset}, "and ")
	case isAny(t, "and", "or") && (isAny(before, "where", "and", "or", "not") || isOp(before, "(")):
		m.hint = "a condition is missing before it"
	case t.Type == opToken && comparisons[t.Value] != 0 || isOp(t, "="):
		m.hint = "comparisons go inside  where"
	case t.Type == wordToken && conditionBefore(before):
		if near := Nearest(t.Value, clauseWords(tokens)); near != "" {
			return m.fixed(spanOf(t), near)
		}
		m.hint = "join conditions with  and  or  or; put text values in quotes"
	}
	if m.hint == "" {
		return defaultHint(t, before, m)
	}
	return m
}

// defaultHint adds the hint for a token that no other rule covers.
func defaultHint(t, before *lexer.Token, m *mistake) *mistake {
	value := t.Type == stringToken || t.Type == numberToken || t.Type == dateToken || t.Type == timeToken
	switch {
	case value && (before.Type == quotedToken || before.Type == wordToken && !isReserved(before.Value)):
		m.hint = "an operator is missing before it, for example  ="
		return m.fixed(tree.Span{Offset: t.Pos.Offset}, "= ")
	case isOp(t, ","):
		m.hint = "commas separate columns, dimensions and the values of a list; join conditions with  and"
	case isOp(t, "("):
		m.hint = "parentheses go around conditions, arithmetic and lists of values"
	case t.EOF():
		m.hint = "continue the statement, or remove the last word"
	default:
		m.hint = "join conditions with  and  or  or"
	}
	return m
}

// usage returns how a statement with one fixed form is written, or "" for other statements.
func usage(tokens []lexer.Token) string {
	forms := map[string]string{
		"stats": "write  stats count, avg(age) where … by plan", "trend": "write  trend \"Order Completed\" in last 30 days by day",
		"funnel":    "write  funnel \"A\" then \"B\" within 7 days in last 30 days",
		"retention": "write  retention \"A\" then \"B\" in last 90 days by week", "overlap": "write  overlap in segment \"A\", in segment \"B\"",
		"insights": "write  insights where plan = \"pro\"", "lookalike": "write  lookalike of in segment \"VIP\" top 1000",
		"rfm":    "write  rfm of \"Order Completed\" in last 365 days by amount",
		"why":    "write  why profile \"user-1\" in segment \"VIP\"  or  why profile \"user-1\" where …",
		"create": "write  create segment \"VIP\" as ltv > 1000", "drop": "write  drop segment \"VIP\"",
		"show": "write  show segments, show events  or  show attributes", "describe": "write  describe segment \"VIP\", describe event \"Order Completed\"  or  describe attribute plan",
		"explain": "write  explain  before a statement that is not itself  explain",
	}
	return forms[strings.ToLower(tokens[0].Value)]
}

func isMeasureName(word string) bool {
	_, ok := fnOf(word)
	return ok
}

func conditionBefore(t *lexer.Token) bool {
	return t.Type != opToken || isOp(t, ")") || isOp(t, "%")
}

// missingAfter returns a hint about what is missing after a token.
func missingAfter(before *lexer.Token) string {
	switch {
	case isAny(before, "where", "and", "or", "not", "as", "against", "among"):
		return "a condition is missing, for example  country = \"BR\""
	case isAny(before, "did", "then", "of", "trend", "funnel", "retention"):
		return "an event is missing, for example  \"Order Completed\""
	case isWord(before, "by"):
		return "say what to break down or order by, for example  by country"
	case before.Type == opToken:
		return "a value is missing after  " + before.Value
	}
	return ""
}

// statements returns the words that begin a statement, in the order of the documentation.
func statements() []string {
	return []string{"count", "list", "stats", "trend", "funnel", "retention", "overlap", "insights", "lookalike", "rfm", "explain", "why", "create", "drop", "show", "describe"}
}

// firstWord is the mistake of a text that does not begin like a statement.
func firstWord(t *lexer.Token, m *mistake) *mistake {
	m.message = "a statement must begin with count, list, stats, trend or another statement word"
	if t.Type == wordToken {
		similar := map[string]string{"find": "list", "get": "list", "export": "list", "how": "count", "number": "count", "delete": "drop", "remove": "drop", "alter": "create or replace", "update": "create or replace", "timeline": "trend", "cohort": "retention", "cohorts": "retention", "sum": "stats sum", "avg": "stats avg", "users": "count", "profiles": "count"}
		if isWord(t, "select") {
			m.hint = "write  list email, plan where …  for members,  stats …  or  count by …  for numbers"
			return m
		}
		if s := similar[strings.ToLower(t.Value)]; s != "" {
			return m.fixed(spanOf(t), s)
		}
		if near := Nearest(t.Value, statements()); near != "" {
			return m.fixed(spanOf(t), near)
		}
		if isAny(t, "where", "did", "not", "in", "first", "last", "everyone") {
			if !isWord(t, "where") {
				return m.fixed(tree.Span{Offset: t.Pos.Offset}, "count where ")
			}
			return m.fixed(tree.Span{Offset: t.Pos.Offset}, "count ")
		}
	}
	m.hint = "for example  count where country = \"BR\""
	return m
}

// clauseWords returns the words that can begin a clause of the statement.
func clauseWords(tokens []lexer.Token) []string {
	words := []string{"where", "by", "order by", "limit", "and", "or", "as of", "in timezone"}
	switch {
	case isWord(&tokens[0], "lookalike"):
		words = append(words, "top", "among")
	case isWord(&tokens[0], "insights"):
		words = append(words, "against")
	}
	return words
}

// clauseOrder is the mistake of a clause that comes too late or does not belong to the statement.
func clauseOrder(tokens []lexer.Token, i int, m *mistake) *mistake {
	t := &tokens[i]
	order := map[string]string{
		"count": "where …, by …, order by …, limit …", "list": "columns, where …, order by …, limit …", "stats": "measures, where …, by …, order by …, limit …",
		"trend": "event, window, by day, of …, where …, by …", "funnel": "steps, within …, window, where …, by …", "retention": "steps, window, by week, where …",
		"rfm": "of event, window, by amount, where …",
	}
	first := 0
	for first < 2 && first < i-1 && isAny(&tokens[first], "explain", "analyze") {
		first++
	}
	s := strings.ToLower(tokens[first].Value)
	for _, earlier := range tokens[first+1 : i] {
		if isWord(&earlier, t.Value) && isAny(t, "limit", "order") {
			m.message = fmt.Sprintf("%s appears twice", t.Value)
			m.hint = "remove one of them"
			return m
		}
	}
	if parts := order[s]; parts != "" {
		m.message = fmt.Sprintf("%s is in the wrong place", t.Value)
		m.hint = fmt.Sprintf("the parts of %s come in this order: %s", s, parts)
		if isWord(t, "where") && isOp(&tokens[i-1], ")") {
			m.hint = "join the conditions with  and; " + m.hint
		}
		return m
	}
	m.message = fmt.Sprintf("%s takes no %s", s, t.Value)
	m.hint = usage(tokens)
	return m
}

// wrongWindow is the mistake of tokens that begin like a window but are not one. REQUIRES: atWindow.
func (p *parser) wrongWindow() *mistake {
	tokens := p.tokens(0, 8)
	n := 0
	for n < 3 && isAny(tokenAt(tokens, n), "in", "during", "the", "within", "over") {
		n++
	}
	word, after := tokenAt(tokens, n), tokenAt(tokens, n+1)
	fix := func(count int, message, text string) *mistake {
		at := across(tokens[:min(count, len(tokens))])
		return wrong(at, message, "").fixed(at, text)
	}
	unit := unitAt(after).String()
	switch {
	case isAny(word, "last", "past", "previous", "next", "coming") && p.atDuration(n+1) > 0:
		direction := "last"
		if isAny(word, "next", "coming") {
			direction = "next"
		}
		size := p.atDuration(n + 1)
		return fix(n+1+size, "a rolling window is written  in "+direction+" …", "in "+direction+" "+textAt(tokens[n+1:n+1+size]))
	case isAny(word, "last", "past", "previous", "next") && after.Type == numberToken:
		return fix(n+2, "the window is missing its unit", "in last "+after.Value+" days")
	case isAny(word, "this", "current") && isAny(after, "week", "month", "quarter", "year"):
		return fix(n+2, "a calendar window is written without  in", "this "+unit)
	case isAny(word, "this", "current") && isWord(after, "day"):
		return fix(n+2, "the current day is written  today", "today")
	case isAny(word, "last", "past", "previous") && isAny(after, "week", "month", "quarter", "year"):
		m := fix(n+2, "the window can have two meanings", "last "+unit)
		return m.withHint(fmt.Sprintf("write  last %s  for the calendar %s, or  in last 1 %s", unit, unit, unit))
	case isAny(word, "last", "past") && unit != "":
		return fix(n+2, "the window is missing its number", "in last 1 "+unit)
	case isWord(word, "next") && unit != "":
		return fix(n+2, "the window is missing its number", "in next 1 "+unit)
	case isAny(word, "today", "yesterday", "on", "since", "before", "between", "ever") && n > 0:
		return fix(n+1, "this window is written without  in", strings.ToLower(word.Value))
	case n > 0 && p.atDuration(n) > 0:
		size := p.atDuration(n)
		return fix(n+size, "a rolling window is written  in last …", "in last "+textAt(tokens[n:n+size]))
	case word.Type == dateToken:
		return fix(n+1, "a day needs  on  before it", "on "+word.Value)
	case word.Type == numberToken && len(word.Value) == 4 && n > 0:
		return fix(n+1, "a year is written with its first and last day", "between "+word.Value+"-01-01 and "+word.Value+"-12-31")
	case isAny(word, "after", "from", "starting"):
		return fix(n+1, "a window without an end begins with  since", "since")
	case isWord(word, "until"):
		return fix(n+1, "a window without a beginning ends with  before", "before")
	}
	return p.wrong("this is not a window", "a window is  in last 30 days, more than 30 days ago, today, this month, on, since, before, between 2026-01-01 and 2026-01-31, or  ever")
}

// Nearest returns the closest of words if it is at most two edits from word, else "".
func Nearest(word string, words []string) string {
	best, distance := "", 3
	for _, w := range words {
		if d := editDistance(strings.ToLower(word), w); d < distance && d < len(w) && len(word) > 2 {
			best, distance = w, d
		}
	}
	return best
}

// editDistance returns how many letters to insert, delete, replace or swap to turn a into b.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
