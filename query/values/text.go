package values

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"

	"github.com/musterdb/muster/query/tree"
)

// Matcher reports whether a string satisfies a text form. It is safe for concurrent use.
type Matcher func(string) bool

// NewMatcher compiles `contains`, `starts with`, `ends with` or `matches`. fold is `ignoring case`, with simple
// Unicode case folding. It returns an error if the pattern of `matches` is not an RE2 expression.
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

// PatternSize estimates how many instructions a regular expression compiles to, without compiling it: a short
// pattern with repetitions can have millions. It returns 0 for an invalid pattern.
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

// foldText maps every rune to the smallest rune that is equal to it ignoring case. So two strings are equal
// ignoring case if and only if their folded forms are equal.
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
