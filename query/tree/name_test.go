package tree

import (
	"strings"
	"testing"
	"unicode"
)

func TestCheckName(t *testing.T) {
	for _, good := range []string{
		"VIP", "Order Completed", "a", " a ", "naïve", "größte Käufer", "会員", "пользователь", "مشترك", "👍", "❤️", "50 % off / “sale”", "a.b", ".", "..", "%2e", "a\\b",
		"x = \"1\"", strings.Repeat("n", MaxNameBytes), "\ufffd",
	} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "blank": "   ", "no-break blanks": "\u00a0\u2003\u3000", "braille blank": "\u2800", "long": strings.Repeat("n", MaxNameBytes+1),
		"half a character": "a\xc3", "a byte": "\xff", "a surrogate": "\xed\xa0\xbd", "NUL": "a\x00", "newline": "a\nb", "carriage return": "a\rb", "tab": "a\tb",
		"ESC": "a\x1b[31m", "BEL": "\x07", "DEL": "a\x7f", "C1": "a\u009b31m", "next line": "a\u0085b", "line separator": "a\u2028b", "paragraph separator": "a\u2029b",
		"override": "a\u202ecba", "embedding": "\u202aa", "isolate": "a\u2066b\u2069", "zero width space": "V\u200bIP", "zero width joiner": "V\u200dIP", "left-to-right mark": "VIP\u200e",
		"byte order mark": "\ufeffVIP", "word joiner": "VI\u2060P", "soft hyphen": "V\u00adIP", "tags": "VIP\U000e0041", "filler": "\u3164", "letter mark": "a\u061c",
		"supplementary selector": "a\U000e0100", "annotation": "a\ufff9b", "Mongolian separator": "a\u180eb",
	} {
		if CheckName(bad) == nil {
			t.Errorf("%s is accepted as a name: %q", name, bad)
		}
	}
}

func TestCheckLineAndText(t *testing.T) {
	for _, c := range []struct {
		text       string
		line, many bool
	}{
		{"", true, true}, {"abc", true, true}, {"  ", true, true}, {"a\nb", false, true}, {"a\tb", false, true},
		{"abcde", false, false}, {"a\r", false, false}, {"\x1b", false, false}, {"\xff", false, false}, {"\u202e", false, false},
	} {
		line, many := CheckLine("a description", c.text, 4), CheckText("a description", c.text, 4)
		if line == nil != c.line || many == nil != c.many {
			t.Errorf("%q: %v as a line, %v as a text", c.text, line, many)
		}
		if many != nil && !strings.HasPrefix(many.Error(), "a description ") {
			t.Errorf("%q: the error does not say what it is about: %v", c.text, many)
		}
	}
}

// TestUnseenAgainstUnicode checks that every control, format, line-ending or default-ignorable character in
// the tables of package unicode is unseen, except those that scripts and emoji need.
func TestUnseenAgainstUnicode(t *testing.T) {
	needed := func(r rune) bool {
		return r >= 0xfe00 && r <= 0xfe0f || // variation selectors
			unicode.Is(unicode.Prepended_Concatenation_Mark, r) || // these are visible
			r >= 0x13430 && r <= 0x1345f // they lay out hieroglyphs
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		odd := unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
		if odd && !needed(r) && !Unseen(r) {
			t.Errorf("U+%04X is not Unseen", r)
		}
		if Unseen(r) && unicode.IsGraphic(r) && !odd {
			t.Errorf("U+%04X is Unseen", r)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	f.Add("VIP")
	f.Add("a\x1b]0;title\x07")
	f.Fuzz(func(t *testing.T, name string) {
		shown := strings.Map(func(r rune) rune {
			if Unseen(r) {
				return -1
			}
			return r
		}, name)
		if CheckName(name) == nil && (shown != name || len(strings.Fields(name)) == 0 || strings.ContainsAny(name, "\n\r\x1b")) {
			t.Errorf("%q is accepted as a name", name)
		}
	})
}
