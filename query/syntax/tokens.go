package syntax

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// TokenKind is the kind of a token for highlighting.
type TokenKind string

// The kinds of tokens.
const (
	KeywordToken     TokenKind = "keyword"
	NameToken        TokenKind = "name"
	EventToken       TokenKind = "event"
	StringToken      TokenKind = "string"
	NumberToken      TokenKind = "number"
	TimeToken        TokenKind = "time" // dates, times, joined durations
	OperatorToken    TokenKind = "operator"
	PunctuationToken TokenKind = "punctuation"
	CommentToken     TokenKind = "comment"
	ErrorToken       TokenKind = "error"
)

// Token is a range of text for highlighting, in bytes.
type Token struct {
	Kind   TokenKind
	Offset int
	Length int
}

// Tokens splits a text into tokens, even one that does not parse. White space is in no token.
func Tokens(text string) []Token {
	scanned := scan(text)
	out := make([]Token, 0, len(scanned))
	var before lexer.Token
	for i, t := range scanned {
		token := lexer.Token{Type: t.kind, Value: text[t.at:t.end]}
		var after lexer.Token
		if i+1 < len(scanned) {
			after = lexer.Token{Type: scanned[i+1].kind, Value: text[scanned[i+1].at:scanned[i+1].end]}
		}
		out = append(out, Token{Kind: kindOf(&before, &token, &after), Offset: t.at, Length: t.end - t.at})
		if t.kind != commentToken {
			before = token
		}
	}
	return out
}

func kindOf(before, t, after *lexer.Token) TokenKind {
	eventPlace := isAny(before, "did", "then", "of", "trend", "funnel", "retention")
	switch t.Type {
	case wordToken:
		switch {
		case isWord(t, "not"):
			return KeywordToken
		case eventPlace && !isWord(before, "of"):
			return EventToken
		case isWord(before, "of") && !isAny(t, "users", "count", "sum", "avg", "min", "max", "distinct", "in", "not", "did"):
			return EventToken
		case isReserved(t.Value):
			return KeywordToken
		case contextKeyword(t.Value) && !compared(after):
			return KeywordToken
		}
		return NameToken
	case quotedToken:
		if eventPlace {
			return EventToken
		}
		return NameToken
	case stringToken:
		if eventPlace {
			return EventToken
		}
		return StringToken
	case numberToken:
		return NumberToken
	case dateToken, timeToken, durationToken:
		return TimeToken
	case opToken:
		if strings.Contains("(),", t.Value) {
			return PunctuationToken
		}
		return OperatorToken
	case commentToken:
		return CommentToken
	}
	return ErrorToken
}

// compared reports whether t is a comparison, which means that the token before it is a name.
func compared(t *lexer.Token) bool {
	return t.Type == opToken && (comparisons[t.Value] != 0 || t.Value == "=") || isAny(t, "contains", "has", "is", "matches")
}

// contextKeyword reports whether a word is a keyword that can also be a name.
func contextKeyword(word string) bool {
	if unitOf(word) != 0 {
		return true
	}
	if _, ok := fnOf(word); ok {
		return true
	}
	switch strings.ToLower(word) {
	case "list", "stats", "trend", "funnel", "retention", "overlap", "insights", "against", "lookalike", "among", "rfm", "explain", "analyze", "why", "profile",
		"create", "replace", "segment", "described", "refresh", "every", "allow", "unknown", "drop", "show", "segments", "events", "attributes", "describe", "event",
		"attribute", "users", "steps", "timezone", "asc", "desc", "set", "anniversary", "contains", "starts", "ends", "with", "matches", "ignoring", "case", "any",
		"all", "once", "exactly", "at", "least", "most", "more", "fewer", "than", "times", "time", "ago", "next", "today", "yesterday", "this", "on", "since", "before",
		"ever", "sample", "to", "top", "bottom":
		return true
	}
	return false
}
