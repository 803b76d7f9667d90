package decode

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// skim finds the end of a JSON value by its strings and brackets alone, so that an error inside the value
// does not affect what follows. The text may arrive in pieces.
type skim struct {
	open    []byte // the open brackets
	inside  bool   // in a string
	escaped bool   // the last piece ended after a backslash
	word    bool   // the value is neither a string nor in brackets
}

func (s *skim) reset() { *s = skim{open: s.open[:0]} }

// run reads text, which begins at the value or continues where the last piece ended. It returns how many
// bytes of text belong to the value, and whether the value ends there. A closing bracket without an
// opening one ends the value before that bracket.
func (s *skim) run(text []byte) (n int, done bool) {
	for i := 0; i < len(text); {
		if s.inside {
			if i = s.leaveString(text, i); !s.inside && len(s.open) == 0 {
				return i, true
			}
			continue
		}
		if s.word {
			if endsWord(text[i]) {
				return i, true
			}
			i++
			continue
		}
		if len(s.open) > 0 {
			for plain[text[i]] {
				if i++; i == len(text) {
					return i, false
				}
			}
		}
		switch c := text[i]; c {
		case '{', '[':
			s.open = append(s.open, c)
		case '}', ']':
			if !s.close(c - 2) { // in ASCII the opening bracket is two before the closing one
				return i, true
			}
			if len(s.open) == 0 {
				return i + 1, true
			}
		case '"':
			end, closed := stringEnd(text, i+1)
			if !closed {
				s.inside, s.escaped = true, end > len(text)
				return len(text), false
			}
			if i = end; len(s.open) == 0 {
				return i, true
			}
			continue
		default:
			s.word = len(s.open) == 0
		}
		i++
	}
	return len(text), false
}

// plain has the bytes that have no meaning between strings and brackets.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = !strings.ContainsRune("{}[]\"", rune(c))
	}
	return t
}()

// close removes the innermost open bracket of this kind, and all inside it. It returns false if there is
// none.
func (s *skim) close(opening byte) bool {
	for i := len(s.open) - 1; i >= 0; i-- {
		if s.open[i] == opening {
			s.open = s.open[:i]
			return true
		}
	}
	return false
}

// leaveString returns the end of the string that contains i, or the length of text if the string does not
// end in it.
func (s *skim) leaveString(text []byte, i int) int {
	if s.escaped {
		s.escaped = false
		i++
	}
	end, closed := stringEnd(text, i)
	s.inside, s.escaped = !closed, end > len(text)
	return min(end, len(text))
}

// endsWord reports whether c ends a word: whether it is a separator or begins a value.
func endsWord(c byte) bool {
	switch c {
	case ',', ']', '}', '{', '[', '"', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}

// stringEnd returns the end of the string that contains i. It reads eight bytes at a time. If text ends
// before the string does, end is len(text), or one more if the last byte is a backslash that escapes the
// next one.
func stringEnd(text []byte, i int) (end int, closed bool) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for i < len(text) {
		for i+8 <= len(text) {
			x := binary.LittleEndian.Uint64(text[i:])
			quote, slash := x^'"'*ones, x^'\\'*ones
			if marked := ((quote-ones)&^quote | (slash-ones)&^slash) & high; marked != 0 {
				i += bits.TrailingZeros64(marked) >> 3
				break
			}
			i += 8
		}
		switch {
		case i >= len(text):
		case text[i] == '"':
			return i + 1, true
		case text[i] == '\\':
			i += 2
		default:
			i++
		}
	}
	return i, false
}

// The results of Items.Next.
const (
	Space Found = iota // only separators
	Part               // an item as far as the text goes
	Item               // a whole item, or what the last Part lacked
	End                // the closing bracket of the array
)

// Found is what a call of Items.Next has found.
type Found uint8

// Items cuts the items out of a JSON array that arrives in pieces. An item that is not JSON does not
// affect the others, and extra or missing commas do not matter. The zero Items begins after the opening
// bracket.
type Items struct {
	skim  skim
	begun bool // in the middle of an item
}

// Next reads one item of text, which continues where the last call ended. text[start:end] is the item or
// a part of it; end is also how far Next has read.
func (s *Items) Next(text []byte) (found Found, start, end int) {
	if !s.begun {
		start = skipCommas(text)
		if start == len(text) {
			return Space, start, start
		}
		if text[start] == ']' {
			return End, start, start + 1
		}
		s.begun = true
		s.skim.reset()
	}
	n, done := s.skim.run(text[start:])
	if !done {
		return Part, start, start + n
	}
	if n == 0 && len(s.skim.open) == 0 && !s.skim.word { // a bracket that closes nothing
		n = 1
	}
	s.begun = false
	return Item, start, start + n
}

// Again makes the next call of Next begin with the first byte of the item that was returned as Part.
func (s *Items) Again() { s.begun = false }

// skipCommas returns the length of the space and commas at the beginning of text.
func skipCommas(text []byte) int {
	for i, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n', ',':
		default:
			return i
		}
	}
	return len(text)
}
