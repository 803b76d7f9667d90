package load

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// maxLine is the longest line in bytes. A longer one is rejected without being read into memory.
const maxLine = 1 << 20

// Reject is a line that was not accepted, and why.
type Reject struct {
	File    string `json:"file,omitempty"` // only when several files are imported
	Line    uint64 `json:"line"`
	Reason  string `json:"reason"`
	Content string `json:"content"`
}

// Batch is a run of lines in file order. Accepted lines are encoded in Body, the others are in Rejects.
// The content of accepted lines is kept until the server has answered, because the server may reject some.
type Batch struct {
	Body    []byte
	Rejects []Reject
	Lines   int   // accepted and rejected lines; blank lines are not counted
	Offset  int64 // position in the file on disk, for progress

	sent    []sentLine
	content []byte
}

// sentLine is one line of Body. Its message ends at bodyEnd, and its content at contentEnd.
type sentLine struct {
	number     uint64
	bodyEnd    int
	contentEnd int
}

func (b *Batch) reset() {
	b.Body, b.content, b.sent = b.Body[:0], b.content[:0], b.sent[:0]
	b.Rejects, b.Lines, b.Offset = nil, 0, 0
}

// accept completes the message that was just appended to Body. A message that is longer than a node
// accepts as one line is removed from Body and rejected.
func (b *Batch) accept(number uint64, content []byte) {
	start := 0
	if n := len(b.sent); n > 0 {
		start = b.sent[n-1].bodyEnd
	}
	if len(b.Body)-start >= maxLine {
		b.Body = b.Body[:start]
		b.reject(number, content[:min(len(content), 1024)], errTooLong.Error())
		return
	}
	b.Body = append(b.Body, '\n')
	b.content = append(b.content, content...)
	b.sent = append(b.sent, sentLine{number, len(b.Body), len(b.content)})
	b.Lines++
}

func (b *Batch) reject(number uint64, content []byte, reason string) {
	b.Rejects = append(b.Rejects, Reject{Line: number, Reason: reason, Content: string(content)})
	b.Lines++
}

// Len returns the number of lines to be sent. Len and Piece implement api.Lines.
func (b *Batch) Len() int { return len(b.sent) }

// Piece returns the lines [from, to) of those to be sent, as a slice of Body.
func (b *Batch) Piece(from, to int) []byte {
	start := 0
	if from > 0 {
		start = b.sent[from-1].bodyEnd
	}
	return b.Body[start:b.sent[to-1].bodyEnd]
}

// find returns the content of a sent line by its number.
func (b *Batch) find(number uint64) (string, bool) {
	lo, hi := 0, len(b.sent)
	for lo < hi {
		mid := (lo + hi) / 2
		if b.sent[mid].number < number {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(b.sent) || b.sent[lo].number != number {
		return "", false
	}
	start := 0
	if lo > 0 {
		start = b.sent[lo-1].contentEnd
	}
	return string(b.content[start:b.sent[lo].contentEnd]), true
}

// message is the content of one line before it is encoded as a message.
type message struct {
	id, event  []byte // plain text, not JSON
	time       int64  // Unix ms
	hasTime    bool
	fields     []byte // "name":value pairs, each preceded by a comma
	mismatched []byte // pairs whose value is not of the column's type: kept in the history, but not as a value
}

func (m *message) reset() {
	m.id, m.event, m.fields, m.mismatched, m.hasTime = m.id[:0], m.event[:0], m.fields[:0], m.mismatched[:0], false
}

// fault returns why the message cannot be sent, or "" if it can.
func (m *message) fault(p *Plan) string {
	switch {
	case len(m.id) == 0:
		return "no id: " + p.ID + " is empty"
	case len(m.id) > 512:
		return "the id is longer than 512 bytes"
	case p.Mode == Events && p.Event != "" && len(m.event) == 0:
		return "no event: " + p.Event + " is empty"
	case p.Mode == Events && !m.hasTime:
		return "no time: " + p.Time + " is empty"
	}
	return ""
}

// appendTo encodes the message for POST /v1/events.
func (m *message) appendTo(dst []byte, p *Plan, line uint64) []byte {
	fields := `,"traits":{`
	if p.Mode == Events {
		dst = append(dst, `{"type":"track","event":`...)
		if p.Event != "" {
			dst = appendString(dst, m.event)
		} else {
			dst = appendString(dst, []byte(p.EventName))
		}
		fields = `,"properties":{`
	} else {
		dst = append(dst, `{"type":"profile"`...)
	}
	dst = append(dst, `,"userId":`...)
	dst = appendString(dst, m.id)
	if m.hasTime {
		dst = append(dst, `,"timestamp":`...)
		dst = strconv.AppendInt(dst, m.time, 10)
	}
	dst = append(dst, `,"_line":`...)
	dst = strconv.AppendUint(dst, line, 10)
	if len(m.mismatched) > 0 {
		dst = append(dst, `,"mismatched":{`...)
		dst = append(append(dst, m.mismatched[1:]...), '}')
	}
	dst = append(dst, fields...)
	if len(m.fields) > 0 {
		dst = append(dst, m.fields[1:]...)
	}
	return append(dst, '}', '}')
}

// appendKey appends a comma, a name as a JSON string, and a colon.
func appendKey(dst []byte, name string) []byte {
	dst = append(dst, ',')
	dst = appendString(dst, []byte(name))
	return append(dst, ':')
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. REQUIRES: s is valid UTF-8.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i, c := range s {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}

// appendTextValue appends s as a string value. The catalog reads strings that look like dates as times,
// so those are wrapped in {"$string":…}.
func appendTextValue(dst, s []byte) []byte {
	if len(s) >= 10 && s[4] == '-' && s[7] == '-' {
		dst = append(dst, `{"$string":`...)
		return append(appendString(dst, s), '}')
	}
	return appendString(dst, s)
}

func appendTimeValue(dst []byte, ms int64) []byte {
	dst = append(dst, `{"$time":`...)
	return append(strconv.AppendInt(dst, ms, 10), '}')
}

// appendValue appends text as a value of the kind. If text is no such value it reports false and appends
// nothing.
func appendValue(dst, text []byte, kind Kind) ([]byte, bool) {
	switch kind {
	case Number:
		return appendLenientNumber(dst, text)
	case Bool:
		if v, ok := plainBool(bytes.TrimSpace(text)); ok {
			return strconv.AppendBool(dst, v), true
		}
	case Time:
		if ms, ok := ParseTime(bytes.TrimSpace(text)); ok {
			return appendTimeValue(dst, ms), true
		}
	default:
		return appendTextValue(dst, text), true
	}
	return dst, false
}

// addText adds a column's text as a value of the kind. Text that is no such value counts as missing;
// it is added to the mismatched pairs, and addText reports true.
func (m *message) addText(key []byte, text []byte, kind Kind) (mismatched bool) {
	before := len(m.fields)
	m.fields = append(m.fields, key...)
	var ok bool
	if m.fields, ok = appendValue(m.fields, text, kind); ok {
		return false
	}
	m.fields = m.fields[:before]
	m.mismatched = append(m.mismatched, key...)
	m.mismatched = appendString(m.mismatched, text)
	return true
}

func isUTF8(b []byte) bool { return utf8.Valid(b) }
