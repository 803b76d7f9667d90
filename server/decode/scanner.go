package decode

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// errJSON means that the text is not JSON. Decoder.syntax finds out why.
var errJSON = errors.New("not JSON")

// scanner reads one JSON text in memory, token by token. It accepts exactly what jsontext accepts (RFC
// 8259 with valid UTF-8 and whole surrogate pairs; duplicate names are allowed), with which the tests
// compare it. It is faster: it does not buffer or copy, and scans strings eight bytes at a time. After an
// error it cannot continue.
type scanner struct {
	text    []byte
	at      int  // the end of what has been read
	due     bool // at is the beginning of the next token: its separator has been read
	done    bool // the text's single value has begun
	plain   bool // the string read last has no backslash
	levels  []level
	skimmer skim
}

// level is an open object or array.
type level struct {
	object   bool
	name     bool // in an object: the last token is a name
	nonEmpty bool
}

// maxLevels is the depth that jsontext allows.
const maxLevels = 10_000

func (s *scanner) reset(text []byte) {
	*s = scanner{text: text, levels: s.levels[:0], skimmer: s.skimmer}
}

// peek returns the kind of the next token without reading it: one of `{}[]"0tfn`, or 0 at the end of the
// text and where the text is not JSON.
func (s *scanner) peek() jsontext.Kind {
	if !s.due {
		if at := s.at; !s.separate() {
			s.at = at // fail again on the next call
			return 0
		}
	}
	if s.at == len(s.text) {
		return 0
	}
	switch c := s.text[s.at]; c {
	case '{', '[', '"', 't', 'f', 'n', '}', ']':
		return jsontext.Kind(c)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	}
	return 0
}

// separate reads space and separators before the next token, and checks that the token may follow.
func (s *scanner) separate() bool {
	s.space()
	if len(s.levels) == 0 {
		s.due = !s.done && s.at < len(s.text) && s.text[s.at] != '}' && s.text[s.at] != ']'
		return s.due
	}
	if s.at == len(s.text) {
		return false
	}
	l := &s.levels[len(s.levels)-1]
	c := s.text[s.at]
	switch {
	case l.object && l.name:
		if c != ':' {
			return false
		}
		s.at++
		s.space()
		s.due = s.at < len(s.text) && s.text[s.at] != '}' && s.text[s.at] != ']'
		return s.due
	case l.object && c == '}' || !l.object && c == ']':
		s.due = true
		return true
	case l.nonEmpty:
		if c != ',' {
			return false
		}
		s.at++
		s.space()
		if s.at == len(s.text) {
			return false
		}
		c = s.text[s.at]
	}
	s.due = l.object && c == '"' || !l.object && c != '}' && c != ']'
	return s.due
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// enter reads the opening bracket of an object or array. REQUIRES: peek has returned it.
func (s *scanner) enter() error {
	if len(s.levels) == maxLevels {
		return errJSON
	}
	object := s.text[s.at] == '{'
	s.at++
	s.began()
	s.levels = append(s.levels, level{object: object})
	return nil
}

// leave reads the closing bracket of the innermost object or array.
func (s *scanner) leave() error {
	if k := s.peek(); k != '}' && k != ']' {
		return errJSON
	}
	s.at++
	s.due = false
	s.levels = s.levels[:len(s.levels)-1]
	return nil
}

// began updates the innermost level after one of its values or names, or after the opening bracket of a
// value.
func (s *scanner) began() {
	s.due = false
	if len(s.levels) == 0 {
		s.done = true
		return
	}
	l := &s.levels[len(s.levels)-1]
	l.nonEmpty = true
	l.name = l.object && !l.name
}

// value reads a whole value, or a name.
func (s *scanner) value() (jsontext.Value, error) {
	k := s.peek()
	start := s.at
	switch k {
	case '{', '[':
		if err := s.skip(); err != nil {
			return nil, err
		}
	case 0, '}', ']':
		return nil, errJSON
	default:
		if !s.scalar(k) {
			return nil, errJSON
		}
	}
	return jsontext.Value(s.text[start:s.at:s.at]), nil
}

// expected reads the next name of an object if it is the expected one. text is the name in quotes with
// the colon. It must follow the last value with nothing but a comma, and its value must follow it
// immediately; else expected reads nothing. REQUIRES: the last token is a value of the object, or its
// opening bracket.
func (s *scanner) expected(text string) bool {
	l := &s.levels[len(s.levels)-1]
	at := s.at
	if l.nonEmpty {
		if at >= len(s.text) || s.text[at] != ',' {
			return false
		}
		at++
	}
	end := at + len(text)
	if end >= len(s.text) || string(s.text[at:end]) != text {
		return false
	}
	switch s.text[end] {
	case ' ', '\t', '\r', '\n', '}', ']':
		return false
	}
	s.at, s.due, l.nonEmpty, l.name = end, true, true, true
	return true
}

// skim skips the object that begins here by its strings and brackets alone: it does not check that the
// object is valid JSON. It returns false if the text ends before the object does, or if its brackets do
// not match. REQUIRES: peek has returned the object's bracket.
func (s *scanner) skim() bool {
	s.skimmer.reset()
	n, done := s.skimmer.run(s.text[s.at:])
	if !done || s.text[s.at+n-1] != '}' {
		return false
	}
	s.at += n
	s.began()
	return true
}

// skip reads the object or array that begins here.
func (s *scanner) skip() error {
	outer := len(s.levels)
	for {
		var err error
		switch k := s.peek(); k {
		case '{', '[':
			err = s.enter()
		case '}', ']':
			err = s.leave()
		default:
			if k == 0 || !s.scalar(k) {
				err = errJSON
			}
		}
		if err != nil {
			return err
		}
		if len(s.levels) == outer {
			return nil
		}
	}
}

// end reports whether only space is left.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.text) && len(s.levels) == 0
}

func (s *scanner) scalar(k jsontext.Kind) (ok bool) {
	switch k {
	case '"':
		ok = s.quoted()
	case '0':
		ok = s.number()
	case 't':
		ok = s.word("true")
	case 'f':
		ok = s.word("false")
	case 'n':
		ok = s.word("null")
	}
	if ok {
		s.began()
	}
	return ok
}

func (s *scanner) word(w string) bool {
	if len(s.text)-s.at < len(w) || string(s.text[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) number() bool {
	if s.text[s.at] == '-' {
		s.at++
	}
	switch {
	case s.at < len(s.text) && s.text[s.at] == '0':
		s.at++
	case !s.digits():
		return false
	}
	if s.at < len(s.text) && s.text[s.at] == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if s.at < len(s.text) && s.text[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.text) && (s.text[s.at] == '+' || s.text[s.at] == '-') {
			s.at++
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.text) && s.text[s.at]-'0' < 10 {
		s.at++
	}
	return s.at > from
}

// quoted reads a string. Bytes that matter are quotes, backslashes, control characters, which are not
// allowed, and bytes of non-ASCII characters. The loop marks them in eight bytes at a time. The first
// marked byte is exact: a subtraction borrows only from bytes after a marked one.
func (s *scanner) quoted() bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	start, i, ascii := s.at, s.at+1, true
	s.plain = true
	for {
		for i+8 <= len(s.text) {
			x := binary.LittleEndian.Uint64(s.text[i:])
			marked := (x | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones) | (x - 0x20*ones)) & high
			if marked != 0 {
				i += bits.TrailingZeros64(marked) >> 3
				break
			}
			i += 8
		}
		if i >= len(s.text) {
			return false
		}
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return ascii || utf8.Valid(s.text[start:s.at])
		case c == '\\':
			n := escape(s.text[i:])
			if n == 0 {
				return false
			}
			s.plain = false
			i += n
		case c < 0x20:
			return false
		default:
			ascii = ascii && c < utf8.RuneSelf
			i++
		}
	}
}

// escape returns the length of the escape sequence at the beginning of b, 0 if there is none. A surrogate
// pair counts as one.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(b[2:])
		switch {
		case !ok || r >= 0xdc00 && r < 0xe000:
			return 0
		case r < 0xd800 || r >= 0xe000:
			return 6
		}
		if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
			return 0
		}
		if r, ok := hex4(b[8:]); ok && r >= 0xdc00 && r < 0xe000 {
			return 12
		}
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c-'0' < 10:
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
