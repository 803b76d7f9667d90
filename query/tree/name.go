package tree

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxNameBytes bounds every name: of attributes, events, properties, segments, lists, webhooks and sources.
const MaxNameBytes = 256

// CheckName returns an error if a text is not a valid new name. A valid name is not empty or blank, has at
// most MaxNameBytes bytes, is valid UTF-8, and has no Unseen character, so it is on one line and everything
// in it is visible. Callers check names when they are created. Older names that are not valid can still be
// read and dropped.
func CheckName(name string) error {
	if err := CheckLine("a name", name, MaxNameBytes); err != nil {
		return err
	}
	if strings.Trim(name, "\u2800") == "" || strings.TrimSpace(name) == "" {
		return errors.New("a name must have a visible character: this one is empty or blank")
	}
	return nil
}

// CheckLine returns an error unless a text is one line of visible characters and at most most bytes. It may
// be empty. what names the text in the error.
func CheckLine(what, text string, most int) error {
	return checkText(what, text, most, "")
}

// CheckText is CheckLine for a text that may have several lines and tabs.
func CheckText(what, text string, most int) error {
	return checkText(what, text, most, "\n\t")
}

func checkText(what, text string, most int, allowed string) error {
	if len(text) > most {
		return fmt.Errorf("%s must have at most %d bytes: this one has %d", what, most, len(text))
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return fmt.Errorf("%s must be valid UTF-8: this one is not at byte %d", what, i)
			}
		}
		if Unseen(r) && !strings.ContainsRune(allowed, r) {
			return fmt.Errorf("%s must not have control characters, invisible characters or characters that change the text direction: this one has U+%04X at byte %d", what, r, i)
		}
	}
	return nil
}

// unseen holds the ranges of Unseen above Latin 1. They do not come from package unicode, so that every
// build accepts the same names. Variation selectors up to U+FE0F are not included: emoji need them.
var unseen = [...][2]rune{
	{0x034f, 0x034f}, {0x061c, 0x061c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, // joiner, letter mark, fillers, Mongolian
	{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, // zero width, line ends, direction
	{0x3164, 0x3164}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, // fillers, byte order, specials
	{0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, // shorthand, music, tags
}

// Unseen reports whether a character is invisible, or has an effect instead of a shape: control characters,
// line ends, changes of direction, and characters of zero width.
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
