package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// mistake is the error of every production. If there is one clear fix, it carries the edit. If it has no
// hint of its own, the hint then shows the text of the edit.
type mistake struct {
	code    string
	at      tree.Span
	message string
	hint    string
	edit    *edit
}

// edit replaces the span at by text.
type edit struct {
	at   tree.Span
	text string
}

// Error returns the message alone; Parse turns a mistake into a tree.Diagnostic.
func (m *mistake) Error() string { return m.message }

func wrong(at tree.Span, message, hint string) *mistake {
	return &mistake{code: tree.CodeSyntax, at: at, message: message, hint: hint}
}

// fixed attaches the edit that fixes m.
func (m *mistake) fixed(at tree.Span, text string) *mistake {
	m.edit = &edit{at, text}
	if m.hint == "" {
		if m.hint = "write  " + strings.TrimSpace(text); strings.TrimSpace(text) == "" {
			m.hint = "remove it"
		}
	}
	return m
}

// diagnostic returns m in the form for users. An edit becomes a suggestion if it replaces the span of m.
func (m *mistake) diagnostic(text string) *tree.Diagnostic {
	d := &tree.Diagnostic{Code: m.code, Message: m.message, At: m.at, Hint: m.hint}
	if m.edit != nil && m.edit.at == m.at {
		d.Suggestions = []string{m.edit.text}
	}
	return d.Locate(text)
}

// Render returns a diagnostic as text, with carets under the part of the line it is about.
func Render(d *tree.Diagnostic, text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\n", d.Message)
	lines := strings.Split(text, "\n")
	if d.Line >= 1 && d.Line <= len(lines) {
		line := strings.TrimSuffix(lines[d.Line-1], "\r")
		fmt.Fprintf(&b, "  %s\n  ", line)
		column := 0
		for _, r := range line { // keep tabs, so that the carets line up
			if column++; column >= d.Column {
				break
			}
			if r == '\t' {
				b.WriteByte('\t')
			} else {
				b.WriteByte(' ')
			}
		}
		if missing := d.Column - 1 - len([]rune(line)); missing > 0 {
			b.WriteString(strings.Repeat(" ", missing))
		}
		width := max(len([]rune(line))-d.Column+1, 1)
		b.WriteString(strings.Repeat("^", min(max(d.Length, 1), width)))
		b.WriteByte('\n')
	}
	if d.Hint != "" {
		fmt.Fprintf(&b, "  hint: %s\n", d.Hint)
	}
	if len(d.Suggestions) > 0 && !strings.Contains(d.Hint, strings.TrimSpace(d.Suggestions[0])) {
		fmt.Fprintf(&b, "  did you mean: %s?\n", strings.Join(d.Suggestions, ", "))
	}
	return b.String()
}

func wrongOperator(from int, pair string) *mistake {
	at := tree.Span{Offset: from, Length: len(pair)}
	right := map[string]string{"==": "=", "<>": "!=", "=<": "<=", "=>": ">=", "&&": "and", "||": "or"}[pair]
	return wrong(at, fmt.Sprintf("%s is not an operator here", pair), "").fixed(at, right)
}

func wrongCharacter(text string, from int, r rune, size int) *mistake {
	at := tree.Span{Offset: from, Length: size}
	m := wrong(at, fmt.Sprintf("the character %q has no meaning here", r), "")
	switch r {
	case '≥':
		return m.fixed(at, ">=")
	case '≤':
		return m.fixed(at, "<=")
	case '≠':
		return m.fixed(at, "!=")
	case '!':
		return m.fixed(at, "not ")
	case '“', '”', '„', '«', '»', '‘', '’':
		return wrongQuotes(text, from, size, m)
	case ';':
		m.hint = "remove the semicolon; statements need none"
		return m.fixed(at, "")
	case '.':
		if rest := text[from+1:]; rest != "" && isDigit(rest[0]) {
			return m.fixed(at, "0.")
		}
		m.hint = "a dot can only be inside a name (address.city) or a number (0.5)"
	case '$', '@', '#', '[', ']', '{', '}', '&', '|', '?', '~', '^', ':', '\\':
		m.hint = "put names with characters other than letters, digits, _ and dots in backticks, and text in quotes"
	default:
		if r == '\uFEFF' || r == '\u200B' || r == '\u200E' || r == '\u200F' {
			m.message, m.hint = "there is an invisible character here", "delete it"
			return m.fixed(at, "")
		}
	}
	return m
}

// wrongQuotes replaces typographic quotes, up to the closing one on the same line, by straight ones.
func wrongQuotes(text string, from, size int, m *mistake) *mistake {
	m.message = "typographic quotes cannot be used here"
	rest := text[from+size:]
	end := strings.IndexAny(rest, "“”„«»‘’\n")
	if end < 0 || rest[end] == '\n' {
		m.hint = `use straight quotes: "…"`
		return m
	}
	closing := len("“")
	if strings.HasPrefix(rest[end:], "»") || strings.HasPrefix(rest[end:], "«") {
		closing = len("»")
	}
	m.at.Length = size + end + closing
	return m.fixed(m.at, quote(rest[:end]))
}

// wrongDate is the mistake of a date in another form. The edit takes the first number for the day, unless
// the second is too large for a month.
func wrongDate(from int, text string) *mistake {
	at := tree.Span{Offset: from, Length: len(text)}
	m := wrong(at, fmt.Sprintf("%s is not a date", text), "a date is year, month and day, such as 2026-01-31")
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '-' || r == '/' || r == '.' })
	n := [3]int{}
	for i := range n {
		n[i], _ = strconv.Atoi(parts[i])
	}
	y, month, d := n[0], n[1], n[2]
	if len(parts[0]) != 4 {
		if d, month, y = n[0], n[1], n[2]; month > 12 {
			d, month = month, d
		}
	}
	date := fmt.Sprintf("%04d-%02d-%02d", y, month, d)
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		if month >= 1 && month <= 12 {
			last := time.Date(y, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC)
			m.message = fmt.Sprintf("there is no day %s", date)
			m.hint = ""
			return m.fixed(at, last.Format(time.DateOnly))
		}
		return m
	}
	if len(parts[0]) != 4 {
		m.message = fmt.Sprintf("%s is not in the form of a date", text)
	}
	m.hint = ""
	return m.fixed(at, date)
}

func wrongTime(from int, text string) *mistake {
	at := tree.Span{Offset: from, Length: len(text)}
	m := wrong(at, "a time needs a date, a T, hours, minutes, seconds and an offset", "write it like  2026-01-31T10:00:00Z")
	repaired := strings.Replace(strings.ToUpper(text), " ", "T", 1)
	for _, end := range []string{"", "Z", ":00Z"} {
		if _, ok := tree.ParseInstant(repaired + end); ok {
			m.hint = ""
			if end != "" && !strings.HasPrefix(end, ":") && repaired == text {
				m.message = "a time needs its offset from UTC"
				m.hint = "write  " + repaired + "Z  for UTC, or an offset such as +02:00"
			}
			return m.fixed(at, repaired+end)
		}
	}
	if head, ok := strings.CutSuffix(repaired, "Z"); ok {
		if _, ok := tree.ParseInstant(head + ":00Z"); ok {
			m.hint = ""
			return m.fixed(at, head+":00Z")
		}
	}
	return m
}

func wrongNumber(from, end int, text string) *mistake {
	at := tree.Span{Offset: from, Length: end - from}
	return wrong(at, "an underscore in a number must be between two digits", "").fixed(at, text)
}

// wrongLetters is the mistake of 3days, 10k and 5times.
func wrongLetters(from, end int, number, letters string) *mistake {
	at := tree.Span{Offset: from, Length: end - from}
	m := wrong(at, fmt.Sprintf("%s%s is neither a number nor a name", number, letters), "")
	if unitOf(letters) != tree.NoUnit || strings.EqualFold(letters, "times") || strings.EqualFold(letters, "time") {
		return m.fixed(at, number+" "+letters)
	}
	if zeros := map[string]string{"k": "_000", "m": "_000_000", "mio": "_000_000"}[strings.ToLower(letters)]; zeros != "" && !strings.Contains(number, ".") {
		return m.fixed(at, number+zeros)
	}
	m.hint = "put a name that begins with a digit in backticks"
	return m.fixed(at, "`"+number+letters+"`")
}
