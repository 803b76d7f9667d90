package decode

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
)

// Body is a request body in Segment's form: one message, or a batch and the members that apply to all its
// messages.
type Body struct {
	Items    []Span
	Batch    bool
	SentAt   int64  // Unix ms, 0 if the body does not say
	Context  []byte // an object; nil if there is none
	WriteKey string
	Notes    []Note // which of the batch's own members were dropped or changed

	// Broken says why a batch is incomplete; it is nil for a complete body. No messages can be found from
	// offset BrokenAt on.
	Broken   *node.Error
	BrokenAt int
}

// Span is a range of bytes of the body.
type Span struct{ Start, End int }

// Split cuts a body into its messages without reading them: Message refuses an item that is not JSON, and
// the other items are not affected. The error is a *node.Error: the body is neither an object nor an
// array, or it is a batch that breaks off before the end of its first message. REQUIRES: nothing of d's
// last message is in use any more.
func (d *Decoder) Split(body []byte) (Body, error) {
	b, err := d.split(body, true)
	if err == nil {
		return b, nil
	}
	if loose, ok := d.splitLoosely(body); ok { // only the text between messages may be wrong
		return loose, nil
	}
	return d.split(body, false) // its error is the most precise one
}

// Check returns the reason why a body is not JSON, or nil if it is.
func (d *Decoder) Check(body []byte) error {
	_, err := d.split(body, false)
	return err
}

func (d *Decoder) split(body []byte, skim bool) (Body, error) {
	var b Body
	d.skimming = skim
	d.index = maxExpected // do not expect the names of messages in the envelope
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
		return b, refuse(codes.BadJSON, "there is something after the end of the body")
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

// setContext sets the context of a batch, or a note if it is nested too deeply. REQUIRES: v is valid
// JSON.
func (b *Body) setContext(v jsontext.Value, depth int) {
	switch {
	case v.Kind() != '{': // null and other values are no context
	case tooDeep(v, depth):
		b.Notes = append(b.Notes, Note{"too_deep", fmt.Sprintf("the context of the batch is nested deeper than %d levels: it is left out", depth)})
	default:
		b.Context = bytes.Clone(v)
	}
}

// eachMember calls fn for each member of an object. REQUIRES: object is valid JSON.
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
