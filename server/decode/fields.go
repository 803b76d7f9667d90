package decode

import (
	"fmt"
	"strings"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query/tree"
)

// fieldSet collects the columns of one object. Members of nested objects get dotted names; of equal names
// the last one wins. rest has the raw text of the members that cannot wholly be columns.
type fieldSet struct {
	fields  []engine.NamedField
	index   map[string]int // only for more than smallSet fields
	rest    []byte
	partial bool // some of the member being read cannot be a column
}

// smallSet is the number of fields up to which a linear search is faster than a map.
const smallSet = 24

func (s *fieldSet) reset() {
	s.fields, s.rest, s.partial = s.fields[:0], s.rest[:0], false
	clear(s.index)
}

func (s *fieldSet) find(name string) int {
	if len(s.fields) <= smallSet {
		for i := range s.fields {
			if s.fields[i].Name == name {
				return i
			}
		}
		return -1
	}
	if len(s.index) != len(s.fields) {
		if s.index == nil {
			s.index = make(map[string]int)
		}
		clear(s.index)
		for i := range s.fields {
			s.index[s.fields[i].Name] = i
		}
	}
	if i, ok := s.index[name]; ok {
		return i
	}
	return -1
}

// put adds or replaces a field; a missing value removes it.
func (s *fieldSet) put(f engine.NamedField) {
	i := s.find(f.Name)
	switch {
	case f.Value.Missing() && i < 0:
	case f.Value.Missing():
		last := len(s.fields) - 1
		s.fields[i] = s.fields[last]
		s.fields = s.fields[:last]
		clear(s.index)
	case i >= 0:
		s.fields[i] = f
	default:
		s.fields = append(s.fields, f)
		if len(s.fields) > smallSet+1 {
			s.index[f.Name] = len(s.fields) - 1
		}
	}
}

// fields reads an object of traits or properties into set and returns its raw text. A value that is not
// an object is returned as raw text only.
func (d *Decoder) fields(set *fieldSet) (string, error) {
	set.reset()
	if d.json.peek() != '{' {
		return d.raw()
	}
	start := d.offset()
	err := d.object(func(name string) error {
		d.path, d.known = append(d.path[:0], name...), name
		if !d.nameInterned {
			d.known = d.intern(name)
		}
		if len(name) == 0 {
			d.lose(set, codes.EmptyName, "a name is empty")
		}
		from := d.offset()
		if err := d.value(set, 2); err != nil {
			return err
		}
		if set.partial { // value has restored d.path to the member's name
			set.rest = appendMember(set.rest, string(d.path), d.since(from))
			set.partial = false
		}
		return nil
	})
	return d.since(start), err
}

// since returns the text of the value read since offset, where its name ended.
func (d *Decoder) since(offset int) string {
	return strings.TrimLeft(d.text[offset:d.offset()], ": \t\r\n")
}

func (d *Decoder) offset() int { return d.json.at }

// value reads the value at d.path, which is depth levels down, into set. It restores d.path.
func (d *Decoder) value(set *fieldSet, depth int) error {
	if depth > d.limits.Depth {
		return d.deep()
	}
	switch d.json.peek() {
	case '{':
		return d.nested(set, depth)
	case '[':
		v, whole, err := d.list(depth)
		if err != nil {
			return err
		}
		set.partial = set.partial || !whole
		d.add(set, v, false)
		return nil
	}
	v, err := d.scalar(set)
	if err != nil {
		return err
	}
	d.add(set, v, false)
	return nil
}

// nested reads an object at d.path. An import may write {"$time": ms} and {"$string": "…"} for a value
// whose type is fixed.
func (d *Decoder) nested(set *fieldSet, depth int) error {
	length := len(d.path)
	d.known = ""
	defer func() { d.path = d.path[:length] }()
	return d.object(func(name string) error {
		if d.env.Import && len(name) > 0 && name[0] == '$' {
			switch name {
			case "$time":
				v, err := d.importTime()
				d.add(set, v, true)
				return err
			case "$string":
				v, err := d.scalar(set)
				d.add(set, v, true)
				return err
			}
		}
		d.path = append(append(d.path[:length], '.'), name...)
		err := d.value(set, depth+1)
		d.path = d.path[:length]
		return err
	})
}

// importTime reads the Unix ms of a $time value.
func (d *Decoder) importTime() (tree.Value, error) {
	v, err := d.json.value()
	if err != nil {
		return tree.Value{}, d.syntax(err)
	}
	if n, ok := tree.ParseNumber(d.here(v)); ok && v.Kind() == '0' {
		if ms, ok := n.Int64(); ok && ms >= minTime && ms <= maxTime {
			return tree.Time(ms), nil
		}
	}
	return tree.Value{}, refuse(codes.BadTime, "$time at %s is not a time in Unix milliseconds", d.path)
}

// scalar reads a value that is neither an object nor an array. It returns a missing value for one that
// cannot be a column.
func (d *Decoder) scalar(set *fieldSet) (tree.Value, error) {
	v, err := d.json.value()
	if err != nil {
		return tree.Value{}, d.syntax(err)
	}
	switch v.Kind() {
	case 't':
		return tree.Bool(true), nil
	case 'f':
		return tree.Bool(false), nil
	case '0':
		n, ok := tree.ParseNumber(d.here(v))
		if !ok {
			d.lose(set, codes.BadNumber, "the number at %s is out of range", d.path)
			return tree.Value{}, nil
		}
		return tree.Num(n), nil
	case '"':
		s := d.cut(v)
		if len(s) > d.limits.String {
			d.lose(set, codes.ValueTooLong, "the string at %s is %d bytes long: only up to %d can be a column", d.path, len(s), d.limits.String)
			return tree.Value{}, nil
		}
		return tree.Str(s), nil
	}
	return tree.Value{}, nil
}

// list reads an array. whole is false if it cannot be a column: it contains objects or arrays, or is too
// long.
func (d *Decoder) list(depth int) (v tree.Value, whole bool, err error) {
	start := d.offset()
	if err := d.json.enter(); err != nil {
		return v, false, d.syntax(err)
	}
	var items []tree.Value
	whole = true
	none := &fieldSet{}
	for d.json.peek() != ']' {
		if k := d.json.peek(); k == '{' || k == '[' {
			raw, err := d.raw()
			if err != nil {
				return v, false, err
			}
			if tooDeep([]byte(raw), d.limits.Depth-depth) {
				return v, false, d.deep()
			}
			whole = false
			continue
		}
		item, err := d.scalar(none)
		if err != nil {
			return v, false, err
		}
		if whole = whole && !none.partial; whole && !item.Missing() {
			items = append(items, item)
		}
	}
	if err := d.json.leave(); err != nil {
		return v, false, d.syntax(err)
	}
	if size := d.offset() - start; whole && size > d.limits.String {
		d.note(codes.ValueTooLong, "the list at %s is %d bytes long: only up to %d can be a column", d.path, size, d.limits.String)
		whole = false
	}
	if !whole {
		return tree.Value{}, false, nil
	}
	return tree.ListOf(items...), true, nil
}

// add sets the value at d.path, if that may be a column.
func (d *Decoder) add(set *fieldSet, v tree.Value, exact bool) {
	switch {
	case len(d.path) == 0:
	case len(d.path) > d.limits.Name:
		d.lose(set, codes.NameTooLong, "the name %.40s… is %d bytes long: at most %d", d.path, len(d.path), d.limits.Name)
	case set != &d.properties && reserved(d.path):
		d.lose(set, codes.ReservedName, "%s is built in and cannot be set", d.path)
	case len(set.fields) >= d.limits.Fields && set.find(string(d.path)) < 0:
		if !v.Missing() {
			d.lose(set, codes.TooManyFields, "only the first %d values can be columns", d.limits.Fields)
		}
	default:
		name := d.known
		if name == "" {
			name = d.internBytes(d.path)
		}
		set.put(engine.NamedField{Name: name, Value: v, Exact: exact})
	}
}

// reserved reports whether name is a built-in attribute.
func reserved(name []byte) bool {
	switch string(name) {
	case "user_id", "anonymous_id", "first_seen", "last_seen":
		return true
	}
	return false
}

// lose notes that the value at d.path cannot be a column; the raw text of its member is kept in the rest.
func (d *Decoder) lose(set *fieldSet, code, format string, args ...any) {
	set.partial = true
	d.note(code, format, args...)
}

func (d *Decoder) note(code, format string, args ...any) {
	if len(d.notes) < maxNotes && (len(d.notes) == 0 || d.notes[len(d.notes)-1].Code != code || code != codes.TooManyFields) {
		d.notes = append(d.notes, Note{Code: code, Reason: fmt.Sprintf(format, args...)})
	}
}
