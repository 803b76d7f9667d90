package values

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"

	"github.com/musterdb/muster/query/tree"
)

// Matcher tells whether a string satisfies a text form. It is safe for concurrent use.
type Matcher func(string) bool

// NewMatcher compiles `contains`, `starts with`, `ends with` or `matches`; fold is `ignoring case`,
// Unicode simple folding. The error is that of a pattern that is no RE2 expression.
func NewMatcher(op tree.TextOp, pattern string, fold bool) (Matcher, error) {
	if op == tree.Matches {
		re, err := regexp.Compile(pattern)
		if err == nil && fold {
			re, err = regexp.Compile("(?i)" + pattern)
		}
		if err != nil {
			return nil, fmt.Errorf("compile pattern %q: %w", pattern, err)
		}
		return re.MatchString, nil
	}
	within := strings.Contains
	switch op {
	case tree.StartsWith:
		within = strings.HasPrefix
	case tree.EndsWith:
		within = strings.HasSuffix
	}
	if !fold {
		return func(s string) bool { return within(s, pattern) }, nil
	}
	folded := foldText(pattern)
	return func(s string) bool { return within(foldText(s), folded) }, nil
}

// PatternSize returns about how many instructions a regular expression has, without making them: a short
// text with repetitions is up to millions. It is 0 for what is none.
func PatternSize(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	return patternSize(re)
}

func patternSize(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		n += patternSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}

// foldText maps every rune to the smallest of those it folds to, so that two strings are equal ignoring
// case exactly when their folded forms are equal.
func foldText(s string) string { return strings.Map(foldRune, s) }

func foldRune(r rune) rune {
	if r < 0x80 {
		if 'a' <= r && r <= 'z' {
			return r - ('a' - 'A')
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}
