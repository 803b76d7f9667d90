package tree

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxNameBytes bounds every name: of attributes, events, properties, segments, lists, webhooks, sources.
const MaxNameBytes = 256

// CheckName says why a text is no good name, nil for a good one. A good name is not empty or blank, has at
// most MaxNameBytes bytes, is valid UTF-8, and has no Unseen character: what is shown of it is all of it,
// and it stands on one line. It is asked before a name is given. Names that were given before stay good to
// read and to drop.
func CheckName(name string) error {
	if err := CheckLine("a name", name, MaxNameBytes); err != nil {
		return err
	}
	if strings.Trim(name, "\u2800") == "" || strings.TrimSpace(name) == "" {
		return errors.New("a name has a character that can be seen: this one is empty or blank")
	}
	return nil
}

// CheckLine says why a text is not one visible line of at most most bytes; it may be empty. what names it
// in the error.
func CheckLine(what, text string, most int) error {
	return checkText(what, text, most, "")
}

// CheckText is CheckLine for a text that may have several lines and tabs.
func CheckText(what, text string, most int) error {
	return checkText(what, text, most, "\n\t")
}

func checkText(what, text string, most int, allowed string) error {
	if len(text) > most {
		return fmt.Errorf("%s has at most %d bytes: this one has %d", what, most, len(text))
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return fmt.Errorf("%s is valid UTF-8: this one is not at byte %d", what, i)
			}
		}
		if Unseen(r) && !strings.ContainsRune(allowed, r) {
			return fmt.Errorf("%s has no control characters and none that are invisible or turn the direction of others: this one has U+%04X at byte %d", what, r, i)
		}
	}
	return nil
}

// unseen are the ranges of Unseen above Latin 1. They are written out and not taken from package unicode,
// so that every build judges alike. Variation selectors up to U+FE0F are not among them: emoji need them.
var unseen = [...][2]rune{
	{0x034f, 0x034f}, {0x061c, 0x061c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, // joiner, letter mark, fillers, Mongolian
	{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, // zero width, line ends, direction
	{0x3164, 0x3164}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, // fillers, byte order, specials
	{0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, // shorthand, music, tags
}

// Unseen reports whether a character shows nothing of its own and yet does something: a control character
// that a terminal obeys, a line end, a change of direction, or nothing at all between others.
func Unseen(r rune) bool {
	if r < 0x034f {
		return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xad
	}
	for _, span := range unseen {
		if r <= span[1] {
			return r >= span[0]
		}
	}
	return false
}
