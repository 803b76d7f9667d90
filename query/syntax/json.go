package syntax

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/musterdb/muster/query/tree"
)

// The JSON form of trees, which visual builders edit. Every node is an object with a "kind"; the
// form of each is described once, in form_pred.go and form_stmt.go, for both directions. Dates and
// times are strings as in MQL, durations {"n": 30, "unit": "day"}.

// Hostile input is bounded before it is decoded.
const (
	maxJSON      = 2 << 20 // bytes
	maxJSONDepth = 512     // braces and brackets inside one another
)

// MarshalJSON returns the JSON form of q.
func MarshalJSON(q *tree.Query) ([]byte, error) {
	return encode(func(f *form) { f.query(q) })
}

// UnmarshalJSON returns the query of a JSON form. What has no text in MQL is refused, so the result
// is as good as a parsed one; its spans are those of its canonical text, and so are the positions
// in a diagnostic of that text. The error is a *tree.Diagnostic.
func UnmarshalJSON(data []byte) (*tree.Query, error) {
	q := &tree.Query{}
	if err := decode(data, func(f *form) { f.query(q) }); err != nil {
		return nil, err
	}
	parsed, err := Parse(Format(q), Limits{})
	if err != nil {
		return nil, err
	}
	return parsed, sameForm(func(f *form) { f.query(q) }, func(f *form) { f.query(parsed) })
}

// sameForm compares two trees by their forms: what a tree says beyond its text must not get lost.
func sameForm(a, b func(*form)) error {
	first, err := encode(a)
	if err != nil {
		return err
	}
	second, err := encode(b)
	if err != nil {
		return err
	}
	if !bytes.Equal(first, second) {
		return unreadable("the tree says what no text says")
	}
	return nil
}

func unreadable(message string) *tree.Diagnostic {
	return &tree.Diagnostic{Code: tree.CodeTree, Message: message, Line: 1, Column: 1, Length: 1}
}

func encode(describe func(*form)) ([]byte, error) {
	f := &form{fault: new(string)}
	describe(f)
	if *f.fault != "" {
		return nil, fmt.Errorf("encode tree: %s", *f.fault)
	}
	return json.Marshal(f.out)
}

func decode(data []byte, describe func(*form)) error {
	if len(data) > maxJSON {
		return unreadable(fmt.Sprintf("the tree is longer than %d bytes", maxJSON))
	}
	if jsonDepth(data) > maxJSONDepth {
		return unreadable("the tree is nested too deeply")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // numbers stay exact
	var root map[string]any
	if err := d.Decode(&root); err != nil {
		return unreadable("the tree is not a JSON object: " + err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return unreadable("something follows the tree")
	}
	f := &form{reading: true, in: root, fault: new(string)}
	describe(f)
	f.close()
	if *f.fault != "" {
		return unreadable(*f.fault)
	}
	return nil
}

// jsonDepth returns how deep the braces and brackets outside strings are nested.
func jsonDepth(data []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// form is one JSON object being read or written. A description names its keys in order with
// pointers to what they hold: reading fills them, writing takes from them.
type form struct {
	reading bool
	in      map[string]any
	seen    int
	out     object
	path    string
	fault   *string // the first thing wrong, shared by all forms of a tree
}

// object is a JSON object that keeps the order of its keys.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// wrong notes the first fault.
func (f *form) wrong(key, message string) {
	if *f.fault == "" {
		*f.fault = f.at(key) + ": " + message
	}
}

func (f *form) at(key string) string {
	if f.path == "" {
		return key
	}
	return f.path + "." + key
}

// take returns the value of a key that is read.
func (f *form) take(key string) (any, bool) {
	v, ok := f.in[key]
	if ok {
		f.seen++
	}
	return v, ok && v != nil
}

// close refuses keys that no description named.
func (f *form) close() {
	if !f.reading || f.seen == len(f.in) || *f.fault != "" {
		return
	}
	*f.fault = "unknown or misplaced keys in the object at " + f.at("here")
}

func (f *form) put(key string, value any) { f.out = append(f.out, member{key, value}) }

// text is a string that is always there, optionalText one that is left out when empty.
func (f *form) text(key string, s *string) {
	if !f.reading {
		f.put(key, *s)
		return
	}
	v, _ := f.take(key)
	got, ok := v.(string)
	if !ok || got == "" {
		f.wrong(key, "a string is missing")
	}
	*s = got
}

func (f *form) optionalText(key string, s *string) {
	if f.reading && f.in[key] == nil || !f.reading && *s == "" {
		f.take(key)
		return
	}
	f.text(key, s)
}

// flag is true or left out.
func (f *form) flag(key string, b *bool) {
	if !f.reading {
		if *b {
			f.put(key, true)
		}
		return
	}
	if v, ok := f.take(key); ok {
		got, isBool := v.(bool)
		if !isBool {
			f.wrong(key, "true or false is needed")
		}
		*b = got
	}
}

// word is one of the names an enumeration has.
func word[T ~uint8](f *form, key string, value *T, names ...string) {
	if !f.reading {
		if int(*value) < len(names) {
			f.put(key, names[*value])
		} else {
			f.wrong(key, "the value has no name")
		}
		return
	}
	v, _ := f.take(key)
	got, _ := v.(string)
	for i, name := range names {
		if name != "" && name == got {
			*value = T(i)
			return
		}
	}
	f.wrong(key, "one of the known words is missing")
}

func (f *form) number(key string, n *tree.Number) {
	if !f.reading {
		f.put(key, json.Number(n.String()))
		return
	}
	v, _ := f.take(key)
	got, isNumber := v.(json.Number)
	parsed, ok := tree.ParseNumber(got.String())
	if !isNumber || !ok {
		f.wrong(key, "a number is missing")
	}
	*n = parsed
}

func (f *form) whole(key string, n *int64) {
	x := tree.Int(*n)
	f.number(key, &x)
	if f.reading {
		i, ok := x.Int64()
		if !ok || x.IsFloat() || i < 0 {
			f.wrong(key, "a whole number, 0 or more, is needed")
		}
		*n = i
	}
}

// when is a date or a time, as text.
func (f *form) when(key string, w *tree.When) {
	text := whenText(*w)
	f.text(key, &text)
	if f.reading && *f.fault == "" {
		got, ok := tree.ParseWhen(text)
		if !ok {
			f.wrong(key, "a date or a time is needed")
		}
		*w = got
	}
}

// nested describes the object under key.
func (f *form) nested(key string, describe func(*form)) {
	if !f.reading {
		inner := &form{path: f.at(key), fault: f.fault}
		describe(inner)
		f.put(key, inner.out)
		return
	}
	v, _ := f.take(key)
	f.object(key, v, describe)
}

// object reads v as an object.
func (f *form) object(key string, v any, describe func(*form)) {
	m, ok := v.(map[string]any)
	if !ok {
		f.wrong(key, "an object is missing")
		return
	}
	if *f.fault != "" {
		return
	}
	inner := &form{reading: true, in: m, path: f.at(key), fault: f.fault}
	describe(inner)
	inner.close()
}

// absent tells whether an optional part is not there, and takes its key when it is null.
func (f *form) absent(key string, isNil bool) bool {
	if !f.reading {
		return isNil
	}
	if f.in[key] == nil {
		f.take(key)
		return true
	}
	return false
}

// array describes the objects under key; an empty one may be left out.
func array[T any](f *form, key string, items *[]T, describe func(*form, *T)) {
	if !f.reading {
		if len(*items) == 0 {
			return
		}
		out := make([]any, 0, len(*items))
		for i := range *items {
			inner := &form{path: f.at(key), fault: f.fault}
			describe(inner, &(*items)[i])
			out = append(out, inner.out)
		}
		f.put(key, out)
		return
	}
	v, ok := f.take(key)
	if !ok {
		return
	}
	list, ok := v.([]any)
	if !ok {
		f.wrong(key, "an array is needed")
		return
	}
	for i, v := range list {
		var item T
		f.object(fmt.Sprintf("%s[%d]", key, i), v, func(inner *form) { describe(inner, &item) })
		*items = append(*items, item)
	}
}
