package decode

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Body is a request body in Segment's form: one message, or a batch with what holds for all of it.
type Body struct {
	Items    []Span
	Batch    bool
	SentAt   int64  // Unix ms, 0 when it does not say
	Context  []byte // an object, nil without one
	WriteKey string
}

// Span is a stretch of the body.
type Span struct{ Start, End int }

// Split cuts a body into its messages. The error is a *Refusal: the body as a whole is not JSON, or
// not an object. Messages that are objects are not read: if one of them is refused as a message, Check
// tells whether the whole body must be. REQUIRES: nothing of d's last message is needed any more.
func (d *Decoder) Split(body []byte) (Body, error) {
	b, err := d.split(body, true)
	if err != nil { // perhaps because of what an unread message holds
		return d.split(body, false)
	}
	return b, nil
}

// Check returns why a body is not JSON, nil where it is.
func (d *Decoder) Check(body []byte) error {
	_, err := d.split(body, false)
	return err
}

func (d *Decoder) split(body []byte, skim bool) (Body, error) {
	var b Body
	d.skimming = skim
	d.turn = maxForetold // names of the envelope are none of messages
	d.open(body)
	switch d.json.peek() {
	case '[':
		b.Batch = true
		if err := d.items(&b); err != nil {
			return b, err
		}
	case '{':
		if err := d.object(func(name string) error { return d.envelope(&b, name) }); err != nil {
			return b, err
		}
	default:
		if _, err := d.json.value(); err != nil {
			return b, d.syntax(err)
		}
		return b, refuse("bad_json", "the body is neither a JSON object nor an array")
	}
	if !d.json.end() {
		return b, refuse("bad_json", "there is something behind the end of the body")
	}
	if !b.Batch {
		b.Items = append(b.Items, Span{0, len(body)})
	}
	return b, nil
}

func (d *Decoder) envelope(b *Body, name string) error {
	switch name {
	case "batch":
		if d.json.peek() == '[' {
			b.Batch = true
			return d.items(b)
		}
	case "sentAt":
		at, err := d.instant()
		if err == nil && at.set && at.text == "" {
			b.SentAt = at.ms
		}
		return err
	case "context":
		v, err := d.json.value()
		if err == nil && v.Kind() == '{' && !tooDeep(v, d.limits.Depth) {
			b.Context = bytes.Clone(v)
		}
		return d.syntax(err)
	case "writeKey":
		if d.json.peek() == '"' {
			v, err := d.json.value()
			if err == nil {
				b.WriteKey = d.cut(v)
			}
			return d.syntax(err)
		}
	}
	_, err := d.json.value()
	return d.syntax(err)
}

func (d *Decoder) items(b *Body) error {
	if err := d.json.enter(); err != nil {
		return d.syntax(err)
	}
	b.Items = b.Items[:0] // of two members of the name, the last counts
	for k := d.json.peek(); k != ']'; k = d.json.peek() {
		if start := d.offset(); k == '{' && d.skimming && d.json.skim() {
			b.Items = append(b.Items, Span{start, d.offset()})
			continue
		}
		v, err := d.json.value()
		if err != nil {
			return d.syntax(err)
		}
		end := d.offset()
		b.Items = append(b.Items, Span{end - len(v), end})
	}
	return d.syntax(d.json.leave())
}

// eachMember calls fn for the members of an object. REQUIRES: object is valid JSON.
func eachMember(object []byte, fn func(name string, value []byte)) {
	r := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true))
	if r.PeekKind() != '{' {
		return
	}
	if _, err := r.ReadToken(); err != nil {
		return
	}
	for r.PeekKind() != '}' {
		name, err := r.ReadToken()
		if err != nil {
			return
		}
		text := name.String()
		value, err := r.ReadValue()
		if err != nil {
			return
		}
		fn(text, value)
	}
}
