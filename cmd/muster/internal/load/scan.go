package load

import (
	"bytes"
	"encoding/json"
	"errors"
)

// maxDepth is how deeply JSON may be nested.
const maxDepth = 64

var (
	errJSON    = errors.New("not valid JSON")
	errTooDeep = errors.New("JSON nested deeper than 64")
)

// skipSpace returns the position of the first byte of b at or after i that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipValue returns the end of the JSON value that begins at i. It checks every byte against the grammar,
// but not that strings are UTF-8; the caller does that. Values are sent as they are written, so that
// numbers keep all their digits.
func skipValue(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return i, errJSON
	}
	switch c := b[i]; {
	case c == '"':
		return skipString(b, i)
	case c == '{' || c == '[':
		return skipNested(b, i, depth)
	case c == '-' || c >= '0' && c <= '9':
		return skipNumber(b, i)
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(b[i:], []byte(word)) {
			return i + len(word), nil
		}
	}
	return i, errJSON
}

func skipNested(b []byte, i, depth int) (int, error) {
	if depth == 0 {
		return i, errTooDeep
	}
	object, closing := b[i] == '{', b[i]+2 // '{' + 2 is '}', '[' + 2 is ']'
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == closing {
		return i + 1, nil
	}
	for {
		var err error
		if object {
			if i, err = skipKey(b, i); err != nil {
				return i, err
			}
		}
		if i, err = skipValue(b, i, depth-1); err != nil {
			return i, err
		}
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != closing && b[i] != ',' {
			return i, errJSON
		}
		if b[i] == closing {
			return i + 1, nil
		}
		i = skipSpace(b, i+1)
	}
}

// skipKey skips a key and its colon, and returns the position of the value.
func skipKey(b []byte, i int) (int, error) {
	if i >= len(b) || b[i] != '"' {
		return i, errJSON
	}
	i, err := skipString(b, i)
	if err != nil {
		return i, err
	}
	i = skipSpace(b, i)
	if i >= len(b) || b[i] != ':' {
		return i, errJSON
	}
	return skipSpace(b, i+1), nil
}

func skipString(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c < 0x20:
			return i, errJSON
		case c == '\\':
			i++
			if i >= len(b) {
				return i, errJSON
			}
			if b[i] == 'u' {
				for range 4 {
					i++
					if i >= len(b) || !isHex(b[i]) {
						return i, errJSON
					}
				}
			} else if bytes.IndexByte([]byte(`"\/bfnrt`), b[i]) < 0 {
				return i, errJSON
			}
		}
	}
	return i, errJSON
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func skipNumber(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
	}
	n := countDigits(b[i:])
	if n == 0 || n > 1 && b[i] == '0' {
		return i, errJSON
	}
	i += n
	if i < len(b) && b[i] == '.' {
		n = countDigits(b[i+1:])
		if n == 0 {
			return i, errJSON
		}
		i += 1 + n
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n = countDigits(b[i:])
		if n == 0 {
			return i, errJSON
		}
		i += n
	}
	return i, nil
}

// stringText returns the text of a JSON string literal.
func stringText(literal []byte) []byte {
	inner := literal[1 : len(literal)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if err := json.Unmarshal(literal, &s); err != nil {
		return inner // not reached: skipString has checked the literal
	}
	return []byte(s)
}
