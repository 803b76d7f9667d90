package syntax

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/musterdb/muster/query/tree"
)

// Parse returns the tree of a statement. The error is a *tree.Diagnostic, located in text.
func Parse(text string, limits Limits) (*tree.Query, error) {
	tokens, m := tokenize(text, limits)
	if m == nil {
		var q *tree.Query
		if q, m = parseStatement(tokens); m == nil {
			return q, nil
		}
	}
	return nil, m.diagnostic(text)
}

// ParsePred returns the tree of a predicate alone. The error is a *tree.Diagnostic, located in text.
func ParsePred(text string, limits Limits) (tree.Pred, error) {
	tokens, m := tokenize(text, limits)
	if m == nil {
		var p tree.Pred
		if p, m = parsePredicate(tokens); m == nil {
			return p, nil
		}
	}
	return nil, m.diagnostic(text)
}

// savedPredicates is more conditions than any text within the limit has.
const savedPredicates = 64 << 10

// ParseSaved is ParsePred for the text of a saved segment. Earlier versions did not count steps and measures
// as conditions, and every node must be able to read every segment that was ever accepted.
func ParseSaved(text string) (tree.Pred, error) {
	return ParsePred(text, Limits{Predicates: savedPredicates})
}

func parseStatement(tokens []lexer.Token) (*tree.Query, *mistake) {
	if tokens[0].EOF() {
		return nil, wrong(tree.Span{}, "the statement is empty", "begin with count, list, stats, trend, …, for example  count where country = \"BR\"")
	}
	g, err := run(statementParser(), tokens)
	if err != nil {
		return nil, mistakeOf(err, tokens)
	}
	return g.lower()
}

func parsePredicate(tokens []lexer.Token) (tree.Pred, *mistake) {
	g, err := run(predicateParser(), tokens)
	if err != nil {
		return nil, mistakeOf(err, tokens)
	}
	return g.P.pred, nil
}

// statementParser and predicateParser are participle's parsers, built on first use. With a lookahead of
// only the next token, the parser never backtracks over a token. So nothing is captured twice
// (participle#216), and the first error is the one reported.
var statementParser = sync.OnceValue(func() *participle.Parser[statementText] {
	return participle.MustBuild[statementText](grammarOptions()...)
})

var predicateParser = sync.OnceValue(func() *participle.Parser[predicateText] {
	return participle.MustBuild[predicateText](grammarOptions()...)
})

func grammarOptions() []participle.Option {
	return []participle.Option{participle.Lexer(definition{}), participle.CaseInsensitive("Word"), participle.UseLookahead(0)}
}

func run[G any](p *participle.Parser[G], tokens []lexer.Token) (*G, error) {
	peeking, err := lexer.Upgrade(&tokenReader{tokens})
	if err != nil {
		return nil, err
	}
	return p.ParseFromLexer(peeking)
}

// mistakeOf converts an error of participle into a mistake. Either one of the hand-written productions
// returned it, or the grammar does not allow a token where it is.
func mistakeOf(err error, tokens []lexer.Token) *mistake {
	var m *mistake
	if errors.As(err, &m) {
		return m
	}
	var unexpected *participle.UnexpectedTokenError
	if !errors.As(err, &unexpected) {
		return wrong(tree.Span{}, "the statement cannot be read: "+err.Error(), "")
	}
	i := 0
	for i < len(tokens)-1 && tokens[i].Pos.Offset < unexpected.Unexpected.Pos.Offset {
		i++
	}
	return misplaced(tokens, i)
}

// tokenize checks the limits, scans the text and returns its tokens for participle. The last one is EOF.
func tokenize(text string, limits Limits) ([]lexer.Token, *mistake) {
	limits = limits.withDefaults()
	if len(text) > limits.Text {
		return nil, limited(tree.Span{Offset: limits.Text, Length: 1}, fmt.Sprintf("the text is longer than %d bytes", limits.Text), "save long lists of values as a list and use  in list \"…\"")
	}
	if !utf8.ValidString(text) {
		at := 0
		for at < len(text) {
			r, size := utf8.DecodeRuneInString(text[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return nil, wrong(tree.Span{Offset: at, Length: 1}, "the text is not valid UTF-8", "send it as UTF-8")
	}
	guard, s := newGuard(limits), scanner{text: text}
	tokens := make([]lexer.Token, 0, min(len(text)/4, 1024)+4)
	for t, more := s.token(); more; t, more = s.token() {
		if t.bad != nil {
			return nil, t.bad
		}
		if t.kind == commentToken {
			continue
		}
		tokens = append(tokens, lexer.Token{Type: t.kind, Value: text[t.at:t.end], Pos: lexer.Position{Offset: t.at}})
		if m := guard.add(&tokens[len(tokens)-1]); m != nil {
			return nil, m
		}
	}
	return append(tokens, lexer.EOFToken(lexer.Position{Offset: len(text)})), nil
}

// definition is the lexer definition for participle.
type definition struct{}

// Symbols names the token types for the grammar's tags.
func (definition) Symbols() map[string]lexer.TokenType {
	return map[string]lexer.TokenType{
		"EOF": lexer.EOF, "Word": wordToken, "Quoted": quotedToken, "String": stringToken, "Number": numberToken,
		"Date": dateToken, "Time": timeToken, "Duration": durationToken, "Op": opToken,
	}
}

// Lex implements lexer.Definition under the default limits.
func (definition) Lex(_ string, r io.Reader) (lexer.Lexer, error) {
	var b strings.Builder
	if _, err := io.Copy(&b, r); err != nil {
		return nil, fmt.Errorf("read statement: %w", err)
	}
	tokens, m := tokenize(b.String(), Limits{})
	if m != nil {
		return nil, m
	}
	return &tokenReader{tokens}, nil
}

// tokenReader is a lexer.Lexer over tokens that have been scanned.
type tokenReader struct{ tokens []lexer.Token }

// Next returns the next token. At the end it returns EOF on every call.
func (r *tokenReader) Next() (lexer.Token, error) {
	t := r.tokens[0]
	if len(r.tokens) > 1 {
		r.tokens = r.tokens[1:]
	}
	return t, nil
}
