package syntax

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// The token types. Participle requires them to be negative, below lexer.EOF.
const (
	wordToken     lexer.TokenType = lexer.EOF - 1 - iota
	quotedToken                   // `a name`, or previous.`a name`
	stringToken                   // "…" or '…'
	numberToken                   // 3, 1_000.5, 1e25
	dateToken                     // 2026-01-31
	timeToken                     // 2026-01-31T10:00:00Z
	durationToken                 // 90d
	opToken                       // operators and punctuation
	commentToken
	badToken
)

// token is the lexeme text[at:end]. bad is set if it is not valid.
type token struct {
	kind lexer.TokenType
	at   int
	end  int
	bad  *mistake
}

// scanner splits a text into tokens. It never fails: invalid text becomes a bad token, so highlighting and
// completion still get the rest.
type scanner struct {
	text string
	at   int
}

// scan returns the tokens of text, including comments, without an end marker.
func scan(text string) []token {
	s := scanner{text: text}
	tokens := make([]token, 0, len(text)/5+4)
	for t, more := s.token(); more; t, more = s.token() {
		tokens = append(tokens, t)
	}
	return tokens
}

// token returns the next token, or false at the end of the text.
func (s *scanner) token() (token, bool) {
	s.skipSpace()
	if s.at >= len(s.text) {
		return token{}, false
	}
	t := token{at: s.at}
	t.kind, t.bad = s.next()
	t.end = s.at
	if t.bad != nil {
		t.kind = badToken
	}
	return t, true
}

func (s *scanner) skipSpace() {
	for s.at < len(s.text) {
		r, size := utf8.DecodeRuneInString(s.text[s.at:])
		if !unicode.IsSpace(r) {
			return
		}
		s.at += size
	}
}

// peek returns the byte n positions ahead, or 0 past the end.
func (s *scanner) peek(n int) byte {
	if s.at+n < len(s.text) {
		return s.text[s.at+n]
	}
	return 0
}

func (s *scanner) next() (lexer.TokenType, *mistake) {
	c := s.peek(0)
	switch {
	case c == '"' || c == '\'':
		return s.quoted(c)
	case c == '`':
		return s.backticks(s.at)
	case isDigit(c):
		return s.number()
	case c == '-' && s.peek(1) == '-':
		if end := strings.IndexByte(s.text[s.at:], '\n'); end >= 0 {
			s.at += end
		} else {
			s.at = len(s.text)
		}
		return commentToken, nil
	}
	r, size := utf8.DecodeRuneInString(s.text[s.at:])
	if nameStart(r) {
		return s.word()
	}
	return s.operator(r, size)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func nameStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }

// namePart also accepts combining marks, which many scripts need to spell words.
func namePart(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// skipName moves past the name characters at the current position.
func (s *scanner) skipName() {
	for s.at < len(s.text) {
		r, size := utf8.DecodeRuneInString(s.text[s.at:])
		if !namePart(r) {
			return
		}
		s.at += size
	}
}

func (s *scanner) word() (lexer.TokenType, *mistake) {
	from := s.at
	s.skipName()
	for s.peek(0) == '.' {
		if s.peek(1) == '`' && strings.EqualFold(s.text[from:s.at], "previous") {
			s.at++
			return s.backticks(from)
		}
		r, _ := utf8.DecodeRuneInString(s.text[s.at+1:])
		if !namePart(r) {
			break
		}
		s.at++
		s.skipName()
	}
	return wordToken, nil
}

// backticks reads a name in backticks. A doubled backtick inside is one backtick.
func (s *scanner) backticks(from int) (lexer.TokenType, *mistake) {
	open := s.at
	s.at++
	for s.at < len(s.text) {
		if s.text[s.at] != '`' {
			s.at++
			continue
		}
		if s.peek(1) == '`' {
			s.at += 2
			continue
		}
		s.at++
		if s.at == open+2 {
			return 0, wrong(tree.Span{Offset: from, Length: s.at - from}, "a name in backticks cannot be empty", "write a name between the backticks, or leave them out")
		}
		return quotedToken, nil
	}
	return 0, wrong(tree.Span{Offset: open, Length: 1}, "the name that begins here is not closed", "end it with a backtick")
}

func (s *scanner) quoted(quote byte) (lexer.TokenType, *mistake) {
	open := s.at
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case quote:
			s.at++
			return stringToken, nil
		case '\\':
			if strings.IndexByte(`\"'nt`, s.peek(1)) >= 0 && s.at+1 < len(s.text) {
				s.at++
			}
		}
	}
	return 0, wrong(tree.Span{Offset: open, Length: 1}, "the string that begins here is not closed", "end it with "+string(quote))
}

func (s *scanner) operator(r rune, size int) (lexer.TokenType, *mistake) {
	from := s.at
	if len(s.text) >= from+2 {
		switch pair := s.text[from : from+2]; pair {
		case "!=", "<=", ">=":
			s.at += 2
			return opToken, nil
		case "==", "<>", "=<", "=>", "&&", "||":
			s.at += 2
			return 0, wrongOperator(from, pair)
		}
	}
	s.at += size
	switch r {
	case '=', '<', '>', '+', '-', '*', '/', '(', ')', ',', '%':
		return opToken, nil
	}
	return 0, wrongCharacter(s.text, from, r, size)
}

// number reads a token that begins with a digit: a number, a date, a time or a joined duration such as 90d.
func (s *scanner) number() (lexer.TokenType, *mistake) {
	if n := dateShape(s.text[s.at:]); n > 0 {
		return s.date(n)
	}
	if n := slashDate(s.text[s.at:]); n > 0 {
		from := s.at
		s.at += n
		return 0, wrongDate(from, s.text[from:s.at])
	}
	from, whole := s.at, true
	s.digits()
	if s.peek(0) == '.' && isDigit(s.peek(1)) {
		whole = false
		s.at++
		s.digits()
	}
	if c := s.peek(0); c == 'e' || c == 'E' {
		if d := s.peek(1); isDigit(d) || (d == '-' || d == '+') && isDigit(s.peek(2)) {
			whole = false
			s.at += 2
			s.digits()
		}
	}
	end := s.at
	s.skipName()
	text, letters := s.text[from:end], s.text[end:s.at]
	switch {
	case strings.Contains(text, "__") || strings.HasSuffix(text, "_") || strings.Contains(text, "_."):
		return 0, wrongNumber(from, s.at, strings.Trim(strings.ReplaceAll(text, "_", ""), "_"))
	case letters == "":
		return numberToken, nil
	case whole && len(letters) == 1 && strings.Contains("smhdwSMHDW", letters):
		return durationToken, nil
	}
	return 0, wrongLetters(from, s.at, text, letters)
}

func (s *scanner) digits() {
	for isDigit(s.peek(0)) || s.peek(0) == '_' {
		s.at++
	}
}

// dateShape returns the length of a text like 2026-01-31 or 2026-1-31 at the beginning of text, or 0.
func dateShape(text string) int {
	n := digitRuns(text, '-', [3][2]int{{4, 4}, {1, 2}, {1, 2}})
	if n > 0 && n < len(text) && text[n] == '.' {
		return 0
	}
	return n
}

// slashDate returns the length of a text like 31/01/2026, 31.01.2026, 31-01-2026 or 2026/01/31, or 0.
func slashDate(text string) int {
	for _, separator := range []byte{'/', '.', '-'} {
		if n := digitRuns(text, separator, [3][2]int{{1, 2}, {1, 2}, {4, 4}}); n > 0 {
			return n
		}
	}
	if n := digitRuns(text, '/', [3][2]int{{4, 4}, {1, 2}, {1, 2}}); n > 0 {
		return n
	}
	return digitRuns(text, '.', [3][2]int{{4, 4}, {1, 2}, {1, 2}})
}

func digitRuns(text string, separator byte, runs [3][2]int) int {
	at := 0
	for i, run := range runs {
		if i > 0 {
			if at >= len(text) || text[at] != separator {
				return 0
			}
			at++
		}
		from := at
		for at < len(text) && isDigit(text[at]) {
			at++
		}
		if at-from < run[0] || at-from > run[1] {
			return 0
		}
	}
	return at
}

// date reads a date, or a time if a T follows. n is the length of the date.
func (s *scanner) date(n int) (lexer.TokenType, *mistake) {
	from := s.at
	date := s.text[from : from+n]
	s.at += n
	_, err := time.Parse(time.DateOnly, date)
	switch c := s.peek(0); {
	case err != nil:
		s.skipName()
		return 0, wrongDate(from, date)
	case c == 'T' || c == 't':
		return s.time(from)
	case c == ' ' && isDigit(s.peek(1)) && (s.peek(2) == ':' || isDigit(s.peek(2)) && s.peek(3) == ':'):
		s.at++
		s.clock()
		return 0, wrongTime(from, s.text[from:s.at])
	}
	if end := s.at; true {
		if s.skipName(); s.at > end {
			return 0, wrongDate(from, date)
		}
	}
	return dateToken, nil
}

// clock moves past hours, minutes, seconds and a zone in any form.
func (s *scanner) clock() {
	for isDigit(s.peek(0)) || s.peek(0) == ':' || s.peek(0) == '.' && isDigit(s.peek(1)) {
		s.at++
	}
	if c := s.peek(0); (c == '+' || c == '-') && isDigit(s.peek(1)) {
		s.at++
		for isDigit(s.peek(0)) || s.peek(0) == ':' {
			s.at++
		}
	}
	s.skipName()
}

func (s *scanner) time(from int) (lexer.TokenType, *mistake) {
	s.at++
	s.clock()
	if _, ok := tree.ParseInstant(s.text[from:s.at]); !ok {
		return 0, wrongTime(from, s.text[from:s.at])
	}
	return timeToken, nil
}

// unquote returns the value of a string token.
func unquote(raw string) string {
	body := raw[1 : len(raw)-1]
	if strings.IndexByte(body, '\\') < 0 {
		return body
	}
	var b strings.Builder
	for i := 0; i < len(body); i++ {
		if body[i] == '\\' && i+1 < len(body) {
			if to := strings.IndexByte(`\"'nt`, body[i+1]); to >= 0 {
				b.WriteByte("\\\"'\n\t"[to])
				i++
				continue
			}
		}
		b.WriteByte(body[i])
	}
	return b.String()
}

// unbacktick returns the name in a backtick token, without `previous.`.
func unbacktick(raw string) string {
	body := raw[strings.IndexByte(raw, '`')+1 : len(raw)-1]
	return strings.ReplaceAll(body, "``", "`")
}
