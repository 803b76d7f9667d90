package decode

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// skim finds where a JSON value ends, looking at nothing but strings and brackets, so that what is
// wrong inside the value does not touch what follows it. The text may come in pieces.
type skim struct {
	open    []byte // the brackets that are open
	inside  bool   // of a string
	escaped bool   // the last piece ended behind a backslash
	word    bool   // the value is neither a string nor in brackets
}

func (s *skim) reset() { *s = skim{open: s.open[:0]} }

// run reads text, which begins at the value or goes on where the last piece ended. It returns how much of
// it belongs to the value, and whether the value ends there. A bracket that closes what is not open ends
// the value before it.
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
			if !s.close(c - 2) { // in ASCII the bracket that opens is two before
				return i, true
			}
			if len(s.open) == 0 {
				return i + 1, true
			}
		case '"':
			end, closed := behindString(text, i+1)
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

// plain are the bytes that mean nothing between strings and brackets.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = !strings.ContainsRune("{}[]\"", rune(c))
	}
	return t
}()

// close takes the innermost bracket of a kind off those that are open, with all inside it.
func (s *skim) close(opening byte) bool {
	for i := len(s.open) - 1; i >= 0; i-- {
		if s.open[i] == opening {
			s.open = s.open[:i]
			return true
		}
	}
	return false
}

// leaveString returns where the string ends that i is in, or the length of text.
func (s *skim) leaveString(text []byte, i int) int {
	if s.escaped {
		s.escaped = false
		i++
	}
	end, closed := behindString(text, i)
	s.inside, s.escaped = !closed, end > len(text)
	return min(end, len(text))
}

// endsWord tells whether a word ends before c: at what separates values, and at what begins one.
func endsWord(c byte) bool {
	switch c {
	case ',', ']', '}', '{', '[', '"', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}

// behindString returns where the string ends that i is in, eight bytes at a time. Where the text ends
// before it, that is one byte behind the text if its last one is a backslash that escapes.
func behindString(text []byte, i int) (end int, closed bool) {
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

// What Items found.
const (
	Space Found = iota // nothing but what separates items
	Part               // an item, as far as the text goes
	Item               // an item whole, or what the last Part lacked
	End                // the bracket that ends the array
)

// Found says what a call of Items.Next has read.
type Found uint8

// Items cuts the items of a JSON array out of text that comes in pieces, or what stands in their places:
// an item that is no JSON does not touch the others, and a comma too many or too few is none of its
// business. The zero Items begins behind the opening bracket.
type Items struct {
	skim  skim
	begun bool // in the middle of an item
}

// Next reads one item of text, which goes on where the last call ended. text[start:end] is the item, or
// its part; end is how far it has read.
func (s *Items) Next(text []byte) (found Found, start, end int) {
	if !s.begun {
		start = behindCommas(text)
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

// Again makes the next call begin with the first byte of the item that is in Part.
func (s *Items) Again() { s.begun = false }

// behindCommas returns where the space and the commas end that text begins with.
func behindCommas(text []byte) int {
	for i, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n', ',':
		default:
			return i
		}
	}
	return len(text)
}
