package main

import (
	"strings"
	"unicode"
)

// The colours of a statement on a terminal.
const (
	keywordColour = "\x1b[1;34m"
	stringColour  = "\x1b[32m"
	numberColour  = "\x1b[33m"
	commentColour = "\x1b[90m"
	plainColour   = "\x1b[0m"
)

// keywords are the words that are highlighted. They can be names as well, so the colours are only a reading
// aid: the node parses the statement.
const keywords = " count list stats trend funnel retention overlap insights lookalike rfm explain analyze why create replace " +
	"segment drop show describe segments events attributes where by order limit asc desc as of in timezone is has " +
	"set not and or between contains starts ends with matches ignoring case any all anniversary did first last " +
	"times time at least most more fewer than exactly once ever ago within then next this today yesterday on since " +
	"before everyone sample top bottom previous true false sum avg min max distinct days favorite median percentile " +
	"week month quarter year day hour hours minutes seconds weeks months years steps event attribute profile " +
	"described refresh "

// highlight adds colours to a line of the prompt. It sanitizes the line, because the prompt writes directly
// to the terminal.
func highlight(line []rune) string {
	line = []rune(sanitize(string(line)))
	var out strings.Builder
	paint := func(colour string, text []rune) {
		out.WriteString(colour)
		out.WriteString(string(text))
		out.WriteString(plainColour)
	}
	for i := 0; i < len(line); {
		end := wordEnd(line, i)
		text := line[i:end]
		switch c := line[i]; {
		case c == '"' || c == '\'':
			paint(stringColour, text)
		case c == '-' && len(text) > 1:
			paint(commentColour, text)
		case unicode.IsDigit(c):
			paint(numberColour, text)
		case unicode.IsLetter(c) && strings.Contains(keywords, " "+strings.ToLower(string(text))+" "):
			paint(keywordColour, text)
		default:
			out.WriteString(string(text))
		}
		i = end
	}
	return out.String()
}

// wordEnd returns the end of the string, comment, number, name or single character that begins at i.
func wordEnd(line []rune, i int) int {
	word := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || c == '_' || c == '.' }
	switch c := line[i]; {
	case c == '"' || c == '\'' || c == '`':
		for j := i + 1; j < len(line); j++ {
			if line[j] == '\\' && c != '`' {
				j++
			} else if line[j] == c {
				return j + 1
			}
		}
		return len(line)
	case c == '-' && i+1 < len(line) && line[i+1] == '-':
		for j := i; j < len(line); j++ {
			if line[j] == '\n' {
				return j
			}
		}
		return len(line)
	case word(c):
		j := i
		for j < len(line) && word(line[j]) {
			j++
		}
		return j
	}
	return i + 1
}
