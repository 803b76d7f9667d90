package load

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// maxLine bounds one line: what is longer is rejected, not held.
const maxLine = 1 << 20

// Reject is a line that was not taken, and why.
type Reject struct {
	File    string `json:"file,omitempty"` // only when several files are imported
	Line    uint64 `json:"line"`
	Reason  string `json:"reason"`
	Content string `json:"content"`
}

// Batch is a stretch of lines in the order of the file: the accepted ones encoded in Body, the others
// in Rejects. Content of accepted lines is kept until the server has answered, for its rejects.
type Batch struct {
	Body    []byte
	Rejects []Reject
	Lines   int   // all of them, blank ones not counted
	Offset  int64 // of the file as it lies on disk, for progress

	sent    []sentLine
	content []byte
}

// sentLine is one line of Body. Its message ends at bodyEnd; its content at contentEnd.
type sentLine struct {
	number     uint64
	bodyEnd    int
	contentEnd int
}

func (b *Batch) reset() {
	b.Body, b.content, b.sent = b.Body[:0], b.content[:0], b.sent[:0]
	b.Rejects, b.Lines, b.Offset = nil, 0, 0
}

// accept ends the message that was appended to Body. One that grew beyond what a node takes as a line
// is rejected instead.
func (b *Batch) accept(number uint64, content []byte) {
	start := 0
	if n := len(b.sent); n > 0 {
		start = b.sent[n-1].bodyEnd
	}
	if len(b.Body)-start >= maxLine {
		b.Body = b.Body[:start]
		b.reject(number, content[:min(len(content), 1024)], errLong.Error())
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

// Len is how many lines are sent; with Piece it makes a Batch api.Lines.
func (b *Batch) Len() int { return len(b.sent) }

// Piece returns the lines [from, to) of what is sent, as bytes of Body.
func (b *Batch) Piece(from, to int) []byte {
	start := 0
	if from > 0 {
		start = b.sent[from-1].bodyEnd
	}
	return b.Body[start:b.sent[to-1].bodyEnd]
}

// find returns the content of a sent line.
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

// message is the head of one encoded line and the properties that follow.
type message struct {
	id, event []byte // text, not JSON
	time      int64  // Unix ms
	hasTime   bool
	fields    []byte // "name":value pairs with a comma before each
	odd       []byte // pairs whose value has not the column's type: kept in history, never a value
}

func (m *message) reset() {
	m.id, m.event, m.fields, m.odd, m.hasTime = m.id[:0], m.event[:0], m.fields[:0], m.odd[:0], false
}

// fault says why the message cannot be sent, "" if it can.
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
	if len(m.odd) > 0 {
		dst = append(dst, `,"mismatched":{`...)
		dst = append(append(dst, m.odd[1:]...), '}')
	}
	dst = append(dst, fields...)
	if len(m.fields) > 0 {
		dst = append(dst, m.fields[1:]...)
	}
	return append(dst, '}', '}')
}

// appendKey appends a comma and a name.
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

// appendTextValue appends s as a string that stays one: the catalog reads strings that look like dates
// as times, unless they are wrapped.
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

// appendValue appends text as a value of the kind, and tells whether it is one.
func appendValue(dst, text []byte, kind Kind) ([]byte, bool) {
	switch kind {
	case Number:
		return appendAsked(dst, text)
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

// addText adds a column's text as a value of its kind; what is no such value counts as missing and
// goes to the odd ones.
func (m *message) addText(key []byte, text []byte, kind Kind) (odd bool) {
	before := len(m.fields)
	m.fields = append(m.fields, key...)
	var ok bool
	if m.fields, ok = appendValue(m.fields, text, kind); ok {
		return false
	}
	m.fields = m.fields[:before]
	m.odd = append(m.odd, key...)
	m.odd = appendString(m.odd, text)
	return true
}

func validText(b []byte) bool { return utf8.Valid(b) }
