package syntax

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/musterdb/muster/query/tree"
)

// The JSON form of trees, for visual editors. Every node is an object with a "kind". form_pred.go and
// form_stmt.go describe each form once, for reading and writing. Dates and times are strings as in MQL,
// durations are {"n": 30, "unit": "day"}.

// Limits on input, checked before it is decoded.
const (
	maxJSON      = 2 << 20 // bytes
	maxJSONDepth = 512     // nested braces and brackets
)

// MarshalJSON returns the JSON form of q.
func MarshalJSON(q *tree.Query) ([]byte, error) {
	return encode(func(f *form) { f.query(q) })
}

// UnmarshalJSON returns the query of a JSON form. It refuses a form that cannot be written as MQL, so the
// result is as valid as a parsed query. Spans, and positions in diagnostics, refer to the canonical text.
// The error is a *tree.Diagnostic.
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

// sameForm returns an error if two trees differ in their forms, that is, if the text of a tree does not
// hold all of it.
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
		return unreadable("the tree cannot be written as MQL text")
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
		return unreadable("there is more data after the tree")
	}
	f := &form{reading: true, in: root, fault: new(string)}
	describe(f)
	f.close()
	if *f.fault != "" {
		return unreadable(*f.fault)
	}
	return nil
}

// jsonDepth returns how deeply braces and brackets outside strings are nested.
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

// form is one JSON object being read or written. A description names its keys in order, each with a
// pointer to its value. Reading stores through the pointer, writing loads from it.
type form struct {
	reading bool
	in      map[string]any
	seen    int
	out     object
	path    string
	fault   *string // the first error, shared by all forms of a tree
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

// wrong records a fault, unless there is one already.
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

// take returns the value of a key, counts it as seen, and reports whether it is there and not null.
func (f *form) take(key string) (any, bool) {
	v, ok := f.in[key]
	if ok {
		f.seen++
	}
	return v, ok && v != nil
}

// close refuses keys that the description did not name.
func (f *form) close() {
	if !f.reading || f.seen == len(f.in) || *f.fault != "" {
		return
	}
	*f.fault = "unknown or misplaced keys in the object at " + f.at("here")
}

func (f *form) put(key string, value any) { f.out = append(f.out, member{key, value}) }

// text describes a string that must not be empty, optionalText one that is left out when empty.
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

// flag describes a boolean that is left out when false.
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

// word describes a value of an enumeration by its name.
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
	f.wrong(key, "the word is missing or not known")
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

// when describes a date or a time, as text.
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

// nested describes the object at key.
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

// absent reports whether an optional part is absent. A key with the value null counts as absent and as seen.
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

// array describes an array of objects at key. An empty array is left out.
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
