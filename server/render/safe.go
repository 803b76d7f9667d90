package render

import "strings"

// safeCell returns a text that a spreadsheet does not take for a formula: an apostrophe is put before
// everything that would be one, at the beginning and after every character that some spreadsheet takes
// for the end of a cell. Numbers are unchanged.
func safeCell(text string) string {
	if !strings.ContainsAny(text, "=+-@\t\r\n＝＋－＠") {
		return text
	}
	var out strings.Builder
	if text[0] == '\t' || text[0] == '\r' || text[0] == '\n' {
		out.WriteByte('\'')
	}
	for rest := text; ; {
		end := strings.IndexAny(rest, ";\t\r\n|")
		part := rest
		if end >= 0 {
			part = rest[:end+1]
		}
		if formula(strings.TrimRight(part, ";\t\r\n|")) {
			out.WriteByte('\'')
		}
		out.WriteString(part)
		if end < 0 {
			return out.String()
		}
		rest = rest[end+1:]
	}
}

// formula reports whether a spreadsheet may compute a text or run something because of it.
func formula(text string) bool {
	text = strings.TrimLeft(text, " \"\u00a0\u3000\ufeff")
	for _, sign := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
		if rest, ok := strings.CutPrefix(text, sign); ok {
			return sign != "+" && sign != "-" || !digits(rest)
		}
	}
	return false
}

// digits reports whether a text is an unsigned decimal number, possibly with a point and an exponent.
func digits(text string) bool {
	whole, exponent, scaled := strings.Cut(strings.ToLower(text), "e")
	if scaled && !all(strings.TrimLeft(exponent, "+-"), 1) {
		return false
	}
	before, after, pointed := strings.Cut(whole, ".")
	return all(before, 1) && (!pointed || all(after, 0))
}

// all reports whether a text consists of digits, and of at least least of them.
func all(text string, least int) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return len(text) >= least
}
