package decode

import "unicode/utf8"

// mend returns text with what is no Unicode in it replaced by U+FFFD: bytes that are no UTF-8, and
// escapes of half a surrogate pair, which JavaScript makes when it cuts a string in the middle of a
// character. ok is false where there is none of that; then nothing is copied.
func mend(text []byte) (mended []byte, ok bool) {
	kept := 0 // text[:kept] is in mended
	replace := func(at, n int) {
		mended = append(append(mended, text[kept:at]...), "\uFFFD"...)
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
	if mended == nil {
		return text, false
	}
	return append(mended, text[kept:]...), true
}

// halfSurrogate tells whether an escape of a surrogate begins b. REQUIRES: it has no other half.
func halfSurrogate(b []byte) bool {
	if len(b) < 6 || b[1] != 'u' {
		return false
	}
	r, ok := hex4(b[2:])
	return ok && r >= 0xd800 && r < 0xe000
}
