package load

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// jsonInput encodes the lines of an NDJSON file.
type jsonInput struct {
	*window
	plan    *Plan
	message message
	in, out []byte // dotted paths of the value being read, in the file and as sent
	columns map[string]*member
	order   []*member
	fatal   error
}

// member is one dotted name of the file's objects. shape is the JSON type seen first; odd counts
// values of another.
type member struct {
	path    string
	key     []byte
	kind    Kind // asked for
	shape   Kind
	seen    int
	odd     int64
	example string
}

// maxMembers bounds the names that are described; what is beyond is sent all the same.
const maxMembers = 1 << 16

func newNDJSON(r io.Reader, plan *Plan) *jsonInput {
	return &jsonInput{window: newWindow(r), plan: plan, columns: map[string]*member{}}
}

// read appends the next line that is not blank to the batch.
func (in *jsonInput) read(b *Batch) error {
	line, number, err := in.nextLine()
	if err == errLong {
		b.reject(number, line, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	if number == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	text := bytes.TrimSpace(line)
	if len(text) == 0 {
		return nil
	}
	fault := ""
	switch {
	case !validText(text):
		fault = "not valid UTF-8"
	case text[0] == '[' && number == 1:
		return fmt.Errorf("the file is one JSON array; write one object a line (jq -c '.[]' does it)")
	case text[0] != '{':
		fault = "not a JSON object"
	case in.plan.Mode == Messages:
		fault = in.pass(b, text, number)
	default:
		if fault = in.encode(text); fault == "" {
			b.Body = in.message.appendTo(b.Body, in.plan, number)
		}
	}
	if in.fatal != nil {
		return in.fatal
	}
	if fault != "" {
		b.reject(number, line, fault)
		return nil
	}
	b.accept(number, line)
	return nil
}

// pass hands a message on as it is, with its line number.
func (in *jsonInput) pass(b *Batch, text []byte, number uint64) string {
	end, err := skipValue(text, 0, maxDepth)
	if err == nil && end != len(text) {
		err = errJSON
	}
	if err != nil {
		return err.Error()
	}
	body := text[:len(text)-1]
	b.Body = append(b.Body, body...)
	if len(bytes.TrimSpace(body)) > 1 {
		b.Body = append(b.Body, ',')
	}
	b.Body = append(b.Body, `"_line":`...)
	b.Body = append(strconv.AppendUint(b.Body, number, 10), '}')
	return ""
}

// encode fills the message from an object, or says what is wrong with it.
func (in *jsonInput) encode(text []byte) string {
	in.message.reset()
	in.in, in.out = in.in[:0], in.out[:0]
	end, fault := in.object(text, 0, in.plan.Keep == nil, maxDepth)
	if fault == "" && skipSpace(text, end) != len(text) {
		fault = errJSON.Error()
	}
	if fault != "" {
		return fault
	}
	return in.message.fault(in.plan)
}

// object reads the object at i below the current path and returns where it ends.
func (in *jsonInput) object(b []byte, i int, kept bool, depth int) (int, string) {
	if depth == 0 {
		return i, errDeep.Error()
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, ""
	}
	inLen, outLen := len(in.in), len(in.out)
	for {
		value, err := skipKey(b, i)
		if err != nil {
			return i, err.Error()
		}
		keyEnd, _ := skipString(b, i)
		in.descend(stringText(b[i:keyEnd]))
		var fault string
		if i, fault = in.value(b, value, kept, depth); fault != "" {
			return i, fault
		}
		in.in, in.out = in.in[:inLen], in.out[:outLen]
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != '}' && b[i] != ',' {
			return i, errJSON.Error()
		}
		if b[i] == '}' {
			return i + 1, ""
		}
		i = skipSpace(b, i+1)
	}
}

// descend makes the path longer by a name.
func (in *jsonInput) descend(name []byte) {
	if len(in.in) > 0 {
		in.in, in.out = append(in.in, '.'), append(in.out, '.')
	}
	in.in, in.out = append(in.in, name...), append(in.out, name...)
	if to, ok := in.plan.Rename[string(in.in)]; ok {
		in.out = append(in.out[:0], to...)
	}
}

// value reads the value of the current path at i.
func (in *jsonInput) value(b []byte, i int, kept bool, depth int) (int, string) {
	kept = kept || slices.Contains(in.plan.Keep, string(in.in))
	if i < len(b) && b[i] == '{' {
		return in.object(b, i, kept, depth-1)
	}
	end, err := skipValue(b, i, depth-1)
	if err != nil {
		return end, err.Error()
	}
	return end, in.leaf(b[i:end], kept)
}

// leaf takes a value that is no object: id, event, time, or a field.
func (in *jsonInput) leaf(literal []byte, kept bool) string {
	if literal[0] == 'n' {
		return ""
	}
	m, p := &in.message, in.plan
	text := literal
	if literal[0] == '"' {
		text = stringText(literal)
	}
	switch {
	case string(in.in) == p.ID:
		if literal[0] == '[' || literal[0] == 't' || literal[0] == 'f' {
			return fmt.Sprintf("no id: %s is %.60s", p.ID, literal)
		}
		m.id = append(m.id[:0], text...)
	case p.Event != "" && string(in.in) == p.Event:
		if literal[0] != '"' {
			return fmt.Sprintf("no event: %s is %.60s", p.Event, literal)
		}
		m.event = append(m.event[:0], text...)
	case p.Time != "" && string(in.in) == p.Time:
		if len(text) == 0 {
			break
		}
		if m.time, m.hasTime = ParseTime(text); !m.hasTime {
			return badTime(p.Time, text)
		}
	case kept:
		in.field(literal, text)
	}
	return ""
}

// field adds a property or an attribute.
func (in *jsonInput) field(literal, text []byte) {
	c := in.columns[string(in.in)]
	if c == nil {
		c = in.newMember(literal, text)
	}
	c.seen++
	if c.kind == Untyped {
		in.message.fields = append(append(in.message.fields, c.key...), literal...)
		if shapeOf(literal) != c.shape {
			c.odd++
		}
		return
	}
	if in.message.addText(c.key, text, c.kind) {
		c.odd++
	}
}

func (in *jsonInput) newMember(literal, text []byte) *member {
	path, name := string(in.in), string(in.out)
	c := &member{path: path, key: appendKey(nil, name), kind: in.plan.Types[path], shape: shapeOf(literal)}
	c.example = string(text[:min(len(text), 40)])
	if in.plan.Mode == Profiles && slices.Contains(reserved, name) {
		in.fatal = reservedName(path, name)
	}
	if len(in.columns) < maxMembers {
		in.columns[path] = c
		in.order = append(in.order, c)
	}
	return c
}

// shapeOf names the JSON type of a literal, as a Kind; lists are Untyped.
func shapeOf(literal []byte) Kind {
	switch literal[0] {
	case '"':
		return String
	case 't', 'f':
		return Bool
	case '[':
		return Untyped
	}
	return Number
}

func (in *jsonInput) schema() []ColumnReport {
	var out []ColumnReport
	for _, special := range []struct{ column, role string }{{in.plan.ID, "id"}, {in.plan.Event, "event"}, {in.plan.Time, "time"}} {
		if special.column != "" {
			out = append(out, ColumnReport{Column: special.column, Role: special.role, Name: special.column})
		}
	}
	for _, c := range in.order {
		kind := c.kind
		if kind == Untyped {
			kind = c.shape
		}
		out = append(out, ColumnReport{Column: c.path, Name: in.plan.target(c.path), Kind: kind,
			Example: c.example, Seen: c.seen, Odd: c.odd})
	}
	return out
}
