package decode

import "unicode/utf8"

// repair returns text with invalid Unicode replaced by U+FFFD: bytes that are not UTF-8, and escapes of
// half a surrogate pair, which JavaScript writes when it cuts a string in the middle of a character. ok
// is false if nothing was replaced; then text itself is returned.
func repair(text []byte) (repaired []byte, ok bool) {
	kept := 0 // text[:kept] is in repaired
	replace := func(at, n int) {
		repaired = append(append(repaired, text[kept:at]...), "\uFFFD"...)
		kept = at + n
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\\':
			n := escape(text[i:])
			if n == 0 {
				if n = 2; halfSurrogate(text[i:]) {
					n = 6
					replace(i, n)
				}
			}
			i += n
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				replace(i, n)
			}
			i += n
		}
	}
	if repaired == nil {
		return text, false
	}
	return append(repaired, text[kept:]...), true
}

// halfSurrogate reports whether b begins with the escape of a surrogate. REQUIRES: it is not the first
// half of a pair.
func halfSurrogate(b []byte) bool {
	if len(b) < 6 || b[1] != 'u' {
		return false
	}
	r, ok := hex4(b[2:])
	return ok && r >= 0xd800 && r < 0xe000
}
