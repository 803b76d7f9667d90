package decode

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
)

// splitLoosely cuts a body that is not valid into those messages whose ends can be found. ok is false if
// the body is neither an object nor an array, or is a batch without any message.
func (d *Decoder) splitLoosely(body []byte) (b Body, ok bool) {
	r := looseReader{d: d, text: body, body: &b}
	r.at = len(body) - len(bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\ufeff")), " \t\r\n"))
	switch r.next() {
	case '[':
		b.Batch = true
		r.at++
		r.items()
	case '{':
		r.at++
		r.members()
	default:
		return b, false
	}
	if !b.Batch {
		b.Items, b.Broken, b.Notes = []Span{{0, len(body)}}, nil, nil // Message reports what is wrong with it
		return b, true
	}
	if rest := bytes.TrimLeft(body[r.at:], " \t\r\n"); b.Broken == nil && len(rest) > 0 {
		r.at = len(body) - len(rest)
		r.breaks("there is something after the end of the batch")
	}
	return b, len(b.Items) > 0
}

// looseReader reads the top-level members of a body.
type looseReader struct {
	d    *Decoder
	text []byte
	at   int
	body *Body
}

// next returns the first byte of the next token, 0 at the end.
func (r *looseReader) next() byte {
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// breaks records that no messages can be found from here on.
func (r *looseReader) breaks(why string) {
	r.body.BrokenAt, r.body.Broken = r.at, &node.Error{Code: codes.BadJSON, Text: why}
}

// items cuts an array of messages into items. It returns false if the text ends before the array does.
func (r *looseReader) items() bool {
	var items Items
	for {
		found, start, end := items.Next(r.text[r.at:])
		start, end, r.at = r.at+start, r.at+end, r.at+end
		switch found {
		case Item:
			r.body.Items = append(r.body.Items, Span{start, end})
		case End:
			return true
		case Part:
			r.at = start
			r.breaks("the body ends in the middle of a message")
			return false
		case Space:
			r.breaks("the body ends in the middle of the batch")
			return false
		}
	}
}

// members reads the members of the envelope up to its end, or up to the first one that cannot be read.
func (r *looseReader) members() {
	for {
		r.at += skipCommas(r.text[r.at:])
		switch r.next() {
		case '}':
			r.at++
			return
		case '"':
		case 0:
			r.breaks("the body ends in the middle")
			return
		default:
			r.breaks("the name of a member is missing")
			return
		}
		name, ok := r.value()
		if ok && r.next() == ':' {
			r.at++
			ok = r.member(name)
		} else if r.body.Broken == nil {
			r.breaks("a member has no value")
			return
		}
		if !ok {
			return
		}
	}
}

// value returns the value that begins here; ok is false if the text ends before the value does.
func (r *looseReader) value() (value []byte, ok bool) {
	r.next()
	var s skim
	n, done := s.run(r.text[r.at:])
	if !done {
		r.breaks("the body ends in the middle")
		return nil, false
	}
	value = r.text[r.at : r.at+n]
	r.at += n
	return value, true
}

// member reads the value of a member of the envelope; ok is false if nothing after it can be read.
func (r *looseReader) member(quoted []byte) (ok bool) {
	name, ok := r.string(quoted)
	if ok && name == "batch" && r.next() == '[' {
		r.body.Batch = true
		r.at++
		return r.items()
	}
	value, ok := r.value()
	if !ok {
		return false
	}
	switch name {
	case "sentAt":
		r.d.open(value)
		if at, err := r.d.instant(); err == nil && at.set && at.text == "" {
			r.body.SentAt = at.ms
		}
	case "context":
		r.context(value)
	case "writeKey":
		if key, ok := r.string(value); ok {
			r.body.WriteKey = key
		}
	}
	return true
}

// string returns the string in value; ok is false if value is not a string.
func (r *looseReader) string(value []byte) (text string, ok bool) {
	value, _ = repair(value)
	unquoted, err := jsontext.AppendUnquote(nil, value)
	return string(unquoted), err == nil
}

// context sets the context of the batch, with invalid Unicode replaced.
func (r *looseReader) context(value []byte) {
	value, repaired := repair(value)
	r.d.open(value)
	v, err := r.d.json.value()
	switch {
	case err != nil || !r.d.json.end():
		r.body.Notes = append(r.body.Notes, Note{"bad_json", "the context of the batch is not valid JSON: it is left out"})
		return
	case repaired:
		r.body.Notes = append(r.body.Notes, Note{"bad_utf8", "in the context of the batch, " + replaced})
	}
	r.body.setContext(v, r.d.limits.Depth)
}
