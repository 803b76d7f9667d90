package tree

import "fmt"

// Diagnostic says what is wrong with a statement, where, and what to do about it. Parser and checker return
// it as an error, and the checker also as a warning.
type Diagnostic struct {
	Code        string // stable, e.g. "syntax", "unknown_attribute", "type_mismatch"
	Message     string
	At          Span
	Line        int // from 1, set by Locate
	Column      int // from 1, in characters
	Length      int // in characters, at least 1
	Hint        string
	Suggestions []string // at most three
}

// Error returns the message with its position.
func (d *Diagnostic) Error() string {
	text := d.Message
	if d.Line > 0 {
		text = fmt.Sprintf("%d:%d: %s", d.Line, d.Column, d.Message)
	}
	if d.Hint != "" {
		text += " (hint: " + d.Hint + ")"
	}
	return text
}

// Locate sets Line, Column and Length from At and the text that At refers to, and returns d.
func (d *Diagnostic) Locate(text string) *Diagnostic {
	offset := min(max(d.At.Offset, 0), len(text))
	d.Line, d.Column, d.Length = 1, 1, 0
	for i, r := range text {
		if i < offset {
			d.Column++
			if r == '\n' {
				d.Line, d.Column = d.Line+1, 1
			}
		} else if i < offset+d.At.Length && r != '\n' {
			d.Length++
		}
	}
	d.Length = max(d.Length, 1)
	return d
}
