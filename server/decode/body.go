package decode

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
)

// Body is a request body in Segment's form: one message, or a batch with what holds for all of it.
type Body struct {
	Items    []Span
	Batch    bool
	SentAt   int64  // Unix ms, 0 when it does not say
	Context  []byte // an object, nil without one
	WriteKey string
	Notes    []Note // what of the batch's own members is lost

	// Behind is where the messages of a batch end that is not whole: nothing behind it can be told
	// apart. Broken says why; it is nil for a body that came whole.
	Behind int
	Broken *node.Error
}

// Span is a stretch of the body.
type Span struct{ Start, End int }

// Split cuts a body into its messages. Messages are not read: one that is no JSON is refused by Message,
// and does not touch the others. The error is a *node.Error: the body is neither an object nor an array, or
// a batch that breaks off before its first message. REQUIRES: nothing of d's last message is needed any
// more.
func (d *Decoder) Split(body []byte) (Body, error) {
	b, err := d.split(body, true)
	if err == nil {
		return b, nil
	}
	if loose, ok := d.splitLoosely(body); ok { // what is wrong is perhaps between the messages only
		return loose, nil
	}
	return d.split(body, false) // which says best what is wrong
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
		return b, refuse(codes.BadJSON, "the body is neither a JSON object nor an array")
	}
	if !d.json.end() {
		return b, refuse(codes.BadJSON, "there is something behind the end of the body")
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
		if err == nil {
			b.setContext(v, d.limits.Depth)
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

// setContext keeps the context of a batch. REQUIRES: v is valid JSON.
func (b *Body) setContext(v jsontext.Value, depth int) {
	switch {
	case v.Kind() != '{': // null is none, and anything else no context
	case tooDeep(v, depth):
		b.Notes = append(b.Notes, Note{"too_deep", fmt.Sprintf("the context of the batch is nested deeper than %d levels: it is left out", depth)})
	default:
		b.Context = bytes.Clone(v)
	}
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
